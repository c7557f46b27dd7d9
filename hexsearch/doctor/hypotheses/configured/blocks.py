"""What a residual block computes, from its weights and the configuration alone.

The code of the model is not used, so that a fault in it is found. A block is a list of steps, and
one that leaves a step out, repeats or exchanges steps is another list.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from hexsearch.config.trunk import TrunkConfig

STEPS = {  # of each kind of block; `first` has the bias from the whole map, if there is one
    "plain": ("first", "norm1", "act", "conv2", "norm2", "excitation", "shortcut", "act"),
    "preact": ("norm1", "act", "first", "norm2", "act", "conv2", "excitation", "shortcut"),
    "bottleneck": (
        *("first", "norm1", "act", "conv2", "norm2", "act", "conv3", "norm3", "excitation"),
        *("shortcut", "act"),
    ),
}
_SIDES = 14.0, 10.0  # constants of the global pooling (Wu, arXiv:1902.10565)
_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": functional.relu,
    "silu": functional.silu,
    "mish": functional.mish,
    "gelu": functional.gelu,
}


class Unlike(Exception):
    """A module that is not what is configured; the message says how."""


def activated(features: Tensor, name: str) -> Tensor:
    """Features after the activation of a configuration."""
    return _ACTIVATIONS[name](features)


def convolved(
    features: Tensor, layer: nn.Module, outputs: int, kernel: int, stride: int = 1, name: str = ""
) -> Tensor:
    """Features after a convolution that keeps the side of the map, up to the stride.

    Raises:
        Unlike: the weights have another shape.
    """
    weight = getattr(layer, "weight", None)
    wanted = (outputs, features.shape[1], kernel, kernel)
    if not isinstance(weight, Tensor) or tuple(weight.shape) != wanted:
        found = list(weight.shape) if isinstance(weight, Tensor) else type(layer).__name__
        grouped = getattr(layer, "groups", 1) not in (1, None)
        raise Unlike(
            f"{name} has weights of shape {found}, and its configuration asks for {list(wanted)}"
            + (f" (its channels are divided into {layer.groups} groups)" if grouped else "")
        )
    bias = getattr(layer, "bias", None)
    return functional.conv2d(features, weight, bias, stride, kernel // 2)


def normalised(features: Tensor, layer: nn.Module, kind: str, name: str = "") -> Tensor:
    """Features after the norm of a configuration, in eval mode.

    Raises:
        Unlike: the module is another kind of norm.
    """
    if kind == "none":
        return features
    weight, bias = getattr(layer, "weight", None), getattr(layer, "bias", None)
    eps = getattr(layer, "eps", 1e-5)
    if kind == "batch":
        mean, variance = (getattr(layer, f"running_{n}", None) for n in ("mean", "var"))
        if mean is None or variance is None:
            raise Unlike(f"{name} is {type(layer).__name__}, and batch norms are configured")
        return functional.batch_norm(features, mean, variance, weight, bias, eps=eps)
    groups = 1 if kind == "layer" else next(n for n in (8, 4, 2, 1) if features.shape[1] % n == 0)
    if weight is None or weight.numel() != features.shape[1]:
        raise Unlike(f"{name} is {type(layer).__name__}, and {kind} norms are configured")
    return functional.group_norm(features, groups, weight, bias, eps)


def pooled_by_kata(features: Tensor) -> Tensor:
    """[B, C, H, W] to [B, 3C]: mean, mean scaled by the side of the map, maximum."""
    mean, (low, by) = features.mean(dim=(2, 3)), _SIDES
    side = (features.shape[2] * features.shape[3]) ** 0.5
    return torch.cat([mean, mean * ((side - low) / by), features.flatten(2).amax(dim=2)], dim=1)


class BlockOf:
    """One block of a configured trunk.

    Args:
        channels, stride: of the block, by the configuration.
        name: for messages.
    """

    def __init__(
        self, block: nn.Module, config: TrunkConfig, channels: int, stride: int, name: str
    ) -> None:
        self._block, self._config, self._name = block, config, name
        self._channels, self._stride = channels, stride
        self.steps = STEPS[config.block]

    def __call__(self, features: Tensor, steps: Sequence[str] | None = None) -> Tensor:
        """[B, C, H, W] to the features after the steps; by default those of the configuration.

        Raises:
            Unlike: a layer is not what is configured.
        """
        steps = self.steps if steps is None else steps
        out, active = features, None
        for step in steps:
            if step == "shortcut":
                out = out + self._shortcut(features)
            elif step == "shortcut twice":
                out = out + 2 * self._shortcut(features)
            elif step == "shortcut subtracted":
                out = out - self._shortcut(features)
            elif step == "shortcut of the activation":
                out = out + (features if active is None else active)
            elif step == "halved":
                out = out / 2
            elif step == "conv2 of the input":
                out = self._convolution("conv2", features)
            else:
                out = self._step(step, out)
            active = out if step == "act" and active is None else active
        return out

    def _layer(self, name: str) -> nn.Module:
        layer = getattr(self._block, name, None)
        if not isinstance(layer, nn.Module):
            raise Unlike(f"{self._name} has no {name}")
        return layer

    def _step(self, step: str, out: Tensor) -> Tensor:
        config = self._config
        if step == "act":
            return activated(out, config.activation)
        if step.startswith("norm"):
            return normalised(out, self._layer(step), config.norm, f"{self._name}.{step}")
        if step == "excitation":
            return self._excited(out)
        if step == "first":
            whole = self._whole_map(out)
            made = self._convolution("conv1", out)
            return made if whole is None else made + whole
        return self._convolution(step, out)

    def _convolution(self, step: str, out: Tensor) -> Tensor:
        thin = self._config.block == "bottleneck"
        inside = max(1, self._channels // 2) if thin else self._channels
        kernel = 1 if thin and step in ("conv1", "conv3") else 3
        at = "conv2" if thin else "conv1"
        return convolved(
            out,
            self._layer(step),
            self._channels if step == "conv3" else inside,
            kernel,
            self._stride if step == at else 1,
            f"{self._name}.{step}",
        )

    def _shortcut(self, features: Tensor) -> Tensor:
        config = self._config
        if self._stride == 1 and features.shape[1] == self._channels:
            return features
        layer = self._layer("shortcut")
        name = f"{self._name}.shortcut"
        if config.block == "preact":
            ready = activated(
                normalised(features, self._layer("norm1"), config.norm), config.activation
            )
            return convolved(ready, layer, self._channels, 1, self._stride, name)
        convolution, norm = list(layer.children())[:2]
        out = convolved(features, convolution, self._channels, 1, self._stride, name)
        return normalised(out, norm, config.norm, name)

    def _excited(self, out: Tensor) -> Tensor:
        if not self._config.squeeze_excitation:
            return out
        gate = [m for m in self._layer("excitation").modules() if isinstance(m, nn.Linear)]
        if len(gate) != 2:
            raise Unlike(f"{self._name}.excitation has {len(gate)} linear layers, not 2")
        first, second = gate
        hidden = functional.linear(out.mean(dim=(2, 3)), first.weight, first.bias).relu()
        factors = functional.linear(hidden, second.weight, second.bias).sigmoid()
        return out * factors[:, :, None, None]

    def _whole_map(self, out: Tensor) -> Tensor | None:
        whole: Any = getattr(self._block, "whole_map", None)
        if whole is None:
            return None
        convolution, norm = list(whole.look.children())[:2]
        looked = convolved(out, convolution, len(convolution.weight), 3, 1, self._name)
        looked = activated(normalised(looked, norm, self._config.norm), self._config.activation)
        bias = functional.linear(pooled_by_kata(looked), whole.scale.weight, whole.scale.bias)
        return bias[:, :, None, None]


def other_steps(steps: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    """Steps of a block that is programmed in another way, by what is done."""
    names = {
        "first": "its first convolution",
        "act": "an activation",
        "excitation": "the squeeze-and-excitation",
        "shortcut": "the shortcut (the residual connection)",
        **{f"conv{n}": f"convolution {n}" for n in (2, 3)},
        **{f"norm{n}": f"norm {n}" for n in (1, 2, 3)},
    }
    order = ["first", "second", "third"]
    for place, step in enumerate(steps):
        words = names[step]
        if step == "act":
            words = f"its {order[steps[:place].count('act')]} activation"
        yield f"{words} is left out", [*steps[:place], *steps[place + 1 :]]
    for place, step in enumerate(steps):
        for other in names:
            if other != step and other[:-1] == step[:-1] and other in steps:
                yield (
                    f"{names[other]} is applied in place of {names[step]}, too (one layer twice, "
                    "and the other is never used)",
                    [*steps[:place], other, *steps[place + 1 :]],
                )
    for place, (some, other) in enumerate(pairwise(steps)):
        exchanged = [*steps[:place], other, some, *steps[place + 2 :]]
        yield f"{names[other]} comes before {names[some]}", exchanged
    for place, step in enumerate(steps):
        if step == "shortcut":
            twice = [*steps[:place], "shortcut twice", *steps[place + 1 :]]
            yield "the shortcut is added twice", twice
            signed = [*steps[:place], "shortcut subtracted", *steps[place + 1 :]]
            yield "the shortcut is subtracted", signed
            inner = [*steps[:place], "shortcut of the activation", *steps[place + 1 :]]
            yield (
                "the shortcut passes on the inner activation and not the block's input (as if an "
                "in-place activation had overwritten it)",
                inner,
            )
            half = [*steps[: place + 1], "halved", *steps[place + 1 :]]
            yield "the sum with the shortcut is halved", half
        elif step == "conv2":
            other_input = [*steps[:place], "conv2 of the input", *steps[place + 1 :]]
            yield "its second convolution reads the block's input", other_input
        else:
            yield f"{names[step]} is applied twice", [*steps[:place], step, *steps[place:]]
