"""Places in which a view is redrawn: a terminal, or a cell of a notebook."""

from __future__ import annotations

import io
from typing import Any, Protocol

from rich.console import RenderableType
from rich.live import Live

from hexsearch.report.terminal import Console

_NOTEBOOK_WIDTH = 130  # characters


class Canvas(Protocol):
    """Shows one view at a time."""

    @property
    def width(self) -> int:
        """Width in characters."""

    def open(self) -> None:
        """Prepare the place. It is called before the first view."""

    def draw(self, view: RenderableType) -> None:
        """Replace the view."""

    def close(self) -> None:
        """Remove the last view."""


class TerminalCanvas:
    """The last lines of a terminal. Lines that are printed meanwhile appear above them."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, auto_refresh=False, transient=True)

    @property
    def width(self) -> int:
        """Width of the terminal now, since it may be resized."""
        return self._console.width

    def open(self) -> None:
        """Reserve the last lines."""
        self._live.start()

    def draw(self, view: RenderableType) -> None:
        """Replace the view."""
        self._live.update(view, refresh=True)

    def close(self) -> None:
        """Remove the last view."""
        self._live.stop()


class NotebookCanvas:
    """One output of a cell. It is replaced, so that the cell does not grow."""

    width = _NOTEBOOK_WIDTH

    def __init__(self) -> None:
        self._handle: Any = None

    def open(self) -> None:
        """Do nothing: the first view makes the output."""

    def draw(self, view: RenderableType) -> None:
        """Replace the view."""
        self._show(to_html(view, self.width))

    def close(self) -> None:
        """Replace the last view by nothing."""
        self._show("")

    def _show(self, markup: str) -> None:
        from IPython.display import HTML, display

        if self._handle is None:
            self._handle = display(HTML(markup), display_id=True)
        else:
            self._handle.update(HTML(markup))


def to_html(view: RenderableType, width: int) -> str:
    """A view as HTML for a notebook, with colours.

    Args:
        width: in characters.
    """
    console = Console(file=io.StringIO(), width=width, record=True, highlight=False)
    console.print(view)
    return console.export_html(
        inline_styles=True, code_format='<pre style="line-height:1.3">{code}</pre>'
    )
