"""Planes, targets and losses of the seventeenth set, and its scripts as they are without a slip."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from tests.doctor.mistakes_fourteenth import half_turned
from tests.doctor.networks_of_seventeenth import (
    ActorAndCritic,
    Dense,
    Hexed,
    Mixer,
    Recurrent,
    Separable,
    SetOfCells,
)
from tests.doctor.outside import Foreign, Samples


def leftwards(stones: NDArray[np.int8], to_move: int) -> NDArray[np.int8]:
    """1 for own stones and -1 for others; Blue's board is transposed, so the mover is as Red."""
    return stones if to_move > 0 else -stones.T


def two_planes(stones: NDArray[np.int8], to_move: int) -> NDArray[np.float32]:
    """Other and own stones of this board."""
    shown = leftwards(stones, to_move)
    return np.stack([shown < 0, shown > 0]).astype(np.float32)


def three_planes(stones: NDArray[np.int8], to_move: int) -> NDArray[np.float32]:
    """Own stones, empty cells and other stones of this board."""
    shown = leftwards(stones, to_move)
    return np.stack([shown == 1, shown == 0, shown == -1]).astype(np.float32)


def one_plane(stones: NDArray[np.int8], to_move: int) -> NDArray[np.float32]:
    """The signs of this board."""
    return np.ascontiguousarray(leftwards(stones, to_move), dtype=np.float32)[None]


def four_planes(stones: NDArray[np.int8], to_move: int) -> NDArray[np.float32]:
    """Red, Blue, empty, and 1 everywhere if Blue is to move, -1 if Red is."""
    side = np.full(stones.shape, -np.sign(to_move))
    return np.stack([stones == 1, stones == -1, stones == 0, side]).astype(np.float32)


def moves_leftwards(samples: Samples) -> Tensor:
    """The next cell on the board as `leftwards` shows it."""
    size = samples.stones.shape[1]
    turned = samples.played % size * size + samples.played // size
    blue = (samples.to_move < 0) & (samples.played >= 0)
    return torch.where(blue, turned, samples.played)


def for_mover(samples: Samples) -> Tensor:
    """1 where the side to move wins, else -1."""
    return samples.result


def chance_for_mover(samples: Samples) -> Tensor:
    """1.0 where the side to move wins, else 0.0."""
    return (samples.result > 0).float()


def class_for_mover(samples: Samples) -> Tensor:
    """Class 1 where the side to move wins, else class 0."""
    return (samples.result > 0).long()


def for_red(samples: Samples) -> Tensor:
    """1 where Red wins, else -1."""
    return samples.won


def chance_for_red(samples: Samples) -> Tensor:
    """1.0 where Red wins, else 0.0."""
    return (samples.won > 0).float()


def squares(raw: Tensor, target: Tensor) -> Tensor:
    """Mean squared error."""
    return (raw.squeeze(1) - target).square().mean()


def log_cosh(raw: Tensor, target: Tensor) -> Tensor:
    """Mean log(cosh) of the error of a raw value's tanh."""
    return (raw.squeeze(1).tanh() - target).cosh().log().mean()


def of_chance(raw: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy of a chance."""
    return functional.binary_cross_entropy(raw.squeeze(1), target)


def of_logit(raw: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy of a logit."""
    return functional.binary_cross_entropy_with_logits(raw.squeeze(1), target)


def red_of(chance: Tensor, to_move: Tensor) -> Tensor:
    """Red's chance from the mover's; nobody to move is as Blue."""
    return torch.where(to_move > 0, chance, 1 - chance)


def read_mover(raw: Tensor, to_move: Tensor) -> Tensor:
    """Red's chance from the mover's value in [-1, 1]."""
    return red_of(0.5 + 0.5 * raw[:, 0], to_move)


def read_logit(raw: Tensor) -> Tensor:
    """Red's chance from a logit."""
    return raw[:, 0].sigmoid()


def read_red(raw: Tensor) -> Tensor:
    """Red's chance from a raw value of Red."""
    return (raw[:, 0].tanh() + 1) / 2


def read_chance(raw: Tensor, to_move: Tensor) -> Tensor:
    """Red's chance from the mover's chance."""
    return red_of(raw[:, 0], to_move)


def read_classes(raw: Tensor, to_move: Tensor) -> Tensor:
    """Red's chance from logits of the mover's loss and win."""
    return red_of((raw[:, 1] - raw[:, 0]).sigmoid(), to_move)


def longer(rows: Tensor, draw: torch.Generator) -> Iterator[Tensor]:
    """Twice as many batches as the other scripts have."""
    for _ in range(500):
        yield rows[torch.randint(len(rows), (128,), generator=draw)]


MIXER = Foreign(
    Mixer, three_planes, for_mover, squares, read_mover, moves=moves_leftwards, turned=half_turned
)
SEPARABLE = replace(MIXER, network=Separable)
HEXED = Foreign(
    Hexed,
    two_planes,
    class_for_mover,
    functional.cross_entropy,
    read_classes,
    moves=moves_leftwards,
    turned=half_turned,
)
ACTOR = Foreign(
    ActorAndCritic,
    one_plane,
    chance_for_mover,
    of_chance,
    read_chance,
    moves=moves_leftwards,
    turned=half_turned,
)
RECURRENT = Foreign(Recurrent, four_planes, for_red, log_cosh, read_red, turned=half_turned)
DENSE = Foreign(Dense, four_planes, chance_for_red, of_logit, read_logit, turned=half_turned)
CELLS = replace(DENSE, network=SetOfCells, batches=longer)
SOUND = {
    "mixer of cells": MIXER,
    "separable convolutions": SEPARABLE,
    "hexagonal convolutions": HEXED,
    "actor and critic": ACTOR,
    "rows and columns in turn": RECURRENT,
    "dense convolutions": DENSE,
    "set of cells": CELLS,
}
