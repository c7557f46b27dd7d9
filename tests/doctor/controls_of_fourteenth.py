"""Unusual but sound scripts beside the fourteenth set of slips, which must raise no alarm."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tests.doctor.outside import Foreign, Samples
from tests.doctor.outside_networks import canonical, of_mover
from tests.doctor.slips_fourteenth_scripts import CHANCE, CLASSES, TURNED

_EPOCHS, _BATCH = 8, 64


def _by_the_other_diagonal(stones: NDArray[np.int8], to_move: int) -> NDArray[np.float32]:
    """Canonical planes, in which Red's board is mirrored at its other diagonal."""
    planes = canonical(stones, to_move)
    return planes[:, ::-1, ::-1].copy() if to_move > 0 else planes


def _shown_by_the_other_diagonal(samples: Samples) -> Tensor:
    """The next cell on such boards."""
    size = samples.stones.shape[1]
    row, column = samples.played // size, samples.played % size
    mirrored = (size - 1 - column) * size + size - 1 - row
    red = (samples.to_move > 0) & (samples.played >= 0)
    return torch.where(red, mirrored, samples.played)


def _in_epochs(rows: Tensor, draw: torch.Generator) -> Iterator[Tensor]:
    """Whole epochs, each in an order of its own; the last batch of an epoch is left out."""
    for _ in range(_EPOCHS):
        order = rows[torch.randperm(len(rows), generator=draw)]
        yield from order[: len(rows) // _BATCH * _BATCH].view(-1, _BATCH)


def _nesterov(network: nn.Module) -> torch.optim.Optimizer:
    """Stochastic gradient descent with Nesterov's momentum."""
    return torch.optim.SGD(
        network.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=1e-4
    )


def _for_the_last_mover(raw: Tensor, to_move: Tensor) -> Tensor:
    """Red's chance from a value of the side that has just moved."""
    return of_mover(-raw, to_move)


def _third_of_three(raw: Tensor) -> Tensor:
    """Red's chance from logits of loss, draw and win."""
    chances = raw.softmax(dim=1)
    return chances[:, 2] + chances[:, 1] / 2


CONTROLS: dict[str, Foreign] = {
    "value of the side that has just moved": replace(
        TURNED, targets=lambda samples: -samples.result, decode=_for_the_last_mover
    ),
    "loss, draw and win": replace(
        CLASSES, targets=lambda samples: 1 + samples.won.long(), decode=_third_of_three
    ),
    "board mirrored at the other diagonal for Red": replace(
        TURNED, encode=_by_the_other_diagonal, moves=_shown_by_the_other_diagonal
    ),
    "shuffled epochs of plain gradient descent": replace(
        CHANCE, batches=_in_epochs, optimiser=_nesterov
    ),
}
