"""What the running statistics of batch norms say about the inputs that a network was trained on.

A batch norm keeps the mean and the variance of its inputs in training. They can be compared with
those of the inputs that it gets now. Where they differ, the network is given something else than in
training: at the first norm other planes, and between two norms another computation.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd

_PART = 256  # positions of a batch
_LEAST = 4  # channels that a norm needs
_SOLVABLE = 1e-3  # least singular value, relative to the largest, of the system for the levels
_FITS = 0.35  # share of the difference that other levels of the planes may leave over


@dataclass(frozen=True)
class NormGap:
    """How far the inputs of a norm are from those that it was trained on.

    Attributes:
        name: of the norm.
        gap: median over the channels of the difference of the means in standard deviations plus
            the absolute logarithm of the ratio of the standard deviations.
    """

    name: str
    gap: float


class _SeenEnough(Exception):
    """Ends a call of the network after its first norm."""


class _Inputs:
    """Mean and variance of each channel of the inputs of a norm, over all its calls.

    A network may be asked in pieces, and a few positions are no sample of all of them.
    """

    def __init__(self) -> None:
        self.rows = self._count = 0
        self._mean = self._squares = torch.zeros(())

    def add(self, inputs: Tensor) -> None:
        seen = inputs.detach().float().transpose(0, 1).flatten(1)
        here, mean = seen.shape[1], seen.mean(dim=1)
        squares = (seen - mean[:, None]).square().sum(dim=1)
        whole, away = self._count + here, mean - self._mean
        self._mean = self._mean + away * here / whole
        self._squares = self._squares + squares + away.square() * self._count * here / whole
        self.rows, self._count = self.rows + len(inputs), whole

    def gap(self, norm: _BatchNorm) -> float | None:
        """Median of what NormGap says; None if the norm keeps too little."""
        if norm.running_mean is None or norm.running_var is None:
            return None
        kept = norm.running_var.float().sqrt()
        used = kept > 1e-3 * float(kept.max())  # others are of units that have died
        if int(used.sum()) < _LEAST or self._count < 2:
            return None
        deviation = (self._squares[used] / (self._count - 1)).sqrt().clamp(min=1e-6)
        off = (norm.running_mean.float()[used] - self._mean[used]).abs() / kept[used]
        return float((off + (kept[used] / deviation).log().abs()).median())


def norm_gaps(network: nn.Module, run: Callable[[], object]) -> list[NormGap]:
    """The gaps of all norms in eval mode that `run()`, which calls the network, uses, in order."""
    names = {id(module): name for name, module in network.named_modules()}
    found: dict[_BatchNorm, _Inputs] = {}

    def look(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        if isinstance(module, _BatchNorm) and not module.training:
            found.setdefault(module, _Inputs()).add(inputs[0])

    norms = [module for module in network.modules() if isinstance(module, _BatchNorm)]
    handles = [norm.register_forward_pre_hook(look) for norm in norms]
    try:
        run()
    finally:
        for handle in handles:
            handle.remove()
    gaps = ((names[id(norm)], inputs.gap(norm)) for norm, inputs in found.items())
    return [NormGap(name, gap) for name, gap in gaps if gap is not None]


def modules_between(
    network: nn.Module, run: Callable[[], object], before: str, after: str
) -> list[str]:
    """Names of the innermost modules that `run()` calls between two norms, with their kinds."""
    called = _called(network, run)
    if before not in called or after not in called:
        return []
    inside = called[called.index(before) + 1 : called.index(after)]
    kinds = {name: type(module).__name__ for name, module in network.named_modules()}
    return [f"{name}: {kinds[name]}" for name in dict.fromkeys(inside)]


def _called(network: nn.Module, run: Callable[[], object]) -> list[str]:
    """Names of the innermost modules that `run()` calls, in their order."""
    called: list[str] = []
    handles = [
        module.register_forward_pre_hook(lambda module, inputs, name=name: called.append(name))
        for name, module in network.named_modules()
        if name and not list(module.children())
    ]
    try:
        run()
    finally:
        for handle in handles:
            handle.remove()
    return called


def before_norms(network: nn.Module, run: Callable[[], object]) -> dict[str, _ConvNd]:
    """Convolutions that are followed by a norm when `run()` calls a network, by name."""
    modules = dict(network.named_modules())
    found = {}
    for name, following in pairwise(_called(network, run)):
        module = modules[name]
        if isinstance(module, _ConvNd) and is_norm(modules[following]):
            found[name] = module
    return found


def is_norm(module: nn.Module) -> bool:
    """Whether a module normalises, of torch's own or written by a user."""
    buffers = {name for name, _ in module.named_buffers(recurse=False)}
    own = buffers | {name for name, _ in module.named_parameters(recurse=False)}
    return "norm" in type(module).__name__.lower() or bool(own & {"gamma", "running_mean"})


def first_gap(network: nn.Module, norm: str, planes: Tensor) -> float:
    """The gap of one norm for some planes; the network is ended there."""
    seen = _Inputs()

    def look(module: _BatchNorm, inputs: tuple[Tensor, ...]) -> None:
        if not module.training:
            seen.add(inputs[0])
        if seen.rows >= len(planes):
            raise _SeenEnough

    module = network.get_submodule(norm)
    handle = module.register_forward_pre_hook(look)
    try:
        with torch.no_grad():
            network(planes.contiguous())
    except _SeenEnough:
        pass
    finally:
        handle.remove()
    gap = seen.gap(module) if isinstance(module, _BatchNorm) else None
    return float("inf") if gap is None else gap


def copied(network: nn.Module) -> nn.Module | None:
    """A copy, so that nothing of a user's is changed; None if there is none."""
    try:
        return deepcopy(network)
    except Exception:  # it holds what cannot be copied, such as a lock or the output of a call
        return None


def with_statistics_of(network: nn.Module, planes: Tensor) -> nn.Module | None:
    """A copy of a network in eval mode, with the batch norms' statistics of some planes.

    None if the network cannot be copied, such as one that keeps the output of a call.
    """
    copy = copied(network)
    if copy is None:
        return None
    copy.eval()
    norms = [m for m in copy.modules() if isinstance(m, _BatchNorm) and m.running_mean is not None]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the mean over all batches
        norm.train()
    with torch.no_grad():
        for part in torch.split(planes, _PART):
            if len(part) > 1:
                copy(part)
    return copy.eval()


def trained_levels(network: nn.Module, norm: str, planes: Tensor) -> list[tuple[float, float]]:
    """The mean of each plane in training, and its mean now; empty if they are not known.

    A convolution turns the means of its planes into the means of its channels, so means of the
    channels in training, which the first norm keeps, give those of the planes.

    Args:
        norm: name of the first norm, which follows a convolution of the planes.
        planes: [P, C, N, N] planes as the network gets them now.
    """
    first = next((m for m in network.modules() if isinstance(m, nn.Conv2d)), None)
    if first is None or first.in_channels != planes.shape[1] or first.groups != 1:
        return []
    if first.weight.dtype != torch.float32 or first.weight.device.type != "cpu":
        return []
    after = network.get_submodule(norm)
    if after.num_features != first.out_channels or first.out_channels < 2 * first.in_channels:
        return []
    with torch.no_grad():
        ones = torch.zeros(planes.shape[1], *planes.shape[1:])
        for number in range(planes.shape[1]):
            ones[number, number] = 1.0
        bias = 0.0 if first.bias is None else first.bias.double()
        # [channels, planes] how the mean of a channel changes with the level of each plane
        slopes = (first(ones).double().mean(dim=(2, 3)) - bias).T
        wanted = after.running_mean.double() - first(planes).double().mean(dim=(0, 2, 3))
        values = torch.linalg.svdvals(slopes)
        if float(values[-1]) < _SOLVABLE * float(values[0]):
            return []
        change = torch.linalg.lstsq(slopes, wanted[:, None]).solution[:, 0]
        left = wanted - slopes @ change
    if float(left.norm()) > _FITS * float(wanted.norm()):
        return []
    now = planes.double().mean(dim=(0, 2, 3))
    return [(float(old + more), float(old)) for old, more in zip(now, change, strict=True)]
