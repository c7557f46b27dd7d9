"""What a study does besides searching: phases before and after, each with a budget of its own."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, BeforeValidator, Field

from hexsearch.config.section import Section, tuple_from_list

PhaseName = Literal["compare", "search", "pruning_check", "race", "confirm", "match"]


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


class PruningCheckConfig(Section):
    """After the search: some of the pruned trials, drawn at random, are run to the end."""

    share: float = Field(
        0.05, gt=0.0, le=1.0, description="of the pruned trials, each drawn on its own"
    )


class RaceConfig(Section):
    """After the search: further seeds for those that cannot be told from the leader."""

    runs: int = Field(12, ge=1, le=10_000, description="whole trainings at most")
    seeds: int = Field(
        5, ge=2, le=1000, description="of one variant at most, those of the search included"
    )


class ConfirmConfig(Section):
    """At the end: winners and the `512->1` baseline with fresh seeds, judged on test games."""

    winners: int = Field(
        3, ge=1, le=100, description="at most; those that are tied for the first place"
    )
    seeds: int = Field(3, ge=1, le=1000, description="fresh ones, for each winner")


class MatchConfig(Section):
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
