"""How far the weights of a network move in each step of its optimisers, and between steps."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from hexsearch.doctor.own_training.gradients import norm
from hexsearch.doctor.own_training.seen import SeenStep


class Moving:
    """Weights before and after the latest step of each of them."""

    def __init__(self) -> None:
        self._before: dict[str, Tensor] = {}
        self._after: dict[str, Tensor] = {}
        self._names: list[str] = []  # of the step that is taken

    def begin(self, step: SeenStep, weights: Mapping[str, nn.Parameter]) -> None:
        """Note what has happened to the weights that a step moves, since they were moved last."""
        now = {name: weight.detach().clone() for name, weight in weights.items()}
        known = [name for name in now if name in self._after]
        moved = norm(self._after[n] - self._before[n] for n in known)
        step.between = norm(now[n] - self._after[n] for n in known) / max(moved, 1e-12)
        step.back = moved > 0 and all(torch.equal(now[n], self._before[n]) for n in known)
        sizes = {float(each.abs().max()) for each in now.values()}
        step.bound = max(sizes) if len(sizes) < len(now) / 2 else 0.0
        self._before |= now
        self._names = list(now)

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
