"""What one study is: data, the default trial, the dimensions searched, scheduler and resources."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from hexsearch.config.comparison import CompareConfig
from hexsearch.config.dimension import DimensionConfig
from hexsearch.config.phases import ConfirmConfig, Phases, PruningCheckConfig, RaceConfig
from hexsearch.config.section import Section, tuple_from_list
from hexsearch.config.trial import TrialConfig
from hexsearch.game.board import MAX_SIZE, MIN_SIZE

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*([smhd]?)\Z")
_SECONDS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def parse_duration(text: object) -> object:
    """Seconds of `90`, `90s`, `10m`, `1.5h` or `2d`; anything but text is passed through.

    Raises:
        ValueError: text that is no duration.
    """
    if isinstance(text, str):
        match = _DURATION.match(text.strip())
        if match is None:
            raise ValueError(f"{text!r} is no duration; write 90s, 10m, 1.5h or 2d")
        return float(match[1]) * _SECONDS[match[2]]
    return text


STAGE_PRESETS: dict[str, dict[str, float]] = {
    "default": {"early": 0.12, "middle": 0.24},
    # The original project's 20 and 80 stones on 13x13. One position in a thousand of engine
    # games lies beyond its second edge.
    "original": {"early": 20 / 169, "middle": 80 / 169},
}


class StagesConfig(Section):
    """Where early and middle end, as filled fractions of the board; late is the rest."""

    early: float = Field(0.12, gt=0.0, lt=1.0)
    middle: float = Field(0.24, gt=0.0, lt=1.0)

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
                f"early ends at {self.early:g}, which must lie below middle's {self.middle:g}"
            )
        return self


class SplitConfig(Section):
    """Shares of the games, drawn by a hash of each game's symmetry-invariant form."""

    validation: float = Field(0.1, gt=0.0, lt=1.0)
    test: float = Field(0.1, ge=0.0, lt=1.0)
    salt: str = "hexsearch"  # another salt is another split

    @model_validator(mode="after")
    def _leave_training_games(self) -> SplitConfig:
        if self.validation + self.test >= 1.0:
            raise ValueError(
                f"validation {self.validation:g} and test {self.test:g} leave no training games"
            )
        return self


class DataConfig(Section):
    """Which games, how they are split, and how positions are grouped."""

    board_size: int = Field(13, ge=MIN_SIZE, le=MAX_SIZE)
    split: SplitConfig = Field(default_factory=SplitConfig)
    stages: StagesConfig = Field(default_factory=StagesConfig)
    # At most this many validation games are evaluated at each report; null takes them all.
    validation_games: int | None = Field(None, ge=2)


StopOn = Annotated[
    tuple[Literal["dead", "vanishing", "exploding", "constant_output", "not_learning"], ...],
    BeforeValidator(tuple_from_list),
]


class SchedulerConfig(Section):
    """When trials are compared and cut. One unit of resource is one position seen."""

    # asha; hyperband: asha in brackets that begin at ever higher rungs; median: at every report,
    # stop what is worse than the median there; none.
    name: Literal["evidence", "asha", "hyperband", "median", "none"] = "asha"
    grace_period: int = Field(20_000, ge=1)  # positions every trial may see before its first rung
    max_t: int = Field(180_000, ge=1)  # positions after which a trial is finished
    reduction_factor: int = Field(3, ge=2)  # 1 trial in this many goes on past each rung
    report_every: int | None = Field(None, ge=1)  # positions between reports besides the rungs
    # Verdicts that end a trial from grace_period on. What is not finite always does.
    stop_on: StopOn = ("dead", "vanishing")

    @model_validator(mode="after")
    def _reach_a_rung(self) -> SchedulerConfig:
        if self.grace_period > self.max_t:
            raise ValueError(
                f"grace_period is {self.grace_period:,} positions but max_t is {self.max_t:,}: "
                "no trial would reach a rung. Lower it."
            )
        return self


Objectives = Annotated[
    tuple[Literal["value_loss", "microseconds", "parameters"], ...],
    BeforeValidator(tuple_from_list),
]


class SearcherConfig(Section):
    """What proposes the next configuration."""

    name: Literal["forecast", "tpe", "random", "grid", "cmaes", "gp", "nsga2"] = "tpe"
    startup_trials: int = Field(10, ge=1)  # drawn at random before anything is modelled
    grid_points: int = Field(5, ge=2)  # grid: values of each float, its ends included
    # What is minimised, each a figure of the last report. Several make a Pareto front, which
    # tpe and nsga2 can search.
    objectives: Objectives = ("value_loss",)

    @model_validator(mode="after")
    def _objectives_fit(self) -> SearcherConfig:
        if not self.objectives or len(set(self.objectives)) < len(self.objectives):
            raise ValueError(f"objectives {list(self.objectives)}: name each of one or more once")
        if len(self.objectives) > 1 and self.name in ("cmaes", "gp"):
            raise ValueError(f"{self.name} takes one objective; tpe and nsga2 take several")
        return self


class RunConfig(Section):
    """How many trials, on what."""

    trials: int = Field(50, ge=1)
    seed: int = Field(0, ge=0)
    cpus_per_trial: int = Field(1, ge=1)  # also the threads that a trial may use
    gpus_per_trial: float = Field(0.0, ge=0.0)  # a fraction shares a GPU between trials
    max_concurrent: int | None = Field(None, ge=1)  # trials at once; null fills the machine
    time_budget: Annotated[float | None, BeforeValidator(parse_duration)] = Field(
        None, gt=0.0
    )  # seconds after which no trial is started and running ones are kept for resume
    # Totals of the whole study, after which running trials are kept for a resume.
    position_budget: int | None = Field(None, ge=1)  # positions trained on
    gpu_hours: float | None = Field(None, gt=0.0)  # of trials, at gpus_per_trial each
    # Prune no more once what is left of a budget would not carry a fresh trial to its end; false
    # where a study is run in slices and will be resumed.
    stop_pruning_near_end: bool = True
    # Seconds in which a trial must come to a report; a worker that does not is ended with its
    # traceback kept, and the trial retried from its last checkpoint. null waits for ever.
    hang_timeout: Annotated[float | None, BeforeValidator(parse_duration)] = Field(7200.0, gt=0.0)
    # Report and save at least so often, besides the rungs; decisions fall at rungs alone.
    report_seconds: Annotated[float | None, BeforeValidator(parse_duration)] = Field(None, gt=0.0)
    retries: int = Field(1, ge=0)  # how often a trial that raised is tried again
    # Optuna storage kept beside the ledger for optuna-dashboard: `journal` is a file in the study's
    # folder; else a database URL; null keeps none.
    optuna_storage: str | None = "journal"
    keep_checkpoints: int = Field(3, ge=0)  # the best k completed trials keep theirs
    # Disk for the checkpoints of paused trials; beyond it those that promise least are pruned.
    paused_checkpoints_gb: float = Field(10.0, ge=0.0)
    # Where trials of a cluster without a shared folder keep their files: s3://bucket/studies.
    trial_files: str | None = Field(None, pattern=r"^\w[\w+.-]*://.")


class StudyConfig(Section):
    """A whole search-space file."""

    question: str
    data: DataConfig = Field(default_factory=DataConfig)
    trial: TrialConfig = Field(default_factory=TrialConfig)
    search: dict[str, DimensionConfig] = Field(default_factory=dict)
    enqueue: list[dict[str, Any]] = Field(default_factory=list)  # configurations tried first
    scheduler: SchedulerConfig = Field(default_factory=SchedulerConfig)
    searcher: SearcherConfig = Field(default_factory=SearcherConfig)
    run: RunConfig = Field(default_factory=RunConfig)
    # comparison, search, pruning_check, race, confirm: what the study does, in this order.
    phases: Phases = ("search",)
    compare: CompareConfig = Field(default_factory=CompareConfig)
    pruning_check: PruningCheckConfig = Field(default_factory=PruningCheckConfig)
    race: RaceConfig = Field(default_factory=RaceConfig)
    confirm: ConfirmConfig = Field(default_factory=ConfirmConfig)

    @model_validator(mode="after")
    def _phases_fit(self) -> StudyConfig:
        if "confirm" in self.phases and not self.data.split.test:
            raise ValueError("phases: confirm judges on test games, and data.split.test is 0")
        return self
