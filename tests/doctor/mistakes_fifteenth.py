"""The wrong parts of the scripts in `slips_fifteenth_scripts`, each a mistake of its own."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tests.doctor.outside import Encode, Samples, encoded
from tests.doctor.outside_networks import Pooled, Tower, WinDrawLoss, of_mover, signed

_BINS = 11  # of the value, from 0 to 1


class Grouped(WinDrawLoss):
    """Residual blocks with group norm, for any number of planes and of raw values. It is sound."""

    def __init__(self, size: int, planes: int = 3, outputs: int = 1) -> None:
        super().__init__(size)
        self.stem = nn.Conv2d(planes, self.stem.out_channels, 3, padding=1)
        self.value[5] = nn.Linear(32, outputs)


def of_two_planes(size: int) -> Grouped:
    """One raw value from two planes."""
    return Grouped(size, planes=2)


def with_bins(size: int) -> Grouped:
    """A logit for each bin of the value, from two planes."""
    return Grouped(size, planes=2, outputs=_BINS)


def in_bins(raw: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy with the two bins round a chance. This is sound."""
    place = (_BINS - 1) * target.clamp(0, 1)
    wanted = (1 - (place[:, None] - torch.arange(_BINS)).abs()).clamp(min=0)
    return -(wanted * raw.log_softmax(dim=1)).sum(dim=1).mean()


def mean_of_bins(raw: Tensor) -> Tensor:
    """The mean of the bins' chances. This is sound."""
    return raw.softmax(dim=1) @ torch.linspace(0, 1, _BINS)


def mover_of_bins(raw: Tensor, to_move: Tensor) -> Tensor:
    """Red's chance from bins for the side to move. This is sound."""
    return of_mover(2 * mean_of_bins(raw) - 1, to_move)


def stones_only(stones: NDArray[np.int8], to_move: int) -> NDArray[np.float32]:
    """Red's and Blue's stones, and nothing that says whose turn it is."""
    return np.stack([stones == 1, stones == -1]).astype(np.float32)


def with_side(stones: NDArray[np.int8], to_move: int) -> NDArray[np.float32]:
    """The same with the side to move, which is sound."""
    side = np.full((1, *stones.shape), to_move, dtype=np.float32)
    return np.concatenate([stones_only(stones, to_move), side])


def by_columns(stones: NDArray[np.int8], to_move: int) -> NDArray[np.float32]:
    """The board is read as [x, y], while it is [row, column]."""
    return signed(stones.T, to_move)


def in_bytes(samples: Samples, encode: Encode) -> Tensor:
    """The replay buffer keeps planes as uint8, in which -1 is 255."""
    return encoded(samples, encode).to(torch.int8).view(torch.uint8).float()


def decisive(samples: Samples) -> Tensor:
    """Samples with a result of 1. The filter for games without a draw should be `won != 0`."""
    return (samples.won > 0).nonzero()[:, 0]


def of_the_next_position(samples: Samples) -> Tensor:
    """1.0 where the side to move in the next position of the game wins, else 0.0."""
    following = -samples.result  # it is the other side's turn
    return (torch.where(samples.left == 0, samples.result, following) > 0).float()


def next_move(moves: Tensor) -> Tensor:
    """The move in the next position of the game."""
    return torch.where(moves < 0, moves, moves.roll(-1))


def still_training(network: nn.Module) -> nn.Module:
    """The network as the last step of the training left it."""
    return network.train()


def with_fresh_value(network: Any) -> nn.Module:
    """The file names the value head otherwise, and `strict=False` passes over it."""
    stored = {
        name.replace("value_", "value_head."): weight
        for name, weight in network.state_dict().items()
    }
    built = Tower(math.isqrt(network.value_fc1.in_features // 8))
    built.load_state_dict(stored, strict=False)
    return built.eval()


class SureOfMoves(Tower):
    """AlphaZero's tower, whose policy ends in a softmax before the cross-entropy's own."""

    def forward(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        policy, value = super().forward(planes)
        return policy.softmax(dim=1), value


class SquashedTwice(Pooled):
    """The pooled network with a sigmoid at its end, before the sigmoid of the loss."""

    def forward(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        policy, value = super().forward(planes)
        return policy, value.sigmoid()
