"""Is the network healthy? Gradient and activation monitors, and their verdict.

Both look at every k-th step only. Between looks they cost nothing: no hook is armed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from hexsearch.model.network import Network, Parted

_JUDGED_FROM = 0.2  # of the budget: the schedule's warm-up is over, and then some
_SMOOTHING = 0.7  # weight of the past in the running means


@dataclass(frozen=True)
class GradientHealth:
    """Running means over sampled steps, by part of the network.

    Attributes:
        norms: true L2 norm of each part's gradient before clipping.
        update_ratio: L2 of a step's change over L2 of the weights, by part.
        clip_rate: share of sampled steps whose joint norm was above the limit.
    """

    norms: dict[str, float] = field(default_factory=dict)
    update_ratio: dict[str, float] = field(default_factory=dict)
    clip_rate: float = 0.0


class GradientMonitor:
    """Gradient norms, update-to-weight ratios and clip rate of each part of a network."""

    def __init__(self, network: Parted, clip: float) -> None:
        self._parts = {
            name: [p for p in module.parameters() if p.requires_grad]
            for name, module in network.parts().items()
        }
        self._clip = clip
        self._before: dict[str, list[Tensor]] = {}
        self._norms: dict[str, float] = {}
        self._ratios: dict[str, float] = {}
        self._looks = 0
        self._clipped = 0

    def before_step(self, joint_norm: Tensor) -> None:
        """Look at gradients after clipping; `joint_norm` is the norm before it."""
        joint = float(joint_norm)
        scale = max(1.0, joint / self._clip)  # undoes the clipping
        self._looks += 1
        self._clipped += joint > self._clip
        for name, parameters in self._parts.items():
            gradients = [p.grad for p in parameters if p.grad is not None]
            norm = _joint_norm(gradients) * scale if gradients else 0.0
            _running(self._norms, name, norm)
            self._before[name] = [p.detach().clone() for p in parameters]

    def after_step(self) -> None:
        """Compare the weights with those before the step."""
        for name, parameters in self._parts.items():
            before = self._before[name]
            change = _joint_norm(
                [p.detach() - old for p, old in zip(parameters, before, strict=True)]
            )
            weight = _joint_norm(before)
            _running(self._ratios, name, change / weight if weight else 0.0)
        self._before = {}

    def health(self) -> GradientHealth:
        """What was seen so far."""
        rate = self._clipped / self._looks if self._looks else 0.0
        return GradientHealth(dict(self._norms), dict(self._ratios), rate)

    def state(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {
            "norms": dict(self._norms),
            "ratios": dict(self._ratios),
            "looks": self._looks,
            "clipped": self._clipped,
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Undo of `state`."""
        self._norms, self._ratios = dict(state["norms"]), dict(state["ratios"])
        self._looks, self._clipped = state["looks"], state["clipped"]


@dataclass(frozen=True)
class ActivationHealth:
    """One place of the network at the last sampled step.

    Attributes:
        dead: share of channels (or units) that were 0 for the whole batch.
        spread: standard deviation over the batch of each unit, averaged.
    """

    mean: float
    std: float
    minimum: float
    maximum: float
    dead: float
    spread: float


class ActivationMonitor:
    """Statistics of trunk stages, trunk features and both heads' outputs in a training step."""

    def __init__(self, network: Network) -> None:
        self._places: dict[str, nn.Module] = {}
        stages = getattr(network.trunk, "stages", None)
        if isinstance(stages, nn.ModuleList):
            self._places |= {f"stage{i}": stage for i, stage in enumerate(stages, start=1)}
        self._places["trunk_features"] = network.trunk
        self._places["policy_logits"] = network.policy_head
        self._places["value_raw"] = network.value_head
        self._seen: dict[str, ActivationHealth] = {}

    def watch(self) -> Callable[[], None]:
        """Arm hooks for one forward pass; call what is returned to take them off."""
        handles = [
            module.register_forward_hook(self._hook(name)) for name, module in self._places.items()
        ]

        def disarm() -> None:
            for handle in handles:
                handle.remove()

        return disarm

    def health(self) -> dict[str, ActivationHealth]:
        """What was seen at the last sampled step, by place."""
        return dict(self._seen)

    def state(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {name: asdict(seen) for name, seen in self._seen.items()}

    def load_state(self, state: dict[str, Any]) -> None:
        """Undo of `state`."""
        self._seen = {name: ActivationHealth(**seen) for name, seen in state.items()}

    def _hook(self, name: str) -> Callable[[nn.Module, Any, Any], None]:
        def look(module: nn.Module, inputs: Any, output: Any) -> None:
            if isinstance(output, Tensor):
                self._seen[name] = _describe(output.detach().float())

        return look


def _describe(values: Tensor) -> ActivationHealth:
    by_unit = (
        values.reshape(len(values), -1) if values.ndim < 3 else values.transpose(0, 1).flatten(1).T
    )
    silent = (by_unit == 0).all(dim=0)
    figures = torch.stack(
        [
            values.mean(),
            values.std(),
            values.min(),
            values.max(),
            silent.float().mean(),
            by_unit.std(dim=0).mean(),
        ]
    ).tolist()
    return ActivationHealth(*figures)


@dataclass(frozen=True)
class Verdict:
    """The monitors' word and the figures behind it."""

    name: str  # healthy, vanishing, exploding, dead, constant_output, not_learning, nan
    evidence: str = ""

    @property
    def is_healthy(self) -> bool:
        """Whether there is nothing to say."""
        return self.name == "healthy"


def judge(
    gradients: GradientHealth,
    activations: dict[str, ActivationHealth],
    answer_spread: float,
    value_loss: float,
    prior_loss: float,
    progress: float,
) -> Verdict:
    """The first verdict that applies.

    Args:
        answer_spread: standard deviation of win_prob_red over the validation set.
        value_loss: on the validation set; prior_loss: of always answering Red's share of it.
        progress: share of the budget seen. A network that has hardly begun is not judged by its
            answers yet.
    """
    value_norm = gradients.norms.get("value_head", 0.0)
    trunk_ratio = gradients.update_ratio.get("trunk", 0.0)
    features = activations.get("trunk_features")
    if gradients.norms and value_norm == 0.0:
        return Verdict("vanishing", "the value head's gradient is exactly 0")
    if features is not None and features.dead > 0.9:
        return Verdict("dead", f"{features.dead:.0%} of the trunk features are 0 for a whole batch")
    if trunk_ratio > 0.1:
        return Verdict("exploding", f"a step changes the trunk's weights by {trunk_ratio:.0%}")
    if gradients.update_ratio and trunk_ratio < 1e-7:
        return Verdict("vanishing", f"a step changes the trunk's weights by {trunk_ratio:.1e}")
    if progress < _JUDGED_FROM:
        return Verdict("healthy")
    if answer_spread < 0.005:
        return Verdict("constant_output", f"answers spread by only {answer_spread:.4f}")
    if value_loss >= prior_loss:
        return Verdict(
            "not_learning", f"value loss {value_loss:.4f}, the prior alone scores {prior_loss:.4f}"
        )
    return Verdict("healthy")


def _joint_norm(tensors: list[Tensor]) -> float:
    return float(torch.nn.utils.get_total_norm(tensors))


def _running(means: dict[str, float], name: str, value: float) -> None:
    past = means.get(name)
    means[name] = value if past is None else _SMOOTHING * past + (1 - _SMOOTHING) * value
