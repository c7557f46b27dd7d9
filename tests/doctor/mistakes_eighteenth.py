"""The wrong parts of the scripts in `slips_eighteenth_scripts`, each a mistake of its own."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tests.doctor import formulas_of_eighteenth as sound
from tests.doctor.networks_of_eighteenth import Excited, Plain, Votes
from tests.doctor.outside import Encode, Samples, encoded

_OPENING = 7  # plies that are kept of each game
_PLANE_OF_WINNER = 5
_DISCOUNT = 0.9  # for each ply to the end
_TEMPERATURE = 0.1
_PIECE = 16  # consecutive positions in a batch
_WHITE = np.float32(255)  # of a pixel


def of_openings(samples: Samples) -> Tensor:
    """The first plies of each game, by a limit that was meant for a quick trial."""
    return torch.nonzero(samples.ply < _OPENING)[:, 0]


def of_finished_games(samples: Samples, encode: Encode) -> Tensor:
    """Planes made when the game was over, so that the plane of the winner is that of the game."""
    planes = encoded(samples, encode)
    planes[:, _PLANE_OF_WINNER] = samples.won[:, None, None]
    return planes


def left_as_trained(network: nn.Module) -> nn.Module:
    """The network, without a call of `eval`."""
    return network


def one_layer(size: int) -> nn.Module:
    """One convolution of 3 x 3 and layers of 1 x 1, so a vote sees a cell and its neighbours."""
    return Votes(size, kernels=(3, 1, 1, 1))


def of_untrained(samples: Samples) -> Tensor:
    """What a network that is not yet trained says of the next position, or the result at the end.

    It is meant as a temporal difference, but the targets are computed once, before the training.
    """
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(18)
        target_network = Plain(samples.stones.shape[1])
        values = target_network(encoded(samples, sound.own_and_empty))[1][:, 0]
    following = torch.roll(-values, -1)
    return torch.where(samples.left > 0, following, samples.result)


class OfCorner(Plain):
    """The value reads the first cell as if it were a class token."""

    def cells(self, size: int) -> int:
        return 1

    def shown(self, features: Tensor) -> Tensor:
        return features.flatten(2)[:, :, 0]


def game_by_game(rows: Tensor, draw: torch.Generator) -> Iterator[Tensor]:
    """One pass over the rows in their order: a batch is from one game, or from two."""
    yield from torch.split(rows, _PIECE)


def of_chance_as_logit(raw: Tensor, target: Tensor) -> Tensor:
    """The network has its sigmoid, and the loss takes another one."""
    return sound.of_logit(raw, target)


def of_pixels(stones: NDArray[np.int8], to_move: int) -> NDArray[np.float32]:
    """Planes of bytes, which the training's data set divides by 255 and the player does not."""
    return _WHITE * sound.signs(stones, to_move)


def of_x_and_y(stones: NDArray[np.int8], to_move: int) -> NDArray[np.float32]:
    """The board as the program that plays has it, by x and y."""
    return sound.two_turns(np.ascontiguousarray(stones.T), to_move)


def class_of_red(samples: Samples) -> Tensor:
    """Class 2 where Red wins, else class 0, whoever is to move."""
    return 1 + samples.won.long()


def too_cold(raw: Tensor) -> Tensor:
    """Red's chance at a low temperature."""
    return (raw[:, 0] / _TEMPERATURE).sigmoid()


def with_fresh_head(network: nn.Module) -> nn.Module:
    """A wrapper for play begins its layers with `apply(init_weights)` after loading."""
    assert isinstance(network, Excited)
    torch.manual_seed(18)
    for layer in network.value.modules():
        if isinstance(layer, nn.Linear):
            nn.init.kaiming_normal_(layer.weight)
            nn.init.zeros_(layer.bias)
    return network.eval()


def discounted(samples: Samples) -> Tensor:
    """The mover's chance, discounted for each ply that is left."""
    return _DISCOUNT**samples.left * sound.chance_for_mover(samples)
