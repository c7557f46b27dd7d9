"""What a study does besides searching: phases before and after, each with a budget of its own.

A phase that trains says in `PHASE_TRIALS` how its trials are named, seeded, reported and judged,
and in its section how many it may train; `study/phases.py` plans them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, ClassVar, Literal, get_args

from pydantic import AfterValidator, BeforeValidator, Field

from hexsearch.config.section import Section, tuple_from_list

PhaseName = Literal["compare", "search", "pruning_check", "race", "confirm", "match"]


@dataclass(frozen=True)
class PhaseTrials:
    """How the trials of one phase are told apart from others.

    Attributes:
        origins: why a trial of it is run, by the word that the ledger keeps; in the live view the
            words come after the trial's name.
        numbered_with: the phase whose numbers and seeds it shares. Trials with the same
            number of a seed are trained alike, and one leaderboard compares them.
        letter: that names of its trials begin with.
        points: where its trials report: `rungs` as the search does, `shared_trunk` evenly over the
            budget, `saved` only at the end, with checkpoints before.
        judged_on: the games that its last report reads.
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
        "search": PhaseTrials({}, "search"),  # and of every origin that is named nowhere else
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
        is_drawn: the number of its trainings is a matter of chance, so a plan says "about".
    """

    is_drawn: ClassVar[bool] = False

    def trainings(self, pruned: float) -> float:
        """Whole trainings that it costs, at most.

        Args:
            pruned: trials that the search is expected to prune.
        """
        return 0.0


def _in_order(phases: tuple[PhaseName, ...]) -> tuple[PhaseName, ...]:
    order = get_args(PhaseName)
    if "search" not in phases and phases != ("compare",):
        raise ValueError("'search' is missing; only 'compare' can stand alone")
    if list(phases) != sorted(set(phases), key=order.index):
        raise ValueError(f"each at most once, in the order {', '.join(order)}")
    return phases


Phases = Annotated[
    tuple[PhaseName, ...], BeforeValidator(tuple_from_list), AfterValidator(_in_order)
]


class PruningCheckConfig(PhaseSection):
    """After the search: some of the pruned trials, drawn at random, are run to the end."""

    is_drawn: ClassVar[bool] = True

    share: float = Field(
        0.05, gt=0.0, le=1.0, description="of the pruned trials, each drawn on its own"
    )

    def trainings(self, pruned: float) -> float:
        """Those that are expected to be drawn."""
        return self.share * pruned


class RaceConfig(PhaseSection):
    """After the search: further seeds for those that cannot be told from the leader."""

    runs: int = Field(12, ge=1, le=10_000, description="whole trainings at most")
    seeds: int = Field(
        5, ge=2, le=1000, description="of one variant at most, those of the search included"
    )

    def trainings(self, pruned: float) -> float:
        """Its own limit."""
        return self.runs


class ConfirmConfig(PhaseSection):
    """At the end: winners and the `512->1` baseline with fresh seeds, judged on test games."""

    winners: int = Field(
        3, ge=1, le=100, description="at most; those that are tied for the first place"
    )
    seeds: int = Field(3, ge=1, le=1000, description="fresh ones, for each winner")

    def trainings(self, pruned: float) -> float:
        """Winners and the baseline."""
        return (self.winners + 1) * self.seeds


class MatchConfig(PhaseSection):
    """At the end: trained networks play each other, their value heads over one shared policy."""

    players: int = Field(
        8,
        ge=2,
        le=100,
        description="networks at most: the best completed trials that kept a checkpoint "
        "(run.keep_checkpoints), one of each variant, and 512->1",
    )
    openings: int = Field(
        30, ge=2, le=10_000, description="each played twice by every pair, colours exchanged"
    )
    candidates: int = Field(
        6,
        ge=1,
        le=361,
        description="likeliest moves of the leader's policy that a value head judges",
    )
