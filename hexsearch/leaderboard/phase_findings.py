"""What phases after a search found, from its history: one function a phase, in one registry.

Confirmation and match have modules of their own, `confirmation.py` and `strength.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any

from hexsearch.leaderboard.rows import Row
from hexsearch.ledger.history import ENDED, SEARCHED, StudyHistory
from hexsearch.statistics.pruning_check import PruningCheck, check_pruning


@dataclass(frozen=True)
class PhaseFinding:
    """What one phase found.

    Attributes:
        found: the figures. sentence: the same in words. json: the same as `leaderboard` prints it.
    """

    found: PruningCheck | Race
    sentence: str
    json: dict[str, Any]


@dataclass(frozen=True)
class Race:
    """Further seeds for those that were tied with the leader.

    Attributes:
        runs: whole trainings so far, of at most `budget`. tied: variants that share the lead now.
    """

    runs: int
    budget: int
    tied: int


def phase_findings(history: StudyHistory, rows: Sequence[Row]) -> dict[str, PhaseFinding]:
    """Of every phase that has found something, by name.

    Args:
        history: of all phases.
        rows: of the leaderboard, best first.
    """
    found = {phase: find(history, rows) for phase, find in FINDERS.items()}
    return {phase: finding for phase, finding in found.items() if finding is not None}


def _pruning_check(history: StudyHistory, rows: Sequence[Row]) -> PhaseFinding | None:
    """Pruned trials that were run to the end, against the leader of those that were not pruned.

    Returns:
        None where a study checks no pruning, or has no leader yet.
    """
    history = history.only(SEARCHED)
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
    check = check_pruning(losses, winner.value_loss, pruned)
    # A rate that is not known yet is None.
    rate = check.rate if check.checked else None
    json = {**asdict(check), "rate": rate, "most": check.most}
    return PhaseFinding(check, pruning_check_sentence(check), json)


def _race(history: StudyHistory, rows: Sequence[Row]) -> PhaseFinding | None:
    """How far the race is; None where a study has none, or its search is not over."""
    history = history.only(SEARCHED)
    searching = history.searched < history.target_trials or any(
        not trial.is_rerun for trial in history.unfinished
    )
    if "race" not in _phases(history) or searching:
        return None
    runs = sum(trial.origin == "race" for trial in history.trials.values())
    tied = sum(bool(row.tied_with_leader) for row in rows)
    race = Race(runs, history.study.config["race"]["runs"], tied)
    return PhaseFinding(race, _race_sentence(race), asdict(race))


def pruning_check_sentence(check: PruningCheck) -> str:
    """How often pruning stopped a trial that would have won."""
    if not check.pruned:
        return "pruning check: no trial was pruned"
    if not check.checked:
        return f"pruning check: none of {check.pruned} pruned trials has been run to the end yet"
    ran = "1 pruned trial" if check.checked == 1 else f"{check.checked} pruned trials"
    gain = f", the best by {check.best_gain:.4f}" if check.beat_the_winner else ""
    return (
        f"pruning check: of {ran} run to the end {check.beat_the_winner} beat the winner{gain}; "
        f"of all {check.pruned} pruned {check.rate:.0%} would have ({check.low:.0%} to "
        f"{check.high:.0%}, at most {check.most})"
    )


def _race_sentence(race: Race) -> str:
    """What further seeds for the tied leaders brought."""
    trainings = "training" if race.runs == 1 else "trainings"
    runs = f"{race.runs} further {trainings} of at most {race.budget}"
    if race.tied < 2:
        return f"race: {runs}; the lead is decided"
    return f"race: {runs}; {race.tied} are still tied"


def _was_never_pruned(row: Row, history: StudyHistory) -> bool:
    trials = [history.trials[name] for name in row.trial_ids]
    return row.rank is not None and any(
        trial.status == "completed" and not trial.is_rerun for trial in trials
    )


def _phases(history: StudyHistory) -> Sequence[str]:
    phases: Sequence[str] = history.study.config.get("phases", ())
    return phases


# In the order in which their sentences stand below a leaderboard.
FINDERS: Mapping[str, Callable[[StudyHistory, Sequence[Row]], PhaseFinding | None]] = (
    MappingProxyType({"race": _race, "pruning_check": _pruning_check})
)
