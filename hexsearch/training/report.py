"""What a trial says of itself at one point of its training."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from hexsearch.training.metrics import GameLosses, StageMetrics
from hexsearch.training.monitors.activations import ActivationHealth
from hexsearch.training.monitors.gradients import GradientHealth
from hexsearch.training.monitors.verdict import Verdict


@dataclass(frozen=True)
class TrialReport:
    """Validation metrics, training losses and health after `positions_seen` positions.

    Attributes:
        policy_loss: on the validation positions that have a next move, in nats.
        auxiliary_losses: by head, on some thousands of validation positions; see
            hexsearch.model.auxiliary. Empty without auxiliary heads.
        train_value_loss, train_policy_loss, train_auxiliary_losses: means since the last report,
            unweighted; the value loss is the read-out's own, so it compares within one read-out
            only.
        activations: of the last training batch that was looked at; evaluation_activations: of the
            first validation batch.
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
        """Brier score over all validation positions: what trials are ranked by."""
        return self.metrics.overall.value_loss

    def to_json(self) -> dict[str, Any]:
        """Everything but the per-game losses, as plain values."""
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
