"""What rich draws, as plain text and as HTML for notebooks."""

from __future__ import annotations

import io
from collections.abc import Callable

from rich.console import Console, RenderableType

_WIDTH = 120  # characters of a table that is printed
_NOTEBOOK_WIDTH = 150  # of one that a notebook shows


def as_text(draw: Callable[[int], RenderableType]) -> str:
    """A drawing of so many characters, without colours."""
    file = io.StringIO()
    Console(file=file, width=_WIDTH, highlight=False).print(draw(_WIDTH))
    return file.getvalue()


def as_html(draw: Callable[[int], RenderableType]) -> str:
    """The same as a block for a notebook, with colours."""
    console = Console(file=io.StringIO(), width=_NOTEBOOK_WIDTH, record=True, highlight=False)
    console.print(draw(_NOTEBOOK_WIDTH))
    return console.export_html(
        inline_styles=True, code_format='<pre style="line-height:1.3">{code}</pre>'
    )
