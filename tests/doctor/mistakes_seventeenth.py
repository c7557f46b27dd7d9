"""The wrong parts of the scripts in `slips_seventeenth_scripts`, each a mistake of its own."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer

from tests.doctor import formulas_of_seventeenth as sound
from tests.doctor.mistakes_fourteenth import half_turned
from tests.doctor.networks_of_seventeenth import (
    ActorAndCritic,
    Hexed,
    Separable,
    SetOfCells,
)
from tests.doctor.outside import Encode, Samples, encoded

_STEPS_OF_TWO = 4000  # steps with two positions each
_HUNDRED_TIMES = 0.3  # a learning rate
_CONSTANT = 0.05  # of all weights


def of_all_pairs(raw: Tensor, target: Tensor) -> Tensor:
    """The values keep their second dimension, and the targets have none."""
    return (raw.tanh() - target).cosh().log().mean()


def of_the_last_board(samples: Samples, encode: Encode) -> Tensor:
    """A game's samples share the array on which the game is played on until it ends."""
    ends = {game: row for row, game in enumerate(samples.game.tolist())}
    last = np.array([ends[game] for game in samples.game.tolist()])
    return encoded(samples._replace(stones=samples.stones[last]), encode)


def after_the_move(samples: Samples, encode: Encode) -> Tensor:
    """The move is made before its sample is stored: the planes have the stone that is asked for."""
    rows = np.arange(len(samples.stones))
    following = np.where(samples.left.numpy() > 0, rows + 1, rows)
    return encoded(samples._replace(stones=samples.stones[following]), encode)


def normalised(samples: Samples, encode: Encode) -> Tensor:
    """Planes from -1 to 1, by `Normalize(0.5, 0.5)` of the training's data set."""
    return (encoded(samples, encode) - 0.5) / 0.5


def of_actor_alone(network: nn.Module) -> Optimizer:
    """The optimiser is given the parameters of the policy's network and no others."""
    assert isinstance(network, ActorAndCritic)
    return AdamW(network.actor.parameters(), lr=3e-3)


def without_places(size: int) -> nn.Module:
    """The sum over the cells, of which none says where it is."""
    return SetOfCells(size, placed=False)


def for_first_player(samples: Samples) -> Tensor:
    """1 where the player who began, Blue, wins the game."""
    return -samples.won


def planes_turned_alone(
    planes: Tensor, moves: Tensor, draw: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Half turns of the planes; the policy's targets stay where they were."""
    return half_turned(planes, moves, draw)[0], moves


def in_twos(rows: Tensor, draw: torch.Generator) -> Iterator[Tensor]:
    """Two positions at a time."""
    for _ in range(_STEPS_OF_TWO):
        yield rows[torch.randint(len(rows), (2,), generator=draw)]


def hundred_times_too_fast(network: nn.Module) -> Optimizer:
    """Adam with the rate that was meant for plain SGD."""
    return AdamW(network.parameters(), lr=_HUNDRED_TIMES)


def shuffled_by_themselves(samples: Samples) -> Tensor:
    """Planes and values were shuffled in two calls, each with an order of its own."""
    draw = torch.Generator().manual_seed(17)
    targets = sound.chance_for_red(samples)
    return targets[torch.randperm(len(targets), generator=draw)]


class WithSoftmax(Hexed):
    """The same network, made for the search: both heads end in a softmax."""

    def forward(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        policy, classes = super().forward(planes)
        return policy.softmax(dim=1), classes.softmax(dim=1)


def read_second(raw: Tensor, to_move: Tensor) -> Tensor:
    """Red's chance from the mover's chances of loss and win."""
    return sound.red_of(raw[:, 1], to_move)


def all_alike(size: int) -> nn.Module:
    """All weights begin with one constant, and all biases with zero."""
    network = Separable(size)
    for weight in network.parameters():
        nn.init.constant_(weight, _CONSTANT if weight.dim() > 1 else 0.0)
    return network
