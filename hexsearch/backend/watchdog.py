"""Ends a worker's process that hangs, with the stack of every thread in a file."""

from __future__ import annotations

import faulthandler
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from hexsearch.backend.assignment import Assignment
from hexsearch.backend.storage import scratch_folder, storing

HANG_LOG = "hang.log"
_LEAST_S = 0.1  # for a step that begins when the time is all but used up


class Watchdog:
    """Holds the steps between two reports, all together, to a job's `hang_timeout`.

    faulthandler's own thread needs no interpreter lock, so a step that holds it is ended too. The
    time between two steps, in which a worker waits for the driver, does not count.
    """

    def __init__(self, assignment: Assignment) -> None:
        self._seconds = assignment.hang_timeout
        self._log = Path(assignment.folder) / HANG_LOG
        if assignment.trial_files is not None:
            self._log = scratch_folder() / f"{os.getpid()}-{HANG_LOG}"
        self._file: TextIO | None = None
        self._spent = 0.0

    @contextmanager
    def step(self) -> Iterator[None]:
        """End the process if the step takes longer than what is left of the time.

        Raises:
            Unwritable: the log cannot be opened.
        """
        if self._seconds is None:
            yield
            return
        if self._file is None:
            with storing(self._log):
                self._log.parent.mkdir(parents=True, exist_ok=True)
                self._file = open(self._log, "w", encoding="utf-8")
        started = time.monotonic()
        left = max(_LEAST_S, self._seconds - self._spent)
        faulthandler.dump_traceback_later(left, exit=True, file=self._file)
        try:
            yield
        finally:
            faulthandler.cancel_dump_traceback_later()
            self._spent += time.monotonic() - started

    def reported(self) -> None:
        """Begin anew after a report, and leave no log."""
        self._spent = 0.0
        if self._file is not None:
            self._file.close()
            self._file = None
            with suppress(OSError):
                self._log.unlink()
