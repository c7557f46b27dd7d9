"""Compares gradients with finite differences: of a whole function, then of each module by itself.

Both are computed in double precision, with a step so small that hardly a kink lies in between, and
along directions at random, so that a part of a gradient that is missing shows. Weights are moved a
little before, since at weights and features of exactly 0 an activation has no slope.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

_DIRECTIONS = 2
_STEP = 1e-6  # length of a step, as a share of the root mean square of what is moved
_MOVED = 1e-3  # by which weights are moved before, as a share of their standard deviation
_SEED = 17
OFF = 0.1  # relative difference of gradient and slope that is an error
_STEADY = 0.02  # relative difference of the ratios along all directions that is one factor


@dataclass(frozen=True)
class Gap:
    """The difference of a gradient and the slopes along some directions.

    Attributes:
        off: root mean square of the difference, relative to the larger one of both.
        ratio: gradient divided by slope, if it is the same along all directions; else None.
    """

    off: float
    ratio: float | None

    def __str__(self) -> str:
        if self.ratio is None:
            return "a part of it is missing or added"
        if self.ratio == 0:
            return "it is 0"
        return f"it is {self.ratio:.3g} times what it should be"


def in_double(network: nn.Module) -> nn.Module:
    """A copy in double precision and train mode, with weights that are moved a little."""
    copy = deepcopy(network).double().train()
    generator = torch.Generator().manual_seed(_SEED)
    with torch.no_grad():
        for parameter in copy.parameters():
            noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            spread = parameter.std(correction=0) if parameter.numel() > 1 else parameter.abs()
            parameter.add_(noise * (_MOVED * (spread + _MOVED)))
    return copy


def gap(
    value: Callable[[], Tensor], moved: Sequence[Tensor], beside: Sequence[Tensor] = ()
) -> Gap | None:
    """The gap of the gradient of `value()` with respect to leaves that it reads.

    None if neither is different from 0, or something is not finite.

    Args:
        beside: leaves whose gradients are computed, too. Torch's backward of a group norm on a CPU
            crashes if only those of its weights are wanted.
    """
    wanted = [*moved, *beside]
    gradients = torch.autograd.grad(_same_draws(value), wanted, allow_unused=True)[: len(moved)]
    generator = torch.Generator().manual_seed(_SEED)
    said, found = [], []
    for _ in range(_DIRECTIONS):
        along = []
        for leaf in moved:
            noise = torch.randn(leaf.shape, generator=generator, dtype=torch.float64)
            along.append(noise * leaf.detach().square().mean().sqrt().clamp(min=1e-6))
        pairs = [(g, a) for g, a in zip(gradients, along, strict=True) if g is not None]
        said.append(sum(float((g * a).sum()) for g, a in pairs))
        found.append((_at(value, moved, along, 1) - _at(value, moved, along, -1)) / (2 * _STEP))
    own, slope = (torch.tensor(each, dtype=torch.float64) for each in (said, found))
    size = float(torch.maximum(own.norm(), slope.norm()))
    if not size > 1e-7 or not bool(torch.isfinite(own - slope).all()):
        return None
    ratios = own / slope
    steady = float(ratios.max() - ratios.min()) < _STEADY * max(float(ratios.abs().max()), 1e-6)
    return Gap(float((own - slope).norm()) / size, float(ratios.mean()) if steady else None)


def _at(
    value: Callable[[], Tensor], moved: Sequence[Tensor], along: Sequence[Tensor], sign: int
) -> float:
    with torch.no_grad():
        for leaf, direction in zip(moved, along, strict=True):
            leaf.add_(direction, alpha=sign * _STEP)
        result = float(_same_draws(value))
        for leaf, direction in zip(moved, along, strict=True):
            leaf.sub_(direction, alpha=sign * _STEP)
    return result


def _same_draws(value: Callable[[], Tensor]) -> Tensor:
    """The value, with the same random numbers in every call."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(_SEED)
        return value()


def first_wrong_module(network: nn.Module, planes: Tensor) -> tuple[str, str, Gap] | None:
    """The smallest module whose gradient is not its slope: its name, of what, and the gap.

    Args:
        network: a result of `in_double`.
        planes: [B, C, N, N] planes in double precision.
    """
    seen: dict[str, tuple[nn.Module, Tensor]] = {}

    def keep(name: str) -> Callable[[nn.Module, tuple[Any, ...], Any], None]:
        def look(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
            plain = len(inputs) == 1 and isinstance(inputs[0], Tensor)
            if plain and isinstance(output, Tensor) and name not in seen:
                seen[name] = (module, inputs[0].detach().clone())

        return look

    handles = [m.register_forward_hook(keep(n)) for n, m in network.named_modules() if n]
    try:
        with torch.no_grad():
            network(planes.clone())
    finally:
        for handle in handles:
            handle.remove()
    # A module is called when its parts have been, so the first wrong one has only right parts.
    for name, (module, given) in seen.items():
        for what, wrong in _gaps_of(module, given):
            if wrong is not None and wrong.off > OFF:
                return name, what, wrong
    return None


def _gaps_of(module: nn.Module, given: Tensor) -> list[tuple[str, Gap | None]]:
    leaf = given.requires_grad_(True)
    with torch.no_grad():
        output = _same_draws(lambda: module(leaf.clone()))
    generator = torch.Generator().manual_seed(_SEED + 1)
    weights = torch.randn(output.shape, generator=generator, dtype=torch.float64)

    def value() -> Tensor:
        result: Tensor = (module(leaf.clone()) * weights).sum()
        return result if result.requires_grad else result + 0 * leaf.sum()

    found = [("input", gap(value, [leaf]))]
    own = [parameter for parameter in module.parameters() if parameter.requires_grad]
    if own:
        found.append(("weights", gap(value, own, [leaf])))
    return found
