"""Which variants are trained again once the search is over, and why: pruning check and race.

Reruns stand in the study's own ledger beside the trials of the search, but no rung, searcher or
trial budget counts them. A rerun has the seed of its replicate, so a checked trial goes through
the same numbers again up to where it was pruned.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hexsearch.config.phases import RaceConfig
from hexsearch.config.study import StudyConfig
from hexsearch.ledger.folder import StudyFolder
from hexsearch.ledger.history import ENDED, StudyHistory, TrialHistory
from hexsearch.search.seeds import derive_seed


@dataclass(frozen=True)
class Rerun:
    """A whole training to come.

    Attributes:
        like: a trial of the same variant. replicate: number of the seed.
    """

    like: TrialHistory
    replicate: int
    origin: str


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


# Statistics live in a room that imports this one, so whoever runs a study brings them along.
Judge = Callable[[StudyHistory, StudyFolder], LeaderSummary]
Follow = Callable[[StudyHistory], Sequence[Rerun]]


def follow_up(config: StudyConfig, folder: StudyFolder, judge: Judge) -> Follow:
    """What a study's stages run again, given what has ended so far; nothing if they are through.

    Reruns that have not ended change nothing in the answer, so that a batch of which a crash
    left only a part in the ledger can be asked for again.
    """

    def following(history: StudyHistory) -> Sequence[Rerun]:
        if "pruning_check" in config.phases:
            checked = pruning_check_reruns(history, config.run.seed, config.pruning_check.share)
            if checked:
                return checked
        if "race" in config.phases:
            return race_reruns(history, judge(history, folder), config.race)
        return ()

    return following


def pruning_check_reruns(history: StudyHistory, seed: int, share: float) -> list[Rerun]:
    """Pruned trials that were drawn, by a lot that nothing they did has a part in."""
    checked = {
        (trial.variant, trial.replicate)
        for trial in history.trials.values()
        if trial.origin == "pruning_check" and trial.status in ENDED
    }
    return [
        Rerun(trial, trial.replicate, "pruning_check")
        for trial in history.trials.values()
        if trial.status == "pruned"
        and derive_seed(seed, "audit", trial.number) < share * 2**32
        and (trial.variant, trial.replicate) not in checked
    ]


def race_reruns(history: StudyHistory, summary: LeaderSummary, config: RaceConfig) -> list[Rerun]:
    """One further seed for each variant that is tied with the leader and has the fewest.

    Replicate r has the same seed in every variant, so equal counts make pairs.
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
        Rerun(
            next(iter(runs[variant].values())),
            next(number for number in range(len(runs[variant]) + 1) if number not in runs[variant]),
            "race",
        )
        for variant in tied
        if len(runs[variant]) == fewest
    ][:left]
