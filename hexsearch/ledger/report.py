"""The part of a report that the ledger stores, which rungs, searchers and leaderboards read."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from hexsearch.training.metrics import SliceMetrics, StageMetrics

if TYPE_CHECKING:  # they import torch, which is slow and not needed to read a ledger
    from hexsearch.model.cost import NetworkCost
    from hexsearch.training.report import TrialReport

_LOSS_PLACES, _METRIC_PLACES = 6, 7  # decimals that are stored
_METRICS = tuple(SliceMetrics.__dataclass_fields__)
_NAN = float("nan")


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """One point of a learning curve: positions seen and the Brier score there."""

    positions_seen: int
    value_loss: float


@dataclass(frozen=True, slots=True)
class SliceSummary:
    """Figures on some of the validation positions, such as those of one stage."""

    value_loss: float
    accuracy: float
    positions: int

    @classmethod
    def of(cls, part: SliceMetrics) -> SliceSummary:
        """The three figures of a slice that are stored."""
        rounded = _rounded_metrics(part)
        return cls(rounded.value_loss, rounded.accuracy, rounded.positions)

    def to_json(self) -> dict[str, float]:
        """Plain values. `asdict` would take ten times as long, which matters in a large study."""
        return {
            "value_loss": self.value_loss,
            "accuracy": self.accuracy,
            "positions": self.positions,
        }


@dataclass(frozen=True, slots=True)
class MetricsSummary:
    """All figures overall, and loss and accuracy of each slice.

    Attributes:
        overall: figures on all positions; nan if a figure is undefined.
        stages: slices early, middle, late, penultimate and final.
        to_end: slices by plies to the end of the game.
    """

    overall: SliceMetrics
    stages: Mapping[str, SliceSummary]
    to_end: Mapping[str, SliceSummary]

    @classmethod
    def of(cls, metrics: StageMetrics) -> MetricsSummary:
        """The part of an evaluation's metrics that is stored."""
        return cls(
            overall=_rounded_metrics(metrics.overall),
            stages={name: SliceSummary.of(part) for name, part in metrics.stages.items()},
            to_end={name: SliceSummary.of(part) for name, part in metrics.to_end.items()},
        )

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> MetricsSummary:
        """The inverse of `to_json`."""
        figures: dict[str, Any] = {name: raw.get(name) for name in _METRICS}
        for name in [name for name, figure in figures.items() if figure is None]:
            figures[name] = _NAN
        return cls(
            overall=SliceMetrics(**figures),
            stages=_slices(raw["stages"]),
            to_end=_slices(raw["to_end"]),
        )

    def to_json(self) -> dict[str, Any]:
        """Plain values; nan becomes None."""
        return {
            **{name: _no_nan(getattr(self.overall, name)) for name in _METRICS},
            "stages": {name: part.to_json() for name, part in self.stages.items()},
            "to_end": {name: part.to_json() for name, part in self.to_end.items()},
        }


@dataclass(frozen=True, slots=True)
class Timings:
    """The machine and the times of a report. They differ between equal runs.

    Attributes:
        train_s: seconds of training so far.
        evaluate_s: seconds of this evaluation.
        began_at: start of training in this process, in seconds since the epoch; None if unknown.
    """

    train_s: float
    evaluate_s: float
    positions_per_s: float
    host: str = ""
    pid: int = 0
    began_at: float | None = None


@dataclass(frozen=True, slots=True)
class ReportSummary:
    """One report of one trial, as it is stored in a `reported` event.

    Attributes:
        mflops, microseconds: cost of one position; None if it was not measured.
        verdict, evidence: conclusion of the monitors.
        validation_loss: value loss on validation games, if `metrics` is about test games.
    """

    positions_seen: int
    metrics: MetricsSummary
    parameters: int
    mflops: float | None
    microseconds: float | None
    policy_loss: float
    train_value_loss: float
    train_policy_loss: float
    verdict: str
    evidence: str
    timings: Timings
    auxiliary_losses: Mapping[str, float] = field(default_factory=dict)
    train_auxiliary_losses: Mapping[str, float] = field(default_factory=dict)
    validation_loss: float | None = None

    @classmethod
    def of(
        cls, report: TrialReport, cost: NetworkCost, began_at: float | None = None
    ) -> ReportSummary:
        """The stored part of a report that this process made.

        Args:
            began_at: see Timings.
        """
        return cls(
            positions_seen=report.positions_seen,
            metrics=MetricsSummary.of(report.metrics),
            parameters=cost.parameters,
            mflops=round(cost.mflops, 4),
            microseconds=round(cost.microseconds, 2),
            policy_loss=round(report.policy_loss, _LOSS_PLACES),
            train_value_loss=round(report.train_value_loss, _LOSS_PLACES),
            train_policy_loss=round(report.train_policy_loss, _LOSS_PLACES),
            verdict=report.verdict.name,
            evidence=report.verdict.evidence,
            timings=Timings(
                **report.timings, host=socket.gethostname(), pid=os.getpid(), began_at=began_at
            ),
            auxiliary_losses=_rounded(report.auxiliary_losses),
            train_auxiliary_losses=_rounded(report.train_auxiliary_losses),
        )

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> ReportSummary:
        """The inverse of `to_json`."""
        return cls(
            positions_seen=raw["positions_seen"],
            parameters=raw["parameters"],
            metrics=MetricsSummary.from_json(raw),
            timings=Timings(**raw["timings"]),
            mflops=raw.get("mflops"),
            microseconds=raw.get("microseconds"),
            validation_loss=raw.get("validation_loss"),
            **{name: raw[name] for name in _AS_THEY_ARE},
        )

    def to_json(self) -> dict[str, Any]:
        """The `report` of a `reported` event, as plain values."""
        timings = asdict(self.timings)
        if self.timings.began_at is None:
            del timings["began_at"]
        return {
            "positions_seen": self.positions_seen,
            "parameters": self.parameters,
            "mflops": self.mflops,
            "microseconds": self.microseconds,
            **self.metrics.to_json(),
            **{name: getattr(self, name) for name in _AS_THEY_ARE},
            "timings": timings,
            **({} if self.validation_loss is None else {"validation_loss": self.validation_loss}),
        }

    @property
    def value_loss(self) -> float:
        """Brier score over all positions, by which trials are ranked."""
        return self.metrics.overall.value_loss

    @property
    def point(self) -> CurvePoint:
        """The point of the learning curve for this report."""
        return CurvePoint(self.positions_seen, self.value_loss)


@dataclass(frozen=True)
class Baseline:
    """Score that is reached without a network, on the positions by which trials are ranked."""

    name: str
    metrics: MetricsSummary

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Baseline:
        """The inverse of `to_json`."""
        return cls(raw["name"], MetricsSummary.from_json(raw))

    def to_json(self) -> dict[str, Any]:
        """Plain values, as in a `study` event and in a leaderboard."""
        return {"name": self.name, **self.metrics.to_json()}


_AS_THEY_ARE = (
    "policy_loss",
    "train_value_loss",
    "train_policy_loss",
    "auxiliary_losses",
    "train_auxiliary_losses",
    "verdict",
    "evidence",
)


def _slices(raw: Mapping[str, Mapping[str, Any]]) -> dict[str, SliceSummary]:
    return {
        name: SliceSummary(part["value_loss"], part["accuracy"], part["positions"])
        for name, part in raw.items()
    }


def _rounded_metrics(part: SliceMetrics) -> SliceMetrics:
    figures: dict[str, Any] = {name: getattr(part, name) for name in _METRICS}
    for name, figure in figures.items():
        if isinstance(figure, float):
            figures[name] = round(figure, _METRIC_PLACES)
    return SliceMetrics(**figures)


def _rounded(losses: Mapping[str, float]) -> dict[str, float]:
    return {name: round(loss, _LOSS_PLACES) for name, loss in losses.items()}


def _no_nan(value: float) -> float | None:
    return None if value != value else value
