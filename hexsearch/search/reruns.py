"""Trainings that are planned rather than proposed: a batch at a time, whenever all have ended.

They stand in the study's ledger beside the trials of the search, but no rung, searcher or trial
budget counts them. A rerun has the seed of its replicate, so a checked trial goes through the
same numbers again up to where it was pruned.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hexsearch.config.phases import RaceConfig
from hexsearch.config.trial import TrialConfig
from hexsearch.ledger.events import Chosen, Compared, Suggested
from hexsearch.ledger.history import ENDED, StudyHistory, TrialHistory
from hexsearch.search.seeds import derive_seed
from hexsearch.search.space import Values, variant_key


@dataclass(frozen=True)
class PlannedRun:
    """A whole training to come.

    Attributes:
        origin: why it is planned. replicate: number of the seed. The rest as in Suggested.
    """

    origin: str
    replicate: int
    variant: str
    head: str
    values: Values
    config: dict[str, Any]

    @classmethod
    def again(cls, like: TrialHistory, replicate: int, origin: str) -> PlannedRun:
        """The variant of a trial once more."""
        return cls(origin, replicate, like.variant, like.head, like.values, like.config)

    @classmethod
    def of(cls, trial: TrialConfig, values: Values, replicate: int, origin: str) -> PlannedRun:
        """A trial that perhaps nobody has trained yet."""
        config = trial.model_dump(mode="json")
        return cls(origin, replicate, variant_key(trial), trial.head_name, values, config)

    def suggested(self, trial: str, number: int, seed: int, missing: int = 0) -> Suggested:
        """The event that begins it."""
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
    """What a study does next.

    Attributes:
        runs: trainings that do not wait for each other.
        note: what was found out and led to them, to be recorded before them.
    """

    runs: tuple[PlannedRun, ...] = ()
    note: Compared | Chosen | None = None

    def __bool__(self) -> bool:
        return bool(self.runs) or self.note is not None


# Given everything that has ended, the next batch; an empty one once there is nothing left to do.
# Runs that have not ended change nothing in the answer, so that a batch of which a crash left
# only a part in the ledger can be asked for again.
Planner = Callable[[StudyHistory], Batch]


def nothing_planned(history: StudyHistory) -> Batch:
    """The planner of a study that only searches."""
    return Batch()


@dataclass(frozen=True)
class Place:
    """One variant in the order that the evidence so far gives.

    Attributes:
        value_loss: mean over its runs at the full budget.
        expected_value_loss: what fresh seeds would give, the luck of the search allowed for.
    """

    variant: str
    name: str
    value_loss: float
    expected_value_loss: float
    seeds: int


@dataclass(frozen=True)
class LeaderSummary:
    """Variants that were trained to the end, best first; the first `tied` cannot be told apart."""

    places: tuple[Place, ...]
    tied: int


def pruning_check_reruns(history: StudyHistory, seed: int, share: float) -> list[PlannedRun]:
    """Pruned and paused trials that were drawn, by a lot that nothing they did has a part in."""
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
    """One further seed for each variant that is tied with the leader and has the fewest.

    Replicate r has the same seed in every variant, so equal counts make pairs.

    Args:
        history: of the search and its reruns alone.
    """
    tied = [place.variant for place in summary.places[: summary.tied]]
    ended = [trial for trial in history.trials.values() if trial.status in ENDED]
    left = config.runs - sum(trial.origin == "race" for trial in ended)
    runs: dict[str, dict[int, TrialHistory]] = {variant: {} for variant in tied}
    for trial in ended:
        # A rerun that failed has had its chance.
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
