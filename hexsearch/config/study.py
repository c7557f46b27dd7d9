"""Configuration of a study: data, default trial, dimensions, scheduler, resources and phases."""

from __future__ import annotations

from typing import Annotated, get_args

from pydantic import Field, model_validator

from hexsearch.config.data import DataConfig
from hexsearch.config.dimension import DimensionConfig
from hexsearch.config.phases import (
    CompareConfig,
    ConfirmConfig,
    MatchConfig,
    PhaseName,
    Phases,
    PruningCheckConfig,
    RaceConfig,
)
from hexsearch.config.run import RunConfig
from hexsearch.config.scheduler import SchedulerConfig, SearcherConfig
from hexsearch.config.section import MAX_TEXT, PlainValue, Section
from hexsearch.config.trial import TrialConfig

_MAX_DIMENSIONS = 200
_MAX_ENQUEUED = 10_000
Enqueued = Annotated[dict[str, PlainValue], Field(max_length=_MAX_DIMENSIONS)]


class StudyConfig(Section):
    """A whole search-space file."""

    question: str = Field(max_length=MAX_TEXT, description="the question that the study answers")
    data: DataConfig = Field(default_factory=DataConfig, description="board size, split and stages")
    trial: TrialConfig = Field(
        default_factory=TrialConfig,
        description="settings that are not searched, and defaults of the others",
    )
    search: dict[str, DimensionConfig] = Field(
        default_factory=dict,
        max_length=_MAX_DIMENSIONS,
        description="searched settings, by their dotted path in trial",
    )
    enqueue: list[Enqueued] = Field(
        default_factory=list, max_length=_MAX_ENQUEUED, description="configurations tried first"
    )
    scheduler: SchedulerConfig = Field(
        default_factory=SchedulerConfig, description="when trials are compared and pruned"
    )
    searcher: SearcherConfig = Field(
        default_factory=SearcherConfig, description="the algorithm that proposes configurations"
    )
    run: RunConfig = Field(
        default_factory=RunConfig, description="number of trials, devices, budgets"
    )
    phases: Phases = Field(
        ("search",),
        max_length=len(get_args(PhaseName)),
        description=f"phases of the study, in this order: {', '.join(get_args(PhaseName))}",
    )
    compare: CompareConfig = Field(
        default_factory=CompareConfig, description="comparison of heads on shared trunks"
    )
    pruning_check: PruningCheckConfig = Field(
        default_factory=PruningCheckConfig, description="pruned trials that are run to the end"
    )
    race: RaceConfig = Field(
        default_factory=RaceConfig, description="further seeds for variants tied with the leader"
    )
    confirm: ConfirmConfig = Field(
        default_factory=ConfirmConfig,
        description="winners are trained again and evaluated on test games",
    )
    match: MatchConfig = Field(default_factory=MatchConfig, description="winners play each other")

    @model_validator(mode="after")
    def _phases_fit(self) -> StudyConfig:
        if "confirm" in self.phases and not self.data.split.test:
            raise ValueError("phases: confirm needs test games, but data.split.test is 0")
        if "compare" in self.phases and self.scheduler.equal_compute is not None:
            raise ValueError(
                "phases: compare trains all heads on one trunk, at one cost; leave out "
                "scheduler.equal_compute"
            )
        return self
