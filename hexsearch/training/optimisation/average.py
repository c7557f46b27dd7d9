"""Weights averaged over the course of training, for evaluation and for answers.

A step at a high learning rate leaves the weights beside the valley that they move along; an
average over the last few thousand positions lies inside it (Polyak and Juditsky, 1992). Training
never reads the average.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

# Of the positions seen: the longest half-life that the average has so early. Without it the first
# evaluations would be of the initial weights.
_LARGEST_SHARE = 0.1


M = TypeVar("M", bound=nn.Module)


class AveragedNetwork(Generic[M]):
    """An exponential moving average of a network's parameters.

    Args:
        half_life: positions after which a weight's share in the average has halved, whatever the
            batch size. It grows into this from a tenth of the positions seen.

    Attributes:
        network: the average, with batch-norm statistics of its own that have to be calibrated.
    """

    def __init__(self, network: M, half_life: int) -> None:
        self.network: M = deepcopy(network).requires_grad_(False)
        self._half_life = half_life
        self._averages: list[Tensor] = list(self.network.parameters())
        self._weights: list[Tensor] = list(network.parameters())

    @torch.no_grad()
    def update(self, size: int, positions_seen: int) -> None:
        """Take in the weights after a step.

        Args:
            size: positions of the step. positions_seen: with these.
        """
        half_life = min(self._half_life, _LARGEST_SHARE * positions_seen)
        torch._foreach_lerp_(self._averages, self._weights, 1.0 - 0.5 ** (size / half_life))
