"""From what a network answered and what its monitors saw to a report with a verdict."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from hexsearch.errors import TrialError
from hexsearch.training.metrics import Evaluation
from hexsearch.training.monitors.activations import ActivationHealth
from hexsearch.training.monitors.gradients import GradientHealth
from hexsearch.training.monitors.verdict import judge
from hexsearch.training.report import TrialReport
from hexsearch.training.step import MeanLosses


@dataclass(frozen=True)
class Point:
    """Where in a training a report is made.

    Attributes:
        train_seconds: spent on training so far; started: on the clock, when the report began.
    """

    positions_seen: int
    budget: int
    train_seconds: float
    started: float


@dataclass(frozen=True)
class Health:
    """What the monitors saw; see TrialReport."""

    gradients: GradientHealth
    activations: dict[str, ActivationHealth]
    evaluation_activations: dict[str, ActivationHealth]


def make_report(
    point: Point,
    evaluation: Evaluation,
    policy_loss: float,
    auxiliary_losses: dict[str, float],
    trained: MeanLosses,
    health: Health,
    whose: str = "",
) -> TrialReport:
    """A report on one value head.

    Args:
        policy_loss, auxiliary_losses: on validation positions.
        trained: since the last report.
        whose: ` of ...` in an error, where there are several heads.
    Raises:
        TrialError: an answer is not finite.
    """
    answers = evaluation.win_prob_red
    if not np.isfinite(answers).all():
        raise TrialError(
            f"win_prob_red{whose} is not finite at {point.positions_seen:,} positions",
            verdict="nan",
        )
    metrics = evaluation.metrics()
    red_share = float(evaluation.red_won.mean())
    verdict = judge(
        health.gradients,
        health.activations,
        metrics.overall,
        answer_spread=float(answers.std()),
        prior_loss=red_share * (1 - red_share),
        progress=point.positions_seen / point.budget,
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
