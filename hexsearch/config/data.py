"""Which games, how they are split, and how positions are grouped."""

from __future__ import annotations

from typing import Any

from pydantic import Field, model_validator

from hexsearch.config.section import Section
from hexsearch.game.board import MAX_SIZE, MIN_SIZE

STAGE_PRESETS: dict[str, dict[str, float]] = {
    "default": {"early": 0.12, "middle": 0.24},
    # 20 and 80 stones on 13x13, as in the original project. In games of an engine, one position
    # in a thousand is later than the second bound.
    "original": {"early": 20 / 169, "middle": 80 / 169},
}


class StagesConfig(Section):
    """The ends of the stages early and middle, as filled fractions of the board."""

    early: float = Field(
        0.12, gt=0.0, lt=1.0, description="filled fraction of the board where early ends"
    )
    middle: float = Field(
        0.24, gt=0.0, lt=1.0, description="filled fraction where middle ends and late begins"
    )

    @model_validator(mode="before")
    @classmethod
    def _expand_preset(cls, raw: Any) -> Any:
        if isinstance(raw, str):
            if raw not in STAGE_PRESETS:
                raise ValueError(f"unknown stages {raw!r}; known are {', '.join(STAGE_PRESETS)}")
            return STAGE_PRESETS[raw]
        return raw

    @model_validator(mode="after")
    def _rise(self) -> StagesConfig:
        if self.early >= self.middle:
            raise ValueError(
                f"early ends at {self.early:g}; this must be less than middle's {self.middle:g}"
            )
        return self


class SplitConfig(Section):
    """Shares of the games. A symmetry-invariant hash of each game decides its split."""

    validation: float = Field(
        0.1, gt=0.0, lt=1.0, description="share of the games by which the search ranks trials"
    )
    test: float = Field(
        0.1, ge=0.0, lt=1.0, description="share of the games for confirmations and ensembles only"
    )
    salt: str = Field("hexsearch", max_length=200, description="another salt gives another split")

    @model_validator(mode="after")
    def _leave_training_games(self) -> SplitConfig:
        if self.validation + self.test >= 1.0:
            raise ValueError(
                f"validation {self.validation:g} and test {self.test:g} leave no training games"
            )
        return self


class DataConfig(Section):
    """Which games, how they are split, and how positions are grouped."""

    board_size: int = Field(
        13, ge=MIN_SIZE, le=MAX_SIZE, description="rows and columns of the board"
    )
    split: SplitConfig = Field(
        default_factory=SplitConfig, description="shares of the games for validation and test"
    )
    stages: StagesConfig = Field(
        default_factory=StagesConfig, description="where early and middle positions end"
    )
    validation_games: int | None = Field(
        None,
        ge=2,
        le=10**9,
        description="Most validation games that are evaluated at each report; null: all of them.",
    )
