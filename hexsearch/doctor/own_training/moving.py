"""How far the weights of a network move in each step of its optimisers, and between steps."""

from __future__ import annotations

import gc
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from hexsearch.doctor.own_training.gradients import norm
from hexsearch.doctor.own_training.seen import SeenStep

_LOOK = 10  # step before which averages of the weights are looked for
_FEW, _SHARE = 3, 0.15  # weights that have one largest number, and their share, of a bound
_EXACT = 0.01  # largest residual of an average, relative to its move


def _flat(network: nn.Module) -> Tensor:
    """All weights in a row; copies may be on another device."""
    weights = [each.detach().flatten().float().cpu() for each in network.parameters()]
    return torch.cat(weights) if weights else torch.zeros(0)


class Moving:
    """Weights before and after the latest step of each of them."""

    def __init__(self) -> None:
        self._before: dict[str, Tensor] = {}
        self._after: dict[str, Tensor] = {}
        self._names: list[str] = []  # of the step that is taken
        self._steps = 0
        self._copies: list[tuple[nn.Module, Tensor]] = []  # of a network, and their weights
        self.averages: list[float] = []  # share of the new weights that each average takes

    def _look_for_averages(self, networks: Iterable[nn.Module]) -> None:
        """Before one step find copies of the networks, and before the next how they have moved."""
        self._steps += 1
        if self._steps not in (_LOOK, _LOOK + 1):
            return
        trained = {type(each): each for each in networks}
        if self._steps == _LOOK:
            alive = [each for each in gc.get_objects() if type(each) in trained]
            copies = [each for each in alive if each is not trained[type(each)]]
            self._copies = [(each, _flat(each)) for each in copies]
            return
        for copy, before in self._copies:
            now, target = _flat(copy), _flat(trained[type(copy)])
            if not len(now) == len(before) == len(target):
                continue
            ahead = target - before
            share = float((now - before) @ ahead) / max(float(ahead @ ahead), 1e-12)
            if float((now - before - share * ahead).norm()) < _EXACT * float((now - before).norm()):
                self.averages.append(share)
        self._copies = []

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
        self._look_for_averages(networks)

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
