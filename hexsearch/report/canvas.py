"""Where a view is drawn anew in place: a terminal, or a cell of a notebook."""

from __future__ import annotations

import io
from types import TracebackType
from typing import Any, Protocol

from rich.console import RenderableType
from rich.live import Live

from hexsearch.report.terminal import Console

_NOTEBOOK_WIDTH = 130  # characters


class Canvas(Protocol):
    """Shows one drawing at a time."""

    @property
    def width(self) -> int:
        """In characters."""

    def __enter__(self) -> object: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...

    def draw(self, view: RenderableType) -> None:
        """Replace what is shown."""


class TerminalCanvas:
    """The last lines of a terminal; what is printed meanwhile goes above them."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, auto_refresh=False, transient=True)

    @property
    def width(self) -> int:
        """Of the terminal now; it may be resized."""
        return self._console.width

    def __enter__(self) -> TerminalCanvas:
        self._live.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._live.__exit__(kind, value, traceback)

    def draw(self, view: RenderableType) -> None:
        """Replace what is shown."""
        self._live.update(view, refresh=True)


class NotebookCanvas:
    """One output of a cell that is replaced, so that a cell does not grow."""

    width = _NOTEBOOK_WIDTH

    def __init__(self) -> None:
        self._handle: Any = None

    def __enter__(self) -> NotebookCanvas:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._show("")

    def draw(self, view: RenderableType) -> None:
        """Replace what is shown."""
        self._show(to_html(view, self.width))

    def _show(self, markup: str) -> None:
        from IPython.display import HTML, display

        if self._handle is None:
            self._handle = display(HTML(markup), display_id=True)
        else:
            self._handle.update(HTML(markup))


def to_html(view: RenderableType, width: int) -> str:
    """A drawing of so many characters as a block for a notebook, with colours."""
    console = Console(
        file=io.StringIO(), width=width, record=True, highlight=False, force_jupyter=False
    )
    console.print(view)
    return console.export_html(
        inline_styles=True, code_format='<pre style="line-height:1.3">{code}</pre>'
    )
