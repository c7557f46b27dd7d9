"""Scheduler, which compares and prunes trials, and searcher, which proposes configurations."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, PlainValidator, WithJsonSchema, model_validator

from hexsearch.config.section import MAX_POSITIONS, Section, printed, tuple_from_list

_MAX_REPORTS = 10_000  # reports of one trial

StopOn = Annotated[
    tuple[Literal["dead", "vanishing", "exploding", "constant_output", "not_learning"], ...],
    BeforeValidator(tuple_from_list),
]


def _grace_period(value: object) -> object:
    whole = isinstance(value, int) and not isinstance(value, bool)
    if value == "auto" or (whole and 1 <= value <= MAX_POSITIONS):  # type: ignore[operator]
        return value
    raise ValueError(
        f"expected auto or a whole number of positions from 1 to {MAX_POSITIONS:,}, "
        f"got {printed(value)}"
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
    """When trials are compared and pruned. The resource is counted in positions seen."""

    name: Literal["evidence", "asha", "hyperband", "median", "none"] = Field(
        "evidence",
        description="evidence: pause a trial if another one is more promising; asha; hyperband: "
        "several asha brackets with different first rungs; median: at every report, prune trials "
        "that are worse than the median; none: no pruning",
    )
    grace_period: GracePeriod = Field(
        "auto",
        description="first rung: positions that every trial sees before it is compared; auto: "
        "max_t / reduction_factor**2, and for evidence max_t / reduction_factor**3 while "
        "ranks there predict later ones",
    )
    max_t: int = Field(
        180_000, ge=1, le=MAX_POSITIONS, description="positions after which a trial is finished"
    )
    reduction_factor: int = Field(
        3, ge=2, le=1000, description="at each rung, one trial in this number continues"
    )
    report_every: int | None = Field(
        None,
        ge=1,
        le=MAX_POSITIONS,
        description="positions between reports, in addition to the rungs; null: rungs only",
    )
    equal_compute: Literal["resnet18", "small", "tiny", "no_stride", "kata_like"] | None = Field(
        None,
        description="compare trials after equal training operations in place of equal positions: "
        "max_t, rungs and reports then count positions of this trunk, and a trial whose network "
        "needs twice its operations trains on half as many; null: positions",
    )
    stop_on: StopOn = Field(
        ("dead", "vanishing"),
        max_length=5,
        description="Verdicts of the monitors that stop a trial from grace_period on. Values that "
        "are not finite always stop it.",
    )

    @property
    def first_rung(self) -> int:
        """The grace period in positions."""
        if self.grace_period != "auto":
            return self.grace_period
        share = self.reduction_factor ** (3 if self.name == "evidence" else 2)
        return -(-self.max_t // share)  # rounded up: the last rung would else be just before max_t

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
                f"reports for each trial; at most {_MAX_REPORTS:,} are allowed. Raise it"
            )
        return self


Objectives = Annotated[
    tuple[Literal["value_loss", "microseconds", "parameters"], ...],
    BeforeValidator(tuple_from_list),
]


class SearcherConfig(Section):
    """The searcher, which proposes configurations."""

    name: Literal["forecast", "tpe", "random", "grid", "cmaes", "gp", "nsga2"] = Field(
        "forecast",
        description="algorithm: forecast learns from the scores at all rungs, for one objective; "
        "tpe also takes several objectives; random and grid are baselines",
    )
    startup_trials: int = Field(
        10, ge=1, le=100_000, description="number of random configurations before a model is used"
    )
    grid_points: int = Field(
        5, ge=2, le=1000, description="grid: number of values of each float, including both ends"
    )
    objectives: Objectives = Field(
        ("value_loss",),
        max_length=3,
        description="Figures of the last report that are minimised. Several of them give a Pareto "
        "front, which tpe and nsga2 can search.",
    )

    @model_validator(mode="after")
    def _objectives_fit(self) -> SearcherConfig:
        if not self.objectives or len(set(self.objectives)) < len(self.objectives):
            raise ValueError(f"objectives {list(self.objectives)}: give at least one, each once")
        if len(self.objectives) > 1 and self.name in ("cmaes", "forecast", "gp"):
            raise ValueError(f"{self.name} allows one objective; tpe and nsga2 allow several")
        return self
