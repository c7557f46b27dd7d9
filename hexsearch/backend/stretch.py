"""Training between two reports, in pieces of about a second."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from hexsearch.backend.assignment import Assignment
from hexsearch.training.trial import Trial

_BATCHES = 10  # at least, before a report by the clock: without training it would say nothing new


class Stretch:
    """From where a trial stands to its next report.

    The pieces change no bit: a trial may be cut after any batch, and is looked at by the clock
    only, which says when the driver is told and never what is trained.
    """

    def __init__(
        self, trial: Trial, task: Assignment, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._trial, self._clock = trial, clock
        self._target = next(point for point in task.points if point > trial.positions_seen)
        self._least = trial.positions_seen + _BATCHES * trial.config.batch_size
        self._ends = clock() + _or_never(task.report_seconds)
        self._every = _or_never(task.progress_seconds)
        self._was_told = False  # the driver, that the trial is on its way

    def train(self) -> bool:
        """Train on until a report is due (True), or the driver should hear of progress (False).

        A driver that has heard of progress hears as well that the trial has come to its point,
        before the evaluation, which may take long.

        Raises:
            TrialError: a loss is no longer finite; found at the point, however long the pieces.
        """
        if self._is_due():
            return self._ready()
        pause_at = self._clock() + self._every
        self._trial.train_to(self._target, lambda: self._is_due() or self._clock() >= pause_at)
        if self._is_due() and not self._was_told:
            return self._ready()
        self._was_told = True
        return False

    def _ready(self) -> bool:
        self._trial.train_to(self._trial.positions_seen)  # looks at the losses, if it was paused
        return True

    def _is_due(self) -> bool:
        seen = self._trial.positions_seen
        return seen >= self._target or (seen >= self._least and self._clock() > self._ends)


def _or_never(seconds: float | None) -> float:
    return math.inf if seconds is None else seconds
