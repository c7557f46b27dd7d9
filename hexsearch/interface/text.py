"""What rich draws, as plain text and as HTML for notebooks."""

from __future__ import annotations

import io
from collections.abc import Callable

from rich.console import RenderableType

from hexsearch.report.canvas import to_html
from hexsearch.report.terminal import Console

_WIDTH = 120  # characters of a table that is printed
_NOTEBOOK_WIDTH = 150  # of one that a notebook shows


def as_text(draw: Callable[[int], RenderableType]) -> str:
    """A drawing of so many characters, without colours."""
    file = io.StringIO()
    Console(file=file, width=_WIDTH, highlight=False).print(draw(_WIDTH))
    return file.getvalue()


def as_html(draw: Callable[[int], RenderableType]) -> str:
    """The same as a block for a notebook, with colours."""
    return to_html(draw(_NOTEBOOK_WIDTH), _NOTEBOOK_WIDTH)
