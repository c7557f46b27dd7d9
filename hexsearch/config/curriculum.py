"""Curriculum: which training positions are drawn, how often, and with which weight."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from hexsearch.config.section import (
    MAX_PLIES,
    MAX_POSITIONS,
    MAX_WEIGHT,
    Section,
    StrTuple,
    suggest,
    tuple_from_list,
)

STAGES = ("early", "middle", "late")


class RuleConfig(Section):
    """Bounds on the positions of each game. A position must satisfy all of them."""

    k: int = Field(
        20, ge=1, le=MAX_PLIES, description="last_k: samples are 0 to k plies before the end"
    )
    stages: StrTuple = Field(
        (),
        max_length=len(STAGES),
        description="only these stages (early, middle, late), which must adjoin; empty: all",
    )
    first_ply: int = Field(
        0, ge=0, le=MAX_PLIES, description="only positions with at least this many stones"
    )
    last_ply: int | None = Field(
        None,
        ge=0,
        le=MAX_PLIES,
        description="only positions with at most this many stones; null: no bound",
    )
    positions_per_game: int | None = Field(
        None,
        ge=1,
        le=MAX_PLIES,
        description="Most positions of a game in one pass. They are spread over the game and "
        "drawn again for each pass; null: all positions.",
    )

    @model_validator(mode="after")
    def _bounds_leave_something(self) -> RuleConfig:
        for stage in self.stages:
            if stage not in STAGES:
                raise ValueError(f"unknown stage {stage!r}; {suggest(stage, list(STAGES))}")
        if "early" in self.stages and "late" in self.stages and "middle" not in self.stages:
            raise ValueError(
                "stages early and late do not adjoin; use two parts of a mixture instead"
            )
        if self.last_ply is not None and self.last_ply < self.first_ply:
            raise ValueError(f"last_ply {self.last_ply} is less than first_ply {self.first_ply}")
        return self


RuleName = Literal["all", "last_k", "penultimate", "penultimate_and_final", "final"]


class PartConfig(RuleConfig):
    """One part of a mixture: positions that are drawn with a share of their own."""

    name: RuleName = Field("all", description="which positions of a game")
    share: float = Field(
        1.0, gt=0.0, le=1e6, description="share of the samples, relative to the other parts"
    )


class PhaseConfig(RuleConfig):
    """One phase of a progressive curriculum, which holds until a number of positions was seen."""

    name: RuleName = Field("all", description="which positions of a game")
    until: int | None = Field(
        None,
        ge=1,
        le=MAX_POSITIONS,
        description="positions seen when the phase ends; null in the last phase",
    )


Parts = Annotated[tuple[PartConfig, ...], BeforeValidator(tuple_from_list)]
Phases = Annotated[tuple[PhaseConfig, ...], BeforeValidator(tuple_from_list)]


class CurriculumConfig(RuleConfig):
    """Which positions of the training games are drawn.

    Finished positions have no side to move. In `penultimate_and_final` the side to move of every
    penultimate position is the winner, so a network can tell it without looking at the board.
    """

    name: Literal[RuleName, "mixture", "progressive"] = Field(
        "all",
        description="all positions; last_k: the last plies; the last but one; the last two; the "
        "final one; a mixture of such parts; or progressive: one after the other",
    )
    parts: Parts = Field((), max_length=20, description="mixture: the parts that are mixed")
    phases: Phases = Field(
        (), max_length=20, description="progressive: the phases, one after the other"
    )
    mix_all: float = Field(
        0.2, ge=0.0, le=1.0, description="progressive: share of curriculum all in every phase"
    )
    stage_weights: dict[str, float] = Field(
        default_factory=dict,
        max_length=len(STAGES),
        description="Weight of a position in the value loss by stage; 1 if left out. The weights "
        "are scaled to a mean of 1 over the samples, so that learning rates stay comparable.",
    )
    stage_smoothing: dict[str, float] = Field(
        default_factory=dict,
        max_length=len(STAGES),
        description="Share by which the value target of a position is moved towards 0.5 by stage; "
        "0 if left out. Reports are judged by the results themselves.",
    )
    search_value: float = Field(
        0.0,
        ge=0.0,
        le=1.0,
        description="Share of the search's value in what the value is taught, where the games "
        "hold one (`games annotate`, `games generate --root-values`); the rest is the result.",
    )

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, raw: Any) -> Any:
        return {"name": raw} if isinstance(raw, str) else raw

    @model_validator(mode="after")
    def _kind_fits(self) -> CurriculumConfig:
        for name, kind in (("parts", "mixture"), ("phases", "progressive")):
            if bool(getattr(self, name)) != (self.name == kind):
                raise ValueError(f"{name} belongs to curriculum {kind}, which needs it")
        ends = [phase.until for phase in self.phases]
        if ends and (ends[-1] is not None or None in ends[:-1]):
            raise ValueError("every phase except the last needs 'until'; the last has none")
        bounds = [0, *[end for end in ends if end is not None]]
        if any(end <= start for start, end in pairwise(bounds)):
            raise ValueError(f"'until' must rise from phase to phase, got {bounds[1:]}")
        bounded = self.stages or self.first_ply or self.last_ply or self.positions_per_game
        if (self.parts or self.phases) and bounded:
            raise ValueError(f"in curriculum {self.name}, bounds belong into {self._kind_key()}")
        for stage in (*self.stage_weights, *self.stage_smoothing):
            if stage not in STAGES:
                raise ValueError(f"unknown stage {stage!r}; {suggest(stage, list(STAGES))}")
        for stage, weight in self.stage_weights.items():
            if weight < 0.0:
                raise ValueError(f"stage_weights.{stage} is {weight:g}; it must not be negative")
            if weight > MAX_WEIGHT:
                raise ValueError(f"stage_weights.{stage} is {weight:g}; at most {MAX_WEIGHT:g}")
        for stage, share in self.stage_smoothing.items():
            if not 0.0 <= share < 1.0:
                raise ValueError(f"stage_smoothing.{stage} is {share:g}; at least 0, below 1")
        if len(self.stage_weights) == len(STAGES) and not any(self.stage_weights.values()):
            raise ValueError("stage_weights are all 0: nothing would be learned")
        return self

    def _kind_key(self) -> str:
        return "parts" if self.parts else "phases"
