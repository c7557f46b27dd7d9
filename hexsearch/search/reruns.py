"""Planned runs: trainings that phases plan in batches, and that the searcher does not propose.

They are recorded in the study's ledger like the trials of the search, but rungs, searcher and
trial budget do not count them. A rerun has the seed of its replicate, so a trial of the pruning
check repeats the same numbers up to the rung where it was pruned.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hexsearch.config.phases import RaceConfig
from hexsearch.config.trial import TrialConfig
from hexsearch.ledger.events import Chosen, Compared, Suggested
from hexsearch.ledger.history import ENDED, StudyHistory, TrialHistory
from hexsearch.ledger.place import Place
from hexsearch.search.seeds import derive_seed
from hexsearch.search.space import Values, variant_key


@dataclass(frozen=True)
class PlannedRun:
    """A planned training.

    Attributes:
        origin: why it is planned.
        replicate: number of the seed.
        variant, head, values, config: as in Suggested.
    """

    origin: str
    replicate: int
    variant: str
    head: str
    values: Values
    config: dict[str, Any]

    @classmethod
    def again(cls, like: TrialHistory, replicate: int, origin: str) -> PlannedRun:
        """A run of the same variant as a trial."""
        return cls(origin, replicate, like.variant, like.head, like.values, like.config)

    @classmethod
    def of(cls, trial: TrialConfig, values: Values, replicate: int, origin: str) -> PlannedRun:
        """A run of a configuration, which may be new."""
        config = trial.model_dump(mode="json")
        return cls(origin, replicate, variant_key(trial), trial.head_name, values, config)

    def suggested(self, trial: str, number: int, seed: int, missing: int = 0) -> Suggested:
        """The event that records it as planned."""
        return Suggested(
            trial=trial,
            number=number,
            variant=self.variant,
            replicate=self.replicate,
            seed=seed,
            head=self.head,
            values=self.values,
            config=self.config,
            origin=self.origin,
            missing=missing,
        )


@dataclass(frozen=True)
class Batch:
    """The next runs of a study.

    Attributes:
        runs: trainings that are independent of each other.
        note: event with the result that led to them, which is recorded before them.
    """

    runs: tuple[PlannedRun, ...] = ()
    note: Compared | Chosen | None = None

    def __bool__(self) -> bool:
        return bool(self.runs) or self.note is not None


# A planner returns the next batch, given all runs that have ended. The batch is empty if nothing is
# left to do. Runs that have not ended must not change the result, so that a batch can be planned
# again if a crash has left only a part of it in the ledger.
Planner = Callable[[StudyHistory], Batch]


def nothing_planned(history: StudyHistory) -> Batch:
    """The planner of a study that only searches."""
    return Batch()


@dataclass(frozen=True)
class LeaderSummary:
    """Variants that were trained to the end, best first. The first `tied` of them are tied."""

    places: tuple[Place, ...]
    tied: int


def pruning_check_reruns(history: StudyHistory, seed: int, share: float) -> list[PlannedRun]:
    """Runs of pruned and paused trials that are drawn at random, independently of results."""
    checked = {
        (trial.variant, trial.replicate)
        for trial in history.trials.values()
        if trial.origin == "pruning_check" and trial.status in ENDED
    }
    return [
        PlannedRun.again(trial, trial.replicate, "pruning_check")
        for trial in history.trials.values()
        if trial.status in ("paused", "pruned")
        and derive_seed(seed, "audit", trial.number) < share * 2**32
        and (trial.variant, trial.replicate) not in checked
    ]


def race_reruns(
    history: StudyHistory, summary: LeaderSummary, config: RaceConfig
) -> list[PlannedRun]:
    """One further seed for each variant that is tied with the leader and has the fewest seeds.

    Replicate r has the same seed in every variant, so equal numbers of seeds give pairs.

    Args:
        history: history of the search and its reruns alone.
    """
    tied = [place.variant for place in summary.places[: summary.tied]]
    ended = [trial for trial in history.trials.values() if trial.status in ENDED]
    left = config.runs - sum(trial.origin == "race" for trial in ended)
    runs: dict[str, dict[int, TrialHistory]] = {variant: {} for variant in tied}
    for trial in ended:
        # A rerun that failed is not repeated.
        if trial.variant in runs and (trial.status == "completed" or trial.is_rerun):
            runs[trial.variant][trial.replicate] = trial
    fewest = min((len(known) for known in runs.values()), default=0)
    if len(tied) < 2 or fewest >= config.seeds or left < 1:
        return []
    return [
        PlannedRun.again(
            next(iter(runs[variant].values())),
            next(number for number in range(len(runs[variant]) + 1) if number not in runs[variant]),
            "race",
        )
        for variant in tied
        if len(runs[variant]) == fewest
    ][:left]
