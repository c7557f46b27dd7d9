"""The report on one value head at one point of its training."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from hexsearch.errors import TrialError
from hexsearch.training.metrics import Evaluation, GameLosses, StageMetrics
from hexsearch.training.monitors.activations import ActivationHealth
from hexsearch.training.monitors.gradients import GradientHealth
from hexsearch.training.monitors.losses import MeanLosses
from hexsearch.training.monitors.verdict import Verdict, find_verdict


@dataclass(frozen=True)
class TrialReport:
    """Validation metrics, training losses and health after `positions_seen` positions.

    Attributes:
        policy_loss: policy loss in nats on the validation positions that have a next move.
        auxiliary_losses: losses of the auxiliary heads on a few thousand validation positions; see
            hexsearch.model.auxiliary. Empty without auxiliary heads.
        train_value_loss, train_policy_loss, train_auxiliary_losses: unweighted means since the
            last report. The value loss is that of the read-out, so it can be compared only
            between trials with the same read-out.
        activations: activations on the last training batch that was sampled.
        evaluation_activations: activations on the first validation batch.
        timings: seconds and rates; the only part that differs between equal runs.
    """

    positions_seen: int
    metrics: StageMetrics
    policy_loss: float
    train_value_loss: float
    train_policy_loss: float
    gradients: GradientHealth
    activations: dict[str, ActivationHealth]
    evaluation_activations: dict[str, ActivationHealth]
    verdict: Verdict
    game_losses: GameLosses
    timings: dict[str, float]
    auxiliary_losses: dict[str, float] = field(default_factory=dict)
    train_auxiliary_losses: dict[str, float] = field(default_factory=dict)

    @property
    def value_loss(self) -> float:
        """Brier score over all validation positions, by which trials are ranked."""
        return self.metrics.overall.value_loss

    def to_json(self) -> dict[str, Any]:
        """Everything except the per-game losses, as plain values."""
        return {
            "positions_seen": self.positions_seen,
            "metrics": self.metrics.to_json(),
            "policy_loss": self.policy_loss,
            "train_value_loss": self.train_value_loss,
            "train_policy_loss": self.train_policy_loss,
            "auxiliary_losses": self.auxiliary_losses,
            "train_auxiliary_losses": self.train_auxiliary_losses,
            "gradients": asdict(self.gradients),
            "activations": {name: asdict(seen) for name, seen in self.activations.items()},
            "evaluation_activations": {
                name: asdict(seen) for name, seen in self.evaluation_activations.items()
            },
            "verdict": asdict(self.verdict),
            "timings": self.timings,
        }


@dataclass(frozen=True)
class Point:
    """The point of a training at which a report is made.

    Attributes:
        train_seconds: seconds of training so far.
        started: time on the clock when the report was begun.
    """

    positions_seen: int
    max_positions: int
    train_seconds: float
    started: float


@dataclass(frozen=True)
class Health:
    """The figures of the monitors; see TrialReport."""

    gradients: GradientHealth
    activations: dict[str, ActivationHealth]
    evaluation_activations: dict[str, ActivationHealth]


def make_report(
    head: str,
    point: Point,
    evaluation: Evaluation,
    policy_loss: float,
    auxiliary_losses: dict[str, float],
    trained: MeanLosses,
    health: Health,
) -> TrialReport:
    """A report on one value head.

    Args:
        head: name of the head, for the error message.
        policy_loss, auxiliary_losses: losses on validation positions.
        trained: training losses since the last report.
    Raises:
        TrialError: an answer is not finite.
    """
    answers = evaluation.win_prob_red
    if not np.isfinite(answers).all():
        raise TrialError(
            f"win_prob_red of {head} is not finite at {point.positions_seen:,} positions",
            verdict="nan",
        )
    metrics = evaluation.metrics()
    red_share = float(evaluation.red_won.mean())
    verdict = find_verdict(
        health.gradients,
        health.activations,
        metrics.overall,
        answer_spread=float(answers.std()),
        prior_loss=red_share * (1 - red_share),
        progress=point.positions_seen / point.max_positions,
    )
    return TrialReport(
        positions_seen=point.positions_seen,
        metrics=metrics,
        policy_loss=policy_loss,
        train_value_loss=trained.value,
        train_policy_loss=trained.policy,
        gradients=health.gradients,
        activations=health.activations,
        evaluation_activations=health.evaluation_activations,
        verdict=verdict,
        game_losses=evaluation.game_losses(),
        auxiliary_losses=auxiliary_losses,
        train_auxiliary_losses=trained.auxiliary,
        timings={
            "train_s": round(point.train_seconds, 3),
            "evaluate_s": round(time.perf_counter() - point.started, 3),
            "positions_per_s": round(point.positions_seen / max(point.train_seconds, 1e-9), 1),
        },
    )
