"""How far the weights of a network move in each step of its optimisers, and between steps."""

from __future__ import annotations

import gc
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from hexsearch.doctor.own_training.gradients import norm
from hexsearch.doctor.own_training.seen import SeenStep

_LOOK = 10  # step before which averages of the weights are looked for
_FEW, _SHARE = 3, 0.15  # weights that have one largest number, and their share, of a bound
_EXACT = 0.01  # largest residual of an average, relative to its move


def _flat(weights: Iterable[Tensor]) -> Tensor:
    """All weights in a row; copies may be on another device."""
    flat = [each.detach().flatten().float().cpu() for each in weights]
    return torch.cat(flat) if flat else torch.zeros(0)


def _held(each: object) -> list[Any]:
    """The weights of a network, or what a list or dict holds now."""
    if isinstance(each, nn.Module):
        return list(each.parameters())
    if isinstance(each, dict):
        return list(each.values())
    return list(each) if isinstance(each, list) else []


def _copies_of(network: nn.Module) -> list[object]:
    """Other networks of the same class, and lists and dicts of tensors like its weights."""
    weights, found = list(network.parameters()), []
    kinds = (type(network), list, dict, OrderedDict)
    for each in gc.get_objects():
        if type(each) not in kinds or each is network:  # a proxy may answer isinstance itself
            continue
        held = _held(each)
        if len(held) != len(weights) or not all(isinstance(tensor, Tensor) for tensor in held):
            continue
        pairs = list(zip(held, weights, strict=True))
        if all(a.shape == b.shape for a, b in pairs) and not any(a is b for a, b in pairs):
            found.append(each)
    return found


class Averages:
    """Looks for averages of the weights between two steps: copies of a network, lists and dicts.

    Attributes:
        shares: the share of the new weights that each of them takes.
    """

    def __init__(self, after: int) -> None:
        self.shares: list[float] = []
        self._after, self._steps = after, 0
        self._copies: list[tuple[object, nn.Module, Tensor]] = []  # and what they hold

    def look(self, networks: Iterable[nn.Module]) -> None:
        """Before one step find copies of the networks, and before the next how they have moved."""
        self._steps += 1
        if self._steps not in (self._after, self._after + 1):
            return
        if self._steps == self._after:
            self._copies = [
                (copy, network, _flat(_held(copy)))
                for network in networks
                for copy in _copies_of(network)
            ]
            return
        for copy, network, before in self._copies:
            now, target = _flat(_held(copy)), _flat(network.parameters())
            if not len(now) == len(before) == len(target):
                continue
            ahead = target - before
            share = float((now - before) @ ahead) / max(float(ahead @ ahead), 1e-12)
            if float((now - before - share * ahead).norm()) < _EXACT * float((now - before).norm()):
                self.shares.append(share)
        self._copies = []


class Moving:
    """Weights before and after the latest step of each of them."""

    def __init__(self) -> None:
        self._before: dict[str, Tensor] = {}
        self._after: dict[str, Tensor] = {}
        self._names: list[str] = []  # of the step that is taken
        self._averages = Averages(_LOOK)

    @property
    def averages(self) -> list[float]:
        """The share of the new weights that each average of them takes."""
        return self._averages.shares

    def begin(
        self, step: SeenStep, weights: Mapping[str, nn.Parameter], networks: Iterable[nn.Module]
    ) -> None:
        """Note what has happened to the weights that a step moves, since they were moved last."""
        now = {name: weight.detach().clone() for name, weight in weights.items()}
        known = [name for name in now if name in self._after]
        moved = norm(self._after[n] - self._before[n] for n in known)
        step.between = norm(now[n] - self._after[n] for n in known) / max(moved, 1e-12)
        step.back = moved > 0 and all(torch.equal(now[n], self._before[n]) for n in known)
        sizes = [float(each.abs().max()) for each in now.values()]
        largest = max(sizes, default=0.0)
        at_bound = sizes.count(largest) >= max(_FEW, _SHARE * len(sizes))
        step.bound = largest if at_bound else 0.0
        self._before |= now
        self._names = list(now)
        self._averages.look(networks)

    def end(self, step: SeenStep, weights: Mapping[str, nn.Parameter]) -> list[str]:
        """Note how far the step has moved its weights. Returns their names."""
        for name in self._names:
            old, new = self._before[name], weights[name].detach()
            step.moved[name] = float((new - old).norm()) / max(float(old.norm()), 1e-6)
            if name in step.halved:
                step.unchanged[name] = float((new == old).float().mean())
            self._after[name] = new.clone()
        names, self._names = self._names, []
        return names
