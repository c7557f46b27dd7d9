"""Planes, targets and losses of the eighteenth set, and its scripts as they are without a slip."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import AdamW, Optimizer

from hexsearch.game.board import winner
from tests.doctor.mistakes_fourteenth import half_turned
from tests.doctor.networks_of_eighteenth import (
    Attending,
    Dilated,
    Excited,
    GloballyBiased,
    Messages,
    Perceptron,
    Plain,
    Votes,
)
from tests.doctor.outside import Foreign, Samples, as_shown

_FALL = 0.985  # of the learning rate, at each step


def downwards(stones: NDArray[np.int8], to_move: int) -> NDArray[np.int8]:
    """1 for own stones and -1 for others; Red's board is transposed, so the mover is as Blue."""
    return stones.T if to_move > 0 else -stones


def own_first(stones: NDArray[np.int8], to_move: int) -> NDArray[np.float32]:
    """Own and other stones of this board, and ones that tell the board from its padding."""
    shown = downwards(stones, to_move)
    return np.stack([shown > 0, shown < 0, np.ones(shown.shape)]).astype(np.float32)


def own_and_other(stones: NDArray[np.int8], to_move: int) -> NDArray[np.float32]:
    """Own and other stones of this board."""
    return own_first(stones, to_move)[:2]


def own_and_empty(stones: NDArray[np.int8], to_move: int) -> NDArray[np.float32]:
    """Empty cells, own and other stones of this board."""
    shown = downwards(stones, to_move)
    return np.stack([shown == 0, shown == 1, shown == -1]).astype(np.float32)


def two_turns(stones: NDArray[np.int8], to_move: int) -> NDArray[np.float32]:
    """Blue, Red, ones if Blue is to move, ones if Red is."""
    turns = [np.full(stones.shape, to_move == side) for side in (-1, 1)]
    return np.stack([stones == -1, stones == 1, *turns]).astype(np.float32)


def signs(stones: NDArray[np.int8], to_move: int) -> NDArray[np.float32]:
    """The side to move everywhere, and the stones with their signs."""
    return np.stack([np.full(stones.shape, to_move), stones]).astype(np.float32)


def with_edges(stones: NDArray[np.int8], to_move: int) -> NDArray[np.float32]:
    """Blue, Red, Blue's two edges, Red's, the side to move, and who has connected, if anybody."""
    ends = np.zeros(stones.shape, dtype=np.int8)
    ends[0] = ends[-1] = 1
    side, won = np.full(stones.shape, to_move), np.full(stones.shape, winner(stones))
    return np.stack([stones == -1, stones == 1, ends, ends.T, side, won]).astype(np.float32)


def for_mover(samples: Samples) -> Tensor:
    """1 where the side to move wins, else -1."""
    return samples.result


def chance_for_mover(samples: Samples) -> Tensor:
    """1.0 where the side to move wins, else 0.0."""
    return (samples.result > 0).float()


def class_for_mover(samples: Samples) -> Tensor:
    """Class 2 where the side to move wins, else class 0; class 1 would be a draw."""
    return 1 + samples.result.long()


def chance_for_red(samples: Samples) -> Tensor:
    """1.0 where Red wins, else 0.0."""
    return (samples.won > 0).float()


def class_of_winner(samples: Samples) -> Tensor:
    """Class 0 where Red wins, else class 1."""
    return (samples.won < 0).long()


def for_blue(samples: Samples) -> Tensor:
    """1 where Blue wins, else -1."""
    return -samples.won


def fading(network: nn.Module) -> Optimizer:
    """Adam at a rate that falls to a fiftieth, so that batch norm's statistics can settle."""

    def fall(optimiser: Optimizer, *_: object) -> None:
        for group in optimiser.param_groups:
            group["lr"] *= _FALL

    optimiser = AdamW(network.parameters(), lr=3e-3, weight_decay=0.02)
    optimiser.register_step_post_hook(fall)
    return optimiser


def squares(raw: Tensor, target: Tensor) -> Tensor:
    """Mean squared error."""
    return (raw[:, 0] - target).square().mean()


def huber(raw: Tensor, target: Tensor) -> Tensor:
    """Squares near zero and absolute errors beyond."""
    return functional.smooth_l1_loss(raw[:, 0], target)


def of_chance(raw: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy of a chance."""
    return functional.binary_cross_entropy(raw[:, 0], target)


def of_logit(raw: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy of a logit."""
    return functional.binary_cross_entropy_with_logits(raw[:, 0], target)


def red_of(chance: Tensor, to_move: Tensor) -> Tensor:
    """Red's chance from the mover's; nobody to move is as Blue."""
    return torch.where(to_move > 0, chance, 1 - chance)


def read_mover(raw: Tensor, to_move: Tensor) -> Tensor:
    """Red's chance from the mover's value in [-1, 1]."""
    return red_of((raw[:, 0] + 1) / 2, to_move)


def read_chance(raw: Tensor, to_move: Tensor) -> Tensor:
    """Red's chance from the mover's chance."""
    return red_of(raw[:, 0], to_move)


def read_three(raw: Tensor, to_move: Tensor) -> Tensor:
    """Red's chance from logits of the mover's loss, draw and win."""
    chances = raw.softmax(dim=1)
    return red_of(chances[:, 2] + 0.5 * chances[:, 1], to_move)


def read_logit(raw: Tensor) -> Tensor:
    """Red's chance from a logit."""
    return raw[:, 0].sigmoid()


def read_first(raw: Tensor) -> Tensor:
    """Red's chance from logits of Red's win and Blue's."""
    return raw.softmax(dim=1)[:, 0]


def read_blue(raw: Tensor) -> Tensor:
    """Red's chance from Blue's value in [-1, 1]."""
    return (1 - raw[:, 0]) / 2


EXCITED = Foreign(
    Excited,
    own_first,
    for_mover,
    squares,
    read_mover,
    moves=as_shown,
    turned=half_turned,
    optimiser=fading,
)
PLAIN = Foreign(
    Plain, own_and_empty, for_mover, huber, read_mover, moves=as_shown, turned=half_turned
)
DILATED = Foreign(
    Dilated,
    own_and_empty,
    chance_for_mover,
    of_chance,
    read_chance,
    moves=as_shown,
    turned=half_turned,
)
ATTENDING = Foreign(
    Attending,
    own_and_other,
    class_for_mover,
    functional.cross_entropy,
    read_three,
    moves=as_shown,
    turned=half_turned,
)
BIASED = Foreign(
    GloballyBiased, two_turns, chance_for_red, of_logit, read_logit, turned=half_turned
)
VOTES = Foreign(Votes, two_turns, chance_for_red, of_logit, read_logit, turned=half_turned)
PERCEPTRON = Foreign(
    Perceptron, signs, class_of_winner, functional.cross_entropy, read_first, turned=half_turned
)
MESSAGES = Foreign(Messages, with_edges, for_blue, squares, read_blue, turned=half_turned)
SOUND = {
    "squeeze and excitation": EXCITED,
    "plain convolutions": PLAIN,
    "dilated convolutions": DILATED,
    "transformer with a class token": ATTENDING,
    "biases from the whole board": BIASED,
    "votes of cells": VOTES,
    "residual perceptron": PERCEPTRON,
    "messages between cells": MESSAGES,
}
