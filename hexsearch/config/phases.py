"""Phases of a study before and after the search, each with its own budget.

For each phase that trains, `PHASE_TRIALS` states how its trials are named, seeded, reported and
evaluated. Its section states how many it may train. `study/phases.py` plans the trials.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, ClassVar, Literal, get_args

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from hexsearch.config.section import MAX_TEXT, Section, tuple_from_list

PhaseName = Literal["compare", "search", "pruning_check", "race", "confirm", "match"]


@dataclass(frozen=True)
class PhaseTrials:
    """Properties of the trials of one phase.

    Attributes:
        origins: the reasons for its trials: the word in the ledger -> the words that follow the
            trial's name in the live view.
        numbered_with: the phase with which it shares the numbers of trials and seeds. Trials of
            both are trained alike, and one leaderboard compares them.
        letter: first letter of the names of its trials.
        points: when its trials report: `rungs` as in the search, `shared_trunk` evenly over the
            budget, `saved` only at the end, with checkpoints before.
        judged_on: the games on which its last report is made.
    """

    origins: Mapping[str, str]
    numbered_with: PhaseName
    letter: str = "t"
    points: Literal["rungs", "shared_trunk", "saved"] = "rungs"
    judged_on: Literal["validation", "test"] = "validation"


PHASE_TRIALS: Mapping[PhaseName, PhaseTrials] = MappingProxyType(
    {
        "compare": PhaseTrials(
            {"compare": "in the comparison"}, "compare", letter="h", points="shared_trunk"
        ),
        "search": PhaseTrials({}, "search"),  # for every origin that no other phase has
        "pruning_check": PhaseTrials(
            {"pruning_check": "run to the end for the pruning check"}, "search"
        ),
        "race": PhaseTrials({"race": "with another seed for the race"}, "search"),
        "confirm": PhaseTrials(
            {
                "winner": "of the winners is to be confirmed",
                "baseline": "is the baseline beside the winners",
            },
            "confirm",
            letter="c",
            points="saved",
            judged_on="test",
        ),
    }
)


class PhaseSection(Section):
    """Settings of one phase.

    Attributes:
        is_drawn: the number of its trainings is random, so a plan prints "about".
    """

    is_drawn: ClassVar[bool] = False

    def trainings(self, pruned: float) -> float:
        """Number of whole trainings that the phase costs at most.

        Args:
            pruned: number of trials that the search is expected to prune.
        """
        return 0.0


def _in_order(phases: tuple[PhaseName, ...]) -> tuple[PhaseName, ...]:
    order = get_args(PhaseName)
    if "search" not in phases and phases != ("compare",):
        raise ValueError("'search' is missing; only 'compare' can stand alone")
    if list(phases) != sorted(set(phases), key=order.index):
        raise ValueError(f"give each phase at most once, in the order {', '.join(order)}")
    return phases


Phases = Annotated[
    tuple[PhaseName, ...], BeforeValidator(tuple_from_list), AfterValidator(_in_order)
]


class CompareConfig(PhaseSection):
    """All value heads (and read-outs) of a finite space are trained together on one trunk."""

    seeds: int = Field(3, ge=1, le=1000, description="number of trunks, each with another seed")
    mode: Literal["joint", "probe"] = Field(
        "joint",
        description="joint: the trunk learns from the policy, the auxiliary heads and the mean of "
        "the value heads; probe: not from the value heads",
    )
    enqueue: int = Field(
        5,
        ge=0,
        le=1000,
        description="If a search follows: it tries this number of the best heads first.",
    )
    trunk: str | None = Field(
        None,
        max_length=MAX_TEXT,
        description="Mode probe: path of a checkpoint (model.pt or checkpoint.pt), relative to the "
        "working directory. Its trunk and policy head are frozen, and only the value heads are "
        "trained.",
    )
    trunk_hash: str | None = Field(
        None,
        max_length=MAX_TEXT,
        description="hash of that file; hexsearch sets it when the comparison begins",
    )

    def trainings(self, pruned: float) -> float:
        """One for each seed, since all heads share a trunk and most of its cost."""
        return self.seeds

    @model_validator(mode="after")
    def _frozen_fits(self) -> CompareConfig:
        if self.trunk is not None and self.mode != "probe":
            raise ValueError(
                f"mode {self.mode} trains the trunk, but trunk: {self.trunk} is frozen; use mode "
                "probe, or leave the trunk out"
            )
        if self.trunk_hash is not None and self.trunk is None:
            raise ValueError("trunk_hash is given without a trunk; leave it out")
        return self


class PruningCheckConfig(PhaseSection):
    """After the search, some pruned trials are drawn at random and run to the end."""

    is_drawn: ClassVar[bool] = True

    share: float = Field(
        0.05, gt=0.0, le=1.0, description="probability with which each pruned trial is drawn"
    )

    def trainings(self, pruned: float) -> float:
        """The expected number of drawn trials."""
        return self.share * pruned


class RaceConfig(PhaseSection):
    """After the search, variants that are tied with the leader get further seeds."""

    runs: int = Field(12, ge=1, le=10_000, description="most trainings of this phase")
    seeds: int = Field(
        5, ge=2, le=1000, description="most seeds of one variant, including those of the search"
    )

    def trainings(self, pruned: float) -> float:
        """The limit of the phase."""
        return self.runs


class ConfirmConfig(PhaseSection):
    """At the end, winners and the `512->1` baseline are trained with fresh seeds.

    They are evaluated on the test games.
    """

    winners: int = Field(
        3, ge=1, le=100, description="most variants to confirm, of those tied for the first place"
    )
    seeds: int = Field(3, ge=1, le=1000, description="fresh seeds for each winner")

    def trainings(self, pruned: float) -> float:
        """All seeds of the winners and of the baseline."""
        return (self.winners + 1) * self.seeds


class MatchConfig(PhaseSection):
    """At the end, trained networks play each other with their value heads and one shared policy."""

    players: int = Field(
        8,
        ge=2,
        le=100,
        description="Most networks: the best completed trials with a checkpoint "
        "(run.keep_checkpoints), one for each variant, and 512->1.",
    )
    openings: int = Field(
        30,
        ge=2,
        le=10_000,
        description="number of openings; every pair plays each twice with colours exchanged",
    )
    candidates: int = Field(
        6,
        ge=1,
        le=361,
        description="number of the leader policy's likeliest moves that a value head evaluates",
    )
