"""What one study is: data, the default trial, the dimensions searched, scheduler and resources."""

from __future__ import annotations

from typing import Annotated, get_args

from pydantic import Field, model_validator

from hexsearch.config.comparison import CompareConfig
from hexsearch.config.data import DataConfig
from hexsearch.config.dimension import DimensionConfig
from hexsearch.config.phases import (
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

    question: str = Field(max_length=MAX_TEXT, description="what the study is to answer")
    data: DataConfig = Field(default_factory=DataConfig, description="games, split and stages")
    trial: TrialConfig = Field(
        default_factory=TrialConfig, description="what is not searched, and where a search begins"
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
        default_factory=SchedulerConfig, description="when trials are compared and cut"
    )
    searcher: SearcherConfig = Field(
        default_factory=SearcherConfig, description="what proposes the next configuration"
    )
    run: RunConfig = Field(default_factory=RunConfig, description="how many trials, on what")
    phases: Phases = Field(
        ("search",),
        max_length=len(get_args(PhaseName)),
        description=f"{', '.join(get_args(PhaseName))}: what the study does, in this order",
    )
    compare: CompareConfig = Field(
        default_factory=CompareConfig, description="how heads are compared on shared trunks"
    )
    pruning_check: PruningCheckConfig = Field(
        default_factory=PruningCheckConfig, description="which pruned trials are run to the end"
    )
    race: RaceConfig = Field(
        default_factory=RaceConfig, description="further seeds for those tied with the leader"
    )
    confirm: ConfirmConfig = Field(
        default_factory=ConfirmConfig, description="winners trained anew, judged on test games"
    )
    match: MatchConfig = Field(default_factory=MatchConfig, description="winners play each other")

    @model_validator(mode="after")
    def _phases_fit(self) -> StudyConfig:
        if "confirm" in self.phases and not self.data.split.test:
            raise ValueError("phases: confirm judges on test games, and data.split.test is 0")
        return self
