"""Unusual but sound scripts beside the eighteenth set of slips, which must raise no alarm."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim import Optimizer, RMSprop

from tests.doctor.formulas_of_eighteenth import (
    ATTENDING,
    DILATED,
    PLAIN,
    VOTES,
    chance_for_mover,
    for_mover,
    red_of,
    two_turns,
)
from tests.doctor.networks_of_eighteenth import Dilated
from tests.doctor.outside import Foreign, Samples

_BINS = 9


def _upside_down(stones: NDArray[np.int8], to_move: int) -> NDArray[np.float32]:
    """The last row first and the last column first, whoever is to move."""
    return two_turns(stones[::-1, ::-1], to_move)


def _moves_upside_down(samples: Samples) -> Tensor:
    last = samples.stones.shape[1] ** 2 - 1
    return torch.where(samples.played >= 0, last - samples.played, samples.played)


class Binned(Dilated):
    """The value is a distribution over bins from -1 to 1, as logits."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.value = nn.Sequential(nn.Linear(4 * size * size, 32), nn.SiLU(), nn.Linear(32, _BINS))

    def forward(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        features = nn.functional.silu(self.stem(planes))
        for layer in self.layers:
            features = features + nn.functional.silu(layer(features))
        value = self.value(nn.functional.silu(self.narrow(features)).flatten(1))
        return self.policy(features).flatten(1), value


def _bin_of_result(samples: Samples) -> Tensor:
    """The last bin where the side to move wins, else the first."""
    return (_BINS - 1) * chance_for_mover(samples).long()


def _read_bins(raw: Tensor, to_move: Tensor) -> Tensor:
    """Red's chance from the mean of the mover's bins."""
    chances = torch.linspace(0, 1, _BINS, device=raw.device)
    return red_of(raw.softmax(dim=1) @ chances, to_move)


def _rms(network: nn.Module) -> Optimizer:
    return RMSprop(network.parameters(), lr=5e-4, momentum=0.5)


def _in_passes(rows: Tensor, draw: torch.Generator) -> Iterator[Tensor]:
    """Eight passes over all rows, each in an order of its own."""
    for _ in range(8):
        yield from torch.split(rows[torch.randperm(len(rows), generator=draw)], 96)


def _nearly_sure(samples: Samples) -> Tensor:
    """0.95 where the side to move wins, else -0.95, so that the tanh stays in its range."""
    return 0.95 * for_mover(samples)


CONTROLS: dict[str, Foreign] = {
    "board upside down for both": replace(VOTES, encode=_upside_down, moves=_moves_upside_down),
    "distribution over nine bins": replace(
        DILATED,
        network=Binned,
        targets=_bin_of_result,
        loss=ATTENDING.loss,
        decode=_read_bins,
    ),
    "RMSprop in passes, and smoothed results": replace(
        PLAIN, optimiser=_rms, batches=_in_passes, targets=_nearly_sure
    ),
}
