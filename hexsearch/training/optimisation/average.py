"""Weights averaged over the course of training, for evaluation and prediction.

At a high learning rate the weights oscillate around a valley of the loss. An average over the last
few thousand positions lies inside the valley (Polyak and Juditsky, 1992). Training never reads the
average.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

# The half-life is at most this share of the positions seen. Otherwise the average at the first
# evaluations would consist of the initial weights.
_LARGEST_SHARE = 0.1


M = TypeVar("M", bound=nn.Module)


class AveragedNetwork(Generic[M]):
    """An exponential moving average of a network's parameters.

    Args:
        half_life: positions after which a weight's share in the average has halved, for every
            batch size. Early in training it is a tenth of the positions seen, if that is less.

    Attributes:
        network: the average. It has its own batch-norm statistics, which must be calibrated.
    """

    def __init__(self, network: M, half_life: int) -> None:
        self.network: M = deepcopy(network).requires_grad_(False)
        self._half_life = half_life
        self._averages: list[Tensor] = list(self.network.parameters())
        self._weights: list[Tensor] = list(network.parameters())

    @torch.no_grad()
    def update(self, size: int, positions_seen: int) -> None:
        """Update the average with the weights after a step.

        Args:
            size: positions of the step.
            positions_seen: positions seen, including those of the step.
        """
        half_life = min(self._half_life, _LARGEST_SHARE * positions_seen)
        torch._foreach_lerp_(self._averages, self._weights, 1.0 - 0.5 ** (size / half_life))
