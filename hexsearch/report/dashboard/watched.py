"""The studies of a folder. They are read again only if their files have changed."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hexsearch.errors import HexsearchError
from hexsearch.ledger.folder import StudyFolder
from hexsearch.ledger.history import StudyHistory
from hexsearch.ledger.ledger import is_held, read_events
from hexsearch.ledger.progress import StudyProgress, read_progress
from hexsearch.report.console import DECISIONS, describe_event
from hexsearch.report.html.page import PageParts, page_parts
from hexsearch.report.html.study import read_study

_PATIENCE = 10.0  # work that took a second is repeated after ten seconds or later
_DECISIONS = 4  # decisions that are shown
Stamp = tuple[int, int] | None  # size and time of a ledger
_NEVER: Stamp = (-1, -1)


@dataclass(frozen=True)
class Look:
    """A study at one moment.

    Attributes:
        stamp: stamp of the ledger from which the history was read.
        is_held: whether a driver has the study open.
        decisions: the last decisions in words, the latest first.
        fault: why the study cannot be read. Then its history is empty.
    """

    folder: StudyFolder
    history: StudyHistory
    stamp: Stamp
    progress: StudyProgress
    is_held: bool
    decisions: tuple[str, ...] = ()
    fault: str | None = None

    @property
    def state(self) -> str:
        """running, interrupted, finished, killed (there is no record of an end), or damaged."""
        if self.fault is not None:
            return "damaged"
        if self.is_held:
            return "running"
        return "killed" if self.history.state == "running" else self.history.state


@dataclass(frozen=True)
class _Read:
    """The content of a ledger."""

    history: StudyHistory
    decisions: tuple[str, ...] = ()
    fault: str | None = None


class WatchedStudy:
    """One study. Several threads may use it at the same time."""

    def __init__(self, folder: StudyFolder, clock: Callable[[], float] = time.monotonic) -> None:
        self.folder, self._clock = folder, clock
        self._reading, self._making = threading.Lock(), threading.Lock()
        self._read = _Read(StudyHistory())
        self._stamp: Stamp = _NEVER
        self._parts: tuple[Stamp, PageParts] | None = None
        self._read_again_at = self._make_again_at = 0.0

    def look(self) -> Look:
        """The study now. The ledger is read again only if it has changed."""
        with self._reading:
            stamp, started = stamp_of(self.folder.ledger), self._clock()
            if stamp != self._stamp and started >= self._read_again_at:
                self._read, self._stamp = _read(self.folder), stamp
                ended = self._clock()
                self._read_again_at = ended + _PATIENCE * (ended - started)
            read, stamp = self._read, self._stamp
        progress, held = read_progress(self.folder.progress), is_held(self.folder.ledger)
        return Look(self.folder, read.history, stamp, progress, held, read.decisions, read.fault)

    def parts(self) -> tuple[Stamp, PageParts]:
        """The parts of its page, and the stamp of their ledger.

        They may be some seconds old, since making them must not slow down the training.

        Raises:
            HexsearchError: the study cannot be read.
        """
        with self._making:
            stamp, started = stamp_of(self.folder.ledger), self._clock()
            if self._parts is None or (self._parts[0] != stamp and started >= self._make_again_at):
                self._parts = stamp, page_parts(read_study(self.folder))
                ended = self._clock()
                self._make_again_at = ended + _PATIENCE * (ended - started)
            return self._parts

    def has_news(self, stamp: Stamp) -> bool:
        """Whether `parts` would give a newer page than that of this ledger."""
        return stamp_of(self.folder.ledger) != stamp and self._clock() >= self._make_again_at


class WatchedFolder:
    """The studies of a folder, which may come and go."""

    def __init__(self, results: Path) -> None:
        self.results = results
        self._studies: dict[str, WatchedStudy] = {}
        self._listing = threading.Lock()

    def studies(self) -> dict[str, WatchedStudy]:
        """The studies by name, in alphabetical order. Links to other folders are left out."""
        root = self.results.resolve()
        with self._listing:
            found = {}
            for path in sorted(self.results.iterdir()) if self.results.is_dir() else ():
                if path.resolve().parent == root and (path / "ledger.jsonl").is_file():
                    known = self._studies.get(path.name)
                    found[path.name] = known or WatchedStudy(StudyFolder(path))
            self._studies = found
            return dict(found)


def stamp_of(ledger: Path) -> Stamp:
    """Size and time of a ledger, which change with it; None if there is no ledger."""
    try:
        status = os.stat(ledger)
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns


def stamp_text(stamp: Stamp) -> str:
    """The stamp as text, for a page."""
    return "-".join(map(str, stamp or ()))


def _read(folder: StudyFolder) -> _Read:
    history = StudyHistory()
    decisions: deque[str] = deque(maxlen=_DECISIONS)
    try:
        for event in read_events(folder.ledger):
            history.apply(event)
            if isinstance(event, DECISIONS):
                decisions.appendleft(describe_event(event, history))
    except HexsearchError as error:
        return _Read(StudyHistory(), fault=str(error))
    return _Read(history, tuple(decisions))
