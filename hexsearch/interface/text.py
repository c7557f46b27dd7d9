"""Tables of rich as plain text, and as HTML for notebooks."""

from __future__ import annotations

import io
from collections.abc import Callable

from rich.console import RenderableType

from hexsearch.report.canvas import to_html
from hexsearch.report.terminal import Console

_WIDTH = 120  # characters of a printed table
_NOTEBOOK_WIDTH = 150  # characters of a table in a notebook


def as_text(draw: Callable[[int], RenderableType]) -> str:
    """A table as text without colours. Its function gets the width in characters."""
    file = io.StringIO()
    Console(file=file, width=_WIDTH, highlight=False).print(draw(_WIDTH))
    return file.getvalue()


def as_html(draw: Callable[[int], RenderableType]) -> str:
    """The same as a block for a notebook, with colours."""
    return to_html(draw(_NOTEBOOK_WIDTH), _NOTEBOOK_WIDTH)
