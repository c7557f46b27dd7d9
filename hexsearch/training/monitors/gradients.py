"""Monitor of gradients: norms, clipping, updates and agreement of the losses, as running means."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from hexsearch.model.network import Parted

_SMOOTHING = 0.7  # weight of the past in the running means
_TINY = 1e-30  # makes 0 / 0 equal 0


@dataclass(frozen=True)
class GradientHealth:
    """Running means over sampled steps, by part of the network.

    Attributes:
        norms: unscaled L2 norm of each part's gradient before clipping.
        clipped_norms: the same after clipping.
        update_ratio: L2 norm of a step's change divided by that of the weights, by part.
        clip_rate: share of sampled steps whose joint norm was above the limit.
        trunk_value_norm, trunk_policy_norm: norm of each unweighted loss's gradient on the trunk;
            None before the first sample.
        trunk_cosine: cosine between these two gradients; None before the first sample.
        looks: number of sampled steps.
    """

    norms: dict[str, float] = field(default_factory=dict)
    clipped_norms: dict[str, float] = field(default_factory=dict)
    update_ratio: dict[str, float] = field(default_factory=dict)
    clip_rate: float = 0.0
    trunk_value_norm: float | None = None
    trunk_policy_norm: float | None = None
    trunk_cosine: float | None = None
    looks: int = 0


class GradientMonitor:
    """Samples the gradients of a network's parts during a step."""

    def __init__(self, network: Parted, clip: float) -> None:
        self._parts: dict[str, list[Tensor]] = {
            name: [p for p in module.parameters() if p.requires_grad]
            for name, module in network.parts().items()
        }
        self._clip = clip
        self._before: dict[str, list[Tensor]] = {}
        self._means: dict[str, Tensor] = {}
        self._looks = 0
        self._clipped: Tensor | None = None

    def compare_losses(self, value: Tensor, policy: Tensor, scale: float = 1.0) -> None:
        """Compute the gradient of each loss on the trunk. The graph is kept for the step.

        Args:
            value, policy: scalar losses, both multiplied by `scale` to avoid underflow.
        """
        trunk = self._parts.get("trunk", [])
        if not trunk:
            return
        on_value, on_policy = (_gradient_on(trunk, loss) for loss in (value, policy))
        norms = _norm(on_value), _norm(on_policy)
        dot = torch.stack([(a * b).sum() for a, b in zip(on_value, on_policy, strict=True)]).sum()
        self._record("trunk_cosine", dot / (norms[0] * norms[1]).clamp(min=_TINY))
        self._record("trunk_value_norm", norms[0] / scale)
        self._record("trunk_policy_norm", norms[1] / scale)

    def before_clipping(self) -> None:
        """Sample the gradients, which must be unscaled and not clipped."""
        self._record_norms("norms")

    def before_step(self, joint_norm: Tensor) -> None:
        """Sample the gradients after clipping; `joint_norm` is the norm before it."""
        self._record_norms("clipped_norms")
        exceeded = (joint_norm.detach() > self._clip).float()
        self._clipped = exceeded if self._clipped is None else self._clipped + exceeded
        self._looks += 1
        self._before = {
            name: [p.detach().clone() for p in part] for name, part in self._parts.items()
        }

    def after_step(self) -> None:
        """Compare the weights with those before the step."""
        for name, part in self._parts.items():
            before = self._before[name]
            change = _norm([p.detach() - old for p, old in zip(part, before, strict=True)])
            self._record(f"update_ratio.{name}", change / _norm(before).clamp(min=_TINY))
        self._before = {}

    def health(self) -> GradientHealth:
        """The running means. This waits for the device."""
        if not self._means:
            return GradientHealth()
        values = torch.stack(list(self._means.values())).tolist()
        means = dict(zip(self._means, values, strict=True))

        def by_part(what: str) -> dict[str, float]:
            return {n: means[f"{what}.{n}"] for n in self._parts if f"{what}.{n}" in means}

        clipped = 0.0 if self._clipped is None else float(self._clipped)
        return GradientHealth(
            norms=by_part("norms"),
            clipped_norms=by_part("clipped_norms"),
            update_ratio=by_part("update_ratio"),
            clip_rate=clipped / max(self._looks, 1),
            trunk_value_norm=means.get("trunk_value_norm"),
            trunk_policy_norm=means.get("trunk_policy_norm"),
            trunk_cosine=means.get("trunk_cosine"),
            looks=self._looks,
        )

    def state(self) -> dict[str, Any]:
        """The monitor's state for a checkpoint."""
        return {"means": dict(self._means), "looks": self._looks, "clipped": self._clipped}

    def load_state(self, state: dict[str, Any], device: torch.device) -> None:
        """Restore a result of `state`."""
        means = state["means"].items()
        self._means = {name: mean.to(device).reshape(()) for name, mean in means}
        self._looks = state["looks"]
        clipped = state["clipped"]
        self._clipped = None if clipped is None else clipped.to(device)

    def _record_norms(self, what: str) -> None:
        for name, part in self._parts.items():
            gradients = [p.grad for p in part if p.grad is not None]
            if part:
                self._record(f"{what}.{name}", _norm(gradients) if gradients else _zero(part))

    def _record(self, name: str, value: Tensor) -> None:
        """Update a running mean. A value that is not finite is ignored: its step was skipped."""
        past = self._means.get(name)
        if past is None:
            self._means[name] = value
        else:
            moved = _SMOOTHING * past + (1 - _SMOOTHING) * value
            self._means[name] = torch.where(torch.isfinite(moved), moved, past)


def _gradient_on(parameters: list[Tensor], loss: Tensor) -> list[Tensor]:
    """Gradient of a loss; zeros for parameters that it does not depend on."""
    found: tuple[Tensor | None, ...] = (None,) * len(parameters)
    if loss.requires_grad:
        found = torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True)
    return [torch.zeros_like(p) if g is None else g for p, g in zip(parameters, found, strict=True)]


def _norm(tensors: list[Tensor]) -> Tensor:
    return torch.nn.utils.get_total_norm(tensors).float()


def _zero(like: list[Tensor]) -> Tensor:
    return torch.zeros((), device=like[0].device)
