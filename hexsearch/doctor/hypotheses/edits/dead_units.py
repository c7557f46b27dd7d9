"""Which activations of a network give 0 at every position."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from hexsearch.doctor.foreign import ForeignNetwork

_NAMES = ("relu", "relu_", "clamp_min", "clamp_min_", "threshold")


class _Watching(TorchFunctionMode):
    """Keeps, for each call of a relu, whether any number is above 0."""

    def __init__(self) -> None:
        super().__init__()
        self.alive: list[bool] = []
        self._depth = 0  # functional.relu calls torch.relu

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        counts = getattr(func, "__name__", "") in _NAMES
        self._depth += counts
        try:
            result = func(*args, **(kwargs or {}))
        finally:
            self._depth -= counts
        if counts and not self._depth and isinstance(result, Tensor) and result.numel():
            self.alive.append(bool((result.detach() > 0).any()))
        return result


def dead_activations(foreign: ForeignNetwork, planes: Tensor) -> tuple[int, int]:
    """Relus that give 0 for each unit of all positions, and all relus that are called."""
    watching = _Watching()
    with torch.no_grad(), watching:
        foreign.respond(planes)
    return watching.alive.count(False), len(watching.alive)
