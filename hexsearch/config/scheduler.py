"""When trials are compared and cut, and what proposes the next one."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, PlainValidator, WithJsonSchema, model_validator

from hexsearch.config.section import MAX_POSITIONS, Section, tuple_from_list

_MAX_REPORTS = 10_000  # of one trial

StopOn = Annotated[
    tuple[Literal["dead", "vanishing", "exploding", "constant_output", "not_learning"], ...],
    BeforeValidator(tuple_from_list),
]


def _grace_period(value: object) -> object:
    whole = isinstance(value, int) and not isinstance(value, bool)
    if value == "auto" or (whole and 1 <= value <= MAX_POSITIONS):  # type: ignore[operator]
        return value
    raise ValueError(
        f"expected auto or a whole number of positions from 1 to {MAX_POSITIONS:,}, got {value!r}"
    )


GracePeriod = Annotated[
    int | Literal["auto"],
    PlainValidator(_grace_period),
    WithJsonSchema(
        {
            "anyOf": [
                {"const": "auto", "type": "string"},
                {"type": "integer", "minimum": 1, "maximum": MAX_POSITIONS},
            ]
        }
    ),
]


class SchedulerConfig(Section):
    """When trials are compared and cut. One unit of resource is one position seen."""

    name: Literal["evidence", "asha", "hyperband", "median", "none"] = Field(
        "evidence",
        description="evidence: pause a trial where another promises more; asha; hyperband: asha in "
        "brackets that begin at ever higher rungs; median: at every report, stop what is worse "
        "than the median there; none",
    )
    grace_period: GracePeriod = Field(
        "auto",
        description="positions every trial may see before its first rung; auto: max_t / "
        "reduction_factor**2, for evidence **3, where it learns which rungs tell anything",
    )
    max_t: int = Field(
        180_000, ge=1, le=MAX_POSITIONS, description="positions after which a trial is finished"
    )
    reduction_factor: int = Field(
        3, ge=2, le=1000, description="1 trial in this many goes on past each rung"
    )
    report_every: int | None = Field(
        None,
        ge=1,
        le=MAX_POSITIONS,
        description="positions between reports besides the rungs; null: rungs alone",
    )
    stop_on: StopOn = Field(
        ("dead", "vanishing"),
        max_length=5,
        description="Verdicts that end a trial from grace_period on. What is not finite always "
        "does.",
    )

    @property
    def first_rung(self) -> int:
        """The grace period in positions."""
        if self.grace_period != "auto":
            return self.grace_period
        least = self.reduction_factor**2
        return max(
            1, self.max_t // (least * self.reduction_factor if self.name == "evidence" else least)
        )

    @model_validator(mode="after")
    def _reach_a_rung(self) -> SchedulerConfig:
        if self.grace_period != "auto" and self.grace_period > self.max_t:
            raise ValueError(
                f"grace_period is {self.grace_period:,} positions but max_t is {self.max_t:,}: "
                "no trial would reach a rung. Lower it."
            )
        if self.report_every is not None and self.max_t // self.report_every > _MAX_REPORTS:
            raise ValueError(
                f"report_every {self.report_every:,} gives {self.max_t // self.report_every:,} "
                f"reports a trial; at most {_MAX_REPORTS:,} are kept. Raise it"
            )
        return self


Objectives = Annotated[
    tuple[Literal["value_loss", "microseconds", "parameters"], ...],
    BeforeValidator(tuple_from_list),
]


class SearcherConfig(Section):
    """What proposes the next configuration."""

    name: Literal["forecast", "tpe", "random", "grid", "cmaes", "gp", "nsga2"] = Field(
        "forecast",
        description="algorithm: forecast learns from values at all rungs, for one objective; tpe "
        "also for several; random and grid as baselines",
    )
    startup_trials: int = Field(
        10, ge=1, le=100_000, description="drawn at random before anything is modelled"
    )
    grid_points: int = Field(
        5, ge=2, le=1000, description="grid: values of each float, its ends included"
    )
    objectives: Objectives = Field(
        ("value_loss",),
        max_length=3,
        description="What is minimised, each a figure of the last report. Several make a Pareto "
        "front, which tpe and nsga2 can search.",
    )

    @model_validator(mode="after")
    def _objectives_fit(self) -> SearcherConfig:
        if not self.objectives or len(set(self.objectives)) < len(self.objectives):
            raise ValueError(f"objectives {list(self.objectives)}: name each of one or more once")
        if len(self.objectives) > 1 and self.name in ("cmaes", "forecast", "gp"):
            raise ValueError(f"{self.name} takes one objective; tpe and nsga2 take several")
        return self
