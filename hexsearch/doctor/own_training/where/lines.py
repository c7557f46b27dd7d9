"""The lines of a user's code that call the network, compute the losses and take the steps."""

from __future__ import annotations

import linecache
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import torch

from hexsearch.model.plugins import is_of_a_user

Kind = Literal["made", "schedule", "cleared", "backward", "grad", "clip"]
_FRAME = re.compile(r'File "(.+)", line (\d+), in ')
_MOST = 2  # lines of a kind that are kept


@dataclass(frozen=True)
class Line:
    """A line of a user's code.

    Attributes:
        columns: first and last line and column of the call that runs in it; empty if not known.
    """

    file: str
    number: int
    columns: tuple[int | None, ...] = field(default=(), compare=False)

    def __str__(self) -> str:
        source = linecache.getline(self.file, self.number).strip()
        return f"{Path(self.file).name}:{self.number}: {source}"

    @classmethod
    def here(cls) -> Line | None:
        """The innermost line of a user that runs; None if there is none."""
        frame = sys._getframe(1)
        while frame is not None and not is_of_a_user(frame.f_code.co_filename):
            frame = frame.f_back  # type: ignore[assignment]
        if frame is None:
            return None
        places = islice(frame.f_code.co_positions(), frame.f_lasti // 2, None)
        return cls(frame.f_code.co_filename, frame.f_lineno, next(places, ()))

    @classmethod
    def of_node(cls, node: Any) -> Line | None:
        """The line that made a node of autograd's graph, if `remembered` was in force then."""
        text = "".join(node.metadata.get("traceback_", ()))
        places = [cls(file, int(number)) for file, number in _FRAME.findall(text)]
        return next((each for each in reversed(places) if is_of_a_user(each.file)), None)


@dataclass
class Lines:
    """The first lines of each kind, in the order in which they ran."""

    of: dict[Kind, list[Line]] = field(default_factory=dict)

    def note(self, kind: Kind) -> None:
        """Keep the line of the user that runs."""
        known = self.of.setdefault(kind, [])
        if len(known) < _MOST and (line := Line.here()) is not None and line not in known:
            known.append(line)

    def among(self, kinds: Iterable[Kind]) -> list[Line]:
        """Lines of these kinds."""
        return [line for kind in kinds for line in self.of.get(kind, [])]


@contextmanager
def remembered() -> Iterator[None]:
    """In this context nodes of autograd's graph remember the lines that make them."""
    before = torch.is_anomaly_enabled(), torch.is_anomaly_check_nan_enabled()
    torch.set_anomaly_enabled(True, False)
    try:
        yield
    finally:
        torch.set_anomaly_enabled(*before)
