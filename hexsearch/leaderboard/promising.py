"""The most promising trial of a study, while few trials have ended.

The trial that has seen most positions need not be a good one: the first to come near its end may
be one that was only trained to show what rungs say. So trials are compared where several of them
have been, at the highest rung that three have passed, as the search compares them.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hexsearch.ledger.history import StudyHistory, TrialHistory
from hexsearch.search.forecasting.trend import Trend, TrendRecord

_LEAST = 3  # trials that a rung, or the end, needs for a comparison


@dataclass(frozen=True)
class Promising:
    """The most promising trial.

    Attributes:
        trial: its name.
        positions_seen: positions at which trials are compared.
        value_loss: its value loss there.
        of: how many trials are compared; 1 if no rung was passed by three.
    """

    trial: str
    positions_seen: int
    value_loss: float
    of: int


def most_promising(history: StudyHistory) -> Promising | None:
    """The trial that promises most at the highest rung that three have passed; the end counts.

    It has the lowest value that is expected at the end, if changes from rung to rung go on as they
    did so far. Where they do not, that is its value. Before three trials have passed a rung it is
    the best of those that have seen most positions; None if no trial has reported. Negative
    controls, failed trials and those that were stopped as unhealthy do not count.
    """
    trials = [
        trial
        for trial in history.trials.values()
        if trial.phase == "search"
        and trial.curve
        and not trial.is_control
        and trial.status not in ("failed", "stopped")
    ]
    if not trials:
        return None
    levels = _levels(history, trials)
    losses = {trial.trial: _losses(trial, levels) for trial in trials}
    trend = _trend(levels, list(losses.values()))
    for at in reversed(range(len(levels))):
        there = [name for name, known in losses.items() if len(known) > at]
        if len(there) >= _LEAST:
            ahead = trend.ahead(np.array([losses[name][: at + 1] for name in there]))
            best = there[int(np.argmin(ahead))]
            return Promising(best, levels[at], losses[best][at], len(there))
    furthest = max(trial.positions_seen for trial in trials)
    there_too = (trial for trial in trials if trial.positions_seen == furthest)
    first = min(there_too, key=lambda trial: trial.curve[-1].value_loss)
    return Promising(first.trial, furthest, first.curve[-1].value_loss, 1)


def _levels(history: StudyHistory, trials: Sequence[TrialHistory]) -> list[int]:
    """Positions at the rungs that were reached, and at the end."""
    ends = {trial.positions_seen for trial in trials if trial.status == "completed"}
    scheduler = history.study.config.get("scheduler")
    if not ends and isinstance(scheduler, dict):
        ends = {end for end in [scheduler.get("max_t")] if isinstance(end, int)}
    return sorted({*history.rungs, *ends})


def _losses(trial: TrialHistory, levels: Sequence[int]) -> list[float]:
    """Value losses at the rungs that the trial has passed."""
    found: list[float] = []
    for level in levels:
        at = bisect_left(trial.curve, level, key=lambda point: point.positions_seen)
        if at == len(trial.curve) or trial.curve[at].positions_seen != level:
            break
        found.append(trial.curve[at].value_loss)
    return found


def _trend(levels: Sequence[int], losses: Sequence[Sequence[float]]) -> Trend:
    record = TrendRecord(levels)
    for known in losses:
        for count in range(3, len(known) + 1):
            record.count(known[:count])
    record.fit()
    return record.trend
