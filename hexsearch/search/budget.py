"""Estimates how many whole trainings a study's budget still allows.

Pruning pays only if the freed worker can train another trial to its end. If there is no time for a
new trial, the pruned trial would have come at least as far.
"""

from __future__ import annotations

import math
from bisect import insort
from collections.abc import Callable
from dataclasses import dataclass, field

from hexsearch.config.run import RunConfig
from hexsearch.ledger.events import Event, Reported, Started, Told
from hexsearch.ledger.history import StudyHistory


@dataclass
class Pace:
    """The speed of trials, from the times of their events.

    The time to the first report includes the set-up of the trial, so it is counted separately.
    """

    firsts: list[float] = field(default_factory=list)  # seconds to the first report, ascending
    first_seconds: float = 0.0
    first_positions: int = 0
    later_positions: int = 0
    later_seconds: float = 0.0
    _since: dict[str, tuple[float, int]] = field(default_factory=dict)  # trial -> at, positions

    def apply(self, event: Event) -> None:
        """Take one event into account."""
        if isinstance(event, Started):
            if event.attempt == 1:
                self._since[event.trial] = (event.at, 0)
            else:  # the trial continues from a checkpoint after a pause
                self._since.pop(event.trial, None)
        elif isinstance(event, Reported):
            at, positions = event.at, event.report.positions_seen
            since = self._since.get(event.trial)
            if since is not None:
                self._count(max(0.0, at - since[0]), positions - since[1], first=since[1] == 0)
            self._since[event.trial] = (at, positions)
        elif isinstance(event, Told):
            self._since.pop(event.trial, None)

    def _count(self, seconds: float, positions: int, first: bool) -> None:
        if first:
            insort(self.firsts, seconds)
            self.first_seconds += seconds
            self.first_positions += positions
        else:
            self.later_positions += positions
            self.later_seconds += seconds

    def seconds(self, positions: int, share: float) -> float:
        """Seconds in which this share of new trials reaches `positions`; 0 if no time is known.

        It is the mean of all trials, scaled by the ratio for that share at the first report, which
        every trial reaches.
        """
        if not self.firsts:
            return 0.0
        count = len(self.firsts)
        first, first_at = self.first_seconds / count, self.first_positions / count
        if self.later_positions:
            each = self.later_seconds / self.later_positions
        else:
            each = first / first_at
        mean = first + each * max(0.0, positions - first_at)
        quick = self.firsts[int(share * (count - 1))]
        return mean * quick / first if first > 0.0 else 0.0


@dataclass
class Horizon:
    """The rest of a study's budgets.

    Args:
        positions: positions of a whole training.
        share: share of the trials, the fastest ones, whose speed is used.
        seconds_left: seconds until the study stops; inf without a time budget.
    """

    run: RunConfig
    positions: int
    share: float
    seconds_left: Callable[[], float]
    pace: Pace = field(default_factory=Pace)

    def apply(self, event: Event) -> None:
        """Take one event into account."""
        self.pace.apply(event)

    def trainings_left(self, history: StudyHistory, workers: int) -> float:
        """Whole trainings that each worker can do before a budget is used up.

        Args:
            workers: number of workers that share the budgets.
        Returns:
            inf without a budget, or if `stop_pruning_near_end` is off.
        """
        run = self.run
        left = [math.inf]
        if not run.stop_pruning_near_end:
            return math.inf
        if run.position_budget is not None:
            rest = run.position_budget - history.positions
            left.append(rest / (self.positions * workers))
        whole = self.pace.seconds(self.positions, self.share)
        if whole > 0.0:
            left.append(self.seconds_left() / whole)
            if run.gpu_hours is not None and run.gpus > 0.0:
                total = run.gpu_hours * 3600 / run.gpus
                left.append((total - history.trial_seconds) / (whole * workers))
        return min(left)


def budget_spent(run: RunConfig, history: StudyHistory) -> str | None:
    """Name of the study's budget that is used up; None if there is none."""
    if run.position_budget is not None and history.positions >= run.position_budget:
        return f"position budget of {run.position_budget:,}"
    hours = history.trial_seconds * run.gpus / 3600
    if run.gpu_hours is not None and hours >= run.gpu_hours:
        return f"budget of {run.gpu_hours:g} GPU hours"
    return None
