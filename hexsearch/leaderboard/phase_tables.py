"""What the phases after a search found, from its history: the pruning check and the race."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from hexsearch.leaderboard.rows import Row
from hexsearch.ledger.history import ENDED, StudyHistory
from hexsearch.statistics.pruning_check import PruningCheck, check_pruning


@dataclass(frozen=True)
class Race:
    """Further seeds for those that were tied with the leader.

    Attributes:
        runs: whole trainings so far, of at most `budget`. tied: variants that share the lead now.
    """

    runs: int
    budget: int
    tied: int


def pruning_check(history: StudyHistory, rows: Sequence[Row]) -> PruningCheck | None:
    """Pruned trials that were run to the end, against the leader of those that were not pruned.

    Args:
        rows: of the leaderboard, best first.
    Returns:
        None where a study checks no pruning, or has no leader yet.
    """
    winner = next((row for row in rows if _was_never_pruned(row, history)), None)
    if "pruning_check" not in _phases(history) or winner is None or winner.value_loss is None:
        return None
    trials = history.trials.values()
    ended = [trial for trial in trials if trial.origin == "pruning_check" and trial.status in ENDED]
    losses = [
        trial.value_loss
        if trial.status == "completed" and trial.value_loss is not None
        else math.inf
        for trial in ended
    ]
    pruned = sum(trial.status in ("paused", "pruned") for trial in trials)
    return check_pruning(losses, winner.value_loss, pruned)


def race(history: StudyHistory, rows: Sequence[Row]) -> Race | None:
    """How far the race is; None where a study has none, or its search is not over."""
    searching = history.searched < history.target_trials or any(
        not trial.is_rerun for trial in history.unfinished
    )
    if "race" not in _phases(history) or searching:
        return None
    runs = sum(trial.origin == "race" for trial in history.trials.values())
    tied = sum(bool(row.tied_with_leader) for row in rows)
    return Race(runs, history.study.config["race"]["runs"], tied)


def _was_never_pruned(row: Row, history: StudyHistory) -> bool:
    trials = [history.trials[name] for name in row.trial_ids]
    return row.rank is not None and any(
        trial.status == "completed" and not trial.is_rerun for trial in trials
    )


def _phases(history: StudyHistory) -> Sequence[str]:
    phases: Sequence[str] = history.study.config.get("phases", ())
    return phases
