"""Monitor of training losses: means over steps, which stay on the device until a report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from hexsearch.errors import TrialError


@dataclass(frozen=True)
class MeanLosses:
    """Training losses of one head and its trunk, unweighted, as means over steps."""

    value: float
    policy: float
    auxiliary: dict[str, float]


class LossMonitor:
    """Sums of the value loss of each head, the policy loss and the auxiliary losses.

    Args:
        heads: names of the value heads.
        auxiliary: names of the auxiliary heads.
    """

    def __init__(self, heads: Sequence[str], auxiliary: Sequence[str], device: torch.device):
        self._heads, self._auxiliary = list(heads), list(auxiliary)
        losses = len(heads) + 1 + len(auxiliary)
        self._sums = torch.zeros(losses, dtype=torch.float64, device=device)
        self._steps = 0

    def add(self, losses: Sequence[Tensor]) -> None:
        """Add the losses of a micro-batch, each as its share of the batch's loss."""
        self._sums += torch.stack([loss.detach() for loss in losses])

    def end_step(self) -> None:
        """Count a step."""
        self._steps += 1

    def require_finite(self, when: str) -> None:
        """Check every loss since the last `take`. This waits for the device.

        Raises:
            TrialError: a loss is not finite; names it if there are several heads.
        """
        finite = torch.isfinite(self._sums).tolist()
        if all(finite):
            return
        names = [*self._heads, "the policy", *self._auxiliary]
        wrong = [name for name, fine in zip(names, finite, strict=True) if not fine]
        whose = f" of {', '.join(wrong)}" if len(self._heads) > 1 else ""
        raise TrialError(f"training loss{whose} is not finite {when}", verdict="nan")

    def take(self) -> list[MeanLosses]:
        """For each head, its mean value loss and the shared losses since the last call."""
        means = (self._sums / max(self._steps, 1)).tolist()
        policy, *auxiliary = means[len(self._heads) :]
        self._sums.zero_()
        self._steps = 0
        by_name = dict(zip(self._auxiliary, auxiliary, strict=True))
        return [MeanLosses(value, policy, by_name) for value in means[: len(self._heads)]]

    def state(self) -> dict[str, Any]:
        """The monitor's state for a checkpoint."""
        return {"sums": self._sums, "steps": self._steps}

    def load_state(self, state: dict[str, Any]) -> None:
        """Restore a result of `state`."""
        self._sums.copy_(state["sums"])
        self._steps = state["steps"]
