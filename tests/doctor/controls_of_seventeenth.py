"""Unusual but sound scripts beside the seventeenth set of slips, which must raise no alarm."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim import SGD, Optimizer

from tests.doctor.formulas_of_seventeenth import (
    ACTOR,
    DENSE,
    HEXED,
    MIXER,
    red_of,
)
from tests.doctor.networks_of_seventeenth import Separable
from tests.doctor.outside import Foreign, Samples


def _reflected(stones: NDArray[np.int8], to_move: int) -> NDArray[np.float32]:
    """Red's board is reflected in the other diagonal, so the mover connects top and bottom."""
    shown = stones[::-1, ::-1].T if to_move > 0 else -stones
    return np.stack([shown == 1, shown == -1]).astype(np.float32)


def _moves_reflected(samples: Samples) -> Tensor:
    size = samples.stones.shape[1]
    row, column = samples.played // size, samples.played % size
    turned = (size - 1 - column) * size + size - 1 - row
    red = (samples.to_move > 0) & (samples.played >= 0)
    return torch.where(red, turned, samples.played)


def _before_the_end(samples: Samples) -> Tensor:
    """Positions in which somebody is to move."""
    return torch.nonzero(samples.left > 0)[:, 0]


def _plain_steps(network: nn.Module) -> Optimizer:
    return SGD(network.parameters(), lr=0.05, momentum=0.9, nesterov=True, weight_decay=1e-4)


class Committee(nn.Module):
    """Three networks of different widths, whose answers are averaged."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.members = nn.ModuleList(Separable(size, width) for width in (16, 22, 28))

    def forward(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        policies, values = zip(*(member(planes) for member in self.members), strict=True)
        return torch.stack(policies).mean(dim=0), torch.stack(values).mean(dim=0)


def _chance_of_loss(samples: Samples) -> Tensor:
    return (samples.result < 0).float()


def _read_loss(raw: Tensor, to_move: Tensor) -> Tensor:
    return red_of(1 - raw[:, 0], to_move)


CONTROLS: dict[str, Foreign] = {
    "reflected in the other diagonal": replace(HEXED, encode=_reflected, moves=_moves_reflected),
    "plain SGD, and no finished boards": replace(
        DENSE, optimiser=_plain_steps, rows=_before_the_end
    ),
    "committee of three networks": replace(MIXER, network=Committee),
    "chance that the mover loses": replace(ACTOR, targets=_chance_of_loss, decode=_read_loss),
}
