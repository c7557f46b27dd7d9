"""Unusual but sound scripts beside the sixteenth set of slips, which must raise no alarm."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor, nn
from torch.nn import functional

from tests.doctor.mistakes_fourteenth import half_turned
from tests.doctor.networks_of_sixteenth import (
    AVERAGED,
    CONVOLVED,
    GATED,
    PAIRED,
    TwoHeads,
    averaged,
    convolved,
    gated,
    of_mover,
    paired,
)
from tests.doctor.outside import Foreign, Samples


class BothColours(nn.Module):
    """A logit less that of the same position with its colours and edges exchanged."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.inner = gated(size)

    def forward(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        blue, red, side = planes.transpose(2, 3).unbind(dim=1)
        exchanged = planes.new_empty(planes.shape)
        exchanged[:, 0], exchanged[:, 1], exchanged[:, 2] = red, blue, 1 - side
        policy, raw = self.inner(planes)
        return policy, (raw - self.inner(exchanged)[1]) / 2


class Embedded(nn.Module):
    """A vector for each state of a cell, before ordinary convolutions."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.states, self.inner = nn.Embedding(3, 6), convolved(size, planes=6)

    def forward(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        states = planes[:, 0].round().long().clamp(0, 2)
        out: tuple[Tensor, Tensor] = self.inner(self.states(states).permute(0, 3, 1, 2))
        return out


class Inside(nn.Module):
    """The cells without the ring around them."""

    def forward(self, features: Tensor) -> Tensor:
        return features[:, :, 1:-1, 1:-1]


def _states(stones: NDArray[np.int8], to_move: int) -> NDArray[np.float32]:
    """One plane: 0 for an empty cell, 1 for an own stone, 2 for the other's."""
    own, other, _ = of_mover(stones, to_move)
    return np.asarray(own + 2 * other, dtype=np.float32)[None]


def _ringed(stones: NDArray[np.int8], to_move: int) -> NDArray[np.float32]:
    """The mover's planes with a ring that holds the edges as stones."""
    planes = np.pad(of_mover(stones, to_move), ((0, 0), (1, 1), (1, 1)))
    planes[0, [0, -1], 1:-1] = 1
    planes[1, 1:-1, [0, -1]] = 1
    return planes


def _turned_inside(planes: Tensor, moves: Tensor, draw: Generator) -> tuple[Tensor, Tensor]:
    """Half turns of the board; the ring is the same after one."""
    inside, played = half_turned(planes[:, :, 1:-1, 1:-1], moves, draw)
    return functional.pad(inside, (1, 1, 1, 1)) + planes * _on_ring(planes), played


def _on_ring(planes: Tensor) -> Tensor:
    return functional.pad(torch.zeros_like(planes[:, :, 1:-1, 1:-1]), (1, 1, 1, 1), value=1.0)


def _of_ringed(size: int) -> TwoHeads:
    network = paired(size)
    network.policy = nn.Sequential(network.policy, Inside())
    return network


def _blue_wins(samples: Samples) -> Tensor:
    return (samples.won < 0).float()


def _two_numbers(size: int) -> TwoHeads:
    """Two raw numbers, whose softplus are the parameters of a Beta distribution of the chance."""
    network = averaged(size)
    network.value = nn.Sequential(*list(network.value.children())[:-1], nn.Linear(40, 2))
    return network


def _mean_of_beta(raw: Tensor) -> Tensor:
    first, second = (functional.softplus(raw) + 1e-3).unbind(dim=1)
    return first / (first + second)


def _likelihood(raw: Tensor, target: Tensor) -> Tensor:
    return functional.binary_cross_entropy(_mean_of_beta(raw), target)


CONTROLS: dict[str, Foreign] = {
    "answers exactly exchanged with the colours": replace(GATED, network=BothColours),
    "cells coded 0, 1 and 2, and embedded": replace(CONVOLVED, network=Embedded, encode=_states),
    "edges as a ring of stones": replace(
        PAIRED, network=_of_ringed, encode=_ringed, turned=_turned_inside
    ),
    "chance of Blue, read as Blue's": replace(
        AVERAGED, targets=_blue_wins, decode=lambda raw: 1 - raw[:, 0].sigmoid()
    ),
    "mean of a Beta distribution": replace(
        AVERAGED, network=_two_numbers, loss=_likelihood, decode=_mean_of_beta
    ),
}
