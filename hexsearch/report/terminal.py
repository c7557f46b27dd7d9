"""A console on which foreign text stays text: of files, settings, plug-ins and workers' logs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich import console
from rich.segment import Segment

from hexsearch.errors import escaped


class Console(console.Console):
    """rich's console without markup, which escapes control characters in whatever it prints.

    A file may be called `[/b].sgf`, and a question may hold a sequence that sets the title of the
    terminal. Styles, which rich itself turns into such sequences, are not touched.

    What is written to a file is not shown in the cell of a notebook, too, as rich would do.
    """

    def __init__(self, **options: Any) -> None:
        if "file" in options:
            options.setdefault("force_jupyter", False)
        super().__init__(markup=False, emoji=False, **options)

    def render(
        self, renderable: console.RenderableType, options: console.ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """The segments of a renderable."""
        for segment in super().render(renderable, options):
            if segment.control is None and not segment.text.isprintable():
                yield Segment(escaped(segment.text), segment.style)
            else:
                yield segment
