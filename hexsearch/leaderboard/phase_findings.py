"""Results of the phases after a search, from its history: one function for each phase.

Confirmation and match have their own modules, `confirmation.py` and `strength.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any

from hexsearch.leaderboard.rows import Row
from hexsearch.ledger.history import ENDED, SEARCHED, StudyHistory
from hexsearch.ledger.kinds import stored_number
from hexsearch.statistics.pruning_check import PruningCheck, check_pruning


@dataclass(frozen=True)
class PhaseFinding:
    """The result of one phase.

    Attributes:
        found: the figures.
        sentence: the figures as a sentence.
        json: the figures as `leaderboard --format json` prints them.
    """

    found: PruningCheck | Race
    sentence: str
    json: dict[str, Any]


@dataclass(frozen=True)
class Race:
    """Further seeds for variants that were tied with the leader.

    Attributes:
        runs: number of trainings so far, of `budget` at most.
        tied: number of variants that are tied for the lead now, including the leader.
    """

    runs: int
    budget: int
    tied: int


def phase_findings(history: StudyHistory, rows: Sequence[Row]) -> dict[str, PhaseFinding]:
    """The findings of all phases that have results, by phase.

    Args:
        history: history of all phases.
        rows: rows of the leaderboard, best first.
    """
    findings = {phase: find(history, rows) for phase, find in FINDERS.items()}
    return {phase: finding for phase, finding in findings.items() if finding is not None}


def _pruning_check(history: StudyHistory, rows: Sequence[Row]) -> PhaseFinding | None:
    """Compare pruned trials that were run to the end with the leader of the unpruned trials.

    Returns:
        None if the study has no such phase, or no leader yet.
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
    # The rate is None before the first trial was checked.
    rate = check.rate if check.checked else None
    json = {**asdict(check), "rate": rate, "most": check.most}
    return PhaseFinding(check, pruning_check_sentence(check), json)


def _race(history: StudyHistory, rows: Sequence[Row]) -> PhaseFinding | None:
    """The state of the race; None if the study has none, or if its search has not ended."""
    history = history.only(SEARCHED)
    searching = history.searched < history.target_trials or any(
        not trial.is_rerun for trial in history.unfinished
    )
    if "race" not in _phases(history) or searching:
        return None
    runs = sum(trial.origin == "race" for trial in history.trials.values())
    tied = sum(bool(row.tied_with_leader) for row in rows)
    race = Race(runs, int(stored_number(history.study.config, "race", "runs", runs)), tied)
    return PhaseFinding(race, _race_sentence(race), asdict(race))


def pruning_check_sentence(check: PruningCheck) -> str:
    """A sentence on how often pruning stopped a trial that would have won."""
    if not check.pruned:
        return "pruning check: no trial was pruned"
    if not check.checked:
        return f"pruning check: none of {check.pruned} pruned trials has been run to the end yet"
    ran = "1 pruned trial" if check.checked == 1 else f"{check.checked} pruned trials"
    pruned = "1 pruned trial" if check.pruned == 1 else f"all {check.pruned} pruned trials"
    gain = f", the best by {check.best_gain:.4f}" if check.beat_the_winner else ""
    return (
        f"pruning check: of {ran} run to the end, {check.beat_the_winner} beat the winner{gain}; "
        f"of {pruned}, {check.rate:.0%} would have beaten it "
        f"({check.low:.0%} to {check.high:.0%}, at most {check.most})"
    )


def _race_sentence(race: Race) -> str:
    """A sentence on the result of the race."""
    trainings = "training" if race.runs == 1 else "trainings"
    runs = f"{race.runs} further {trainings} of at most {race.budget}"
    if race.tied < 2:
        return f"race: {runs}; the leader is not tied any more"
    return f"race: {runs}; {race.tied} variants are still tied"


def _was_never_pruned(row: Row, history: StudyHistory) -> bool:
    # Rows of a comparison have trials that no search has.
    trials = [history.trials[name] for name in row.trial_ids if name in history.trials]
    return row.rank is not None and any(
        trial.status == "completed" and not trial.is_rerun for trial in trials
    )


def _phases(history: StudyHistory) -> Sequence[str]:
    phases: Sequence[str] = history.study.config.get("phases", ())
    return phases


# In the order in which their sentences are printed below a leaderboard.
FINDERS: Mapping[str, Callable[[StudyHistory, Sequence[Row]], PhaseFinding | None]] = (
    MappingProxyType({"race": _race, "pruning_check": _pruning_check})
)
