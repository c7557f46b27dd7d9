"""A network whose value belongs to the side to move, as in AlphaZero, wrapped for `doctor`.

    PYTHONPATH=examples python run_search.py doctor --games my_games/ \\
        --model foreign_alphazero:load --encoder foreign_alphazero:encode

Its planes are own and other stones. They are reflected for Red, so that the side to move connects
top to bottom. Its value in [-1, 1] is that of the side to move, so `win_prob_red` needs a second
argument. `load_for_one_colour` ignores this; the doctor then reports that the answer is inverted
where Red is to move. FOREIGN_WEIGHTS names a file of weights. Without it the weights are the
initial ones, and the doctor reports that the network has learnt nothing.
"""

from __future__ import annotations

import os

import numpy as np
import torch
from foreign_resnet import TwoHeadedResNet
from numpy.typing import NDArray
from torch import Tensor, nn


class ForTheMover(nn.Module):
    """Values in [-1, 1] of the side to move."""

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.net = TwoHeadedResNet(planes=2)
        if weights := os.environ.get("FOREIGN_WEIGHTS"):
            self.net.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
        self.eval()

    def forward(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        policy, value = self.net(planes)
        return policy, value.tanh()

    def loss(self, raw: Tensor, target: Tensor) -> Tensor:
        """Target 1.0 where the side to move wins."""
        return (raw - (2.0 * target - 1.0)).square()

    def win_prob_red(self, raw: Tensor, to_move: Tensor) -> Tensor:
        """to_move is +1 for Red and -1 for Blue."""
        mover_wins = (raw + 1) / 2
        return torch.where(to_move > 0, mover_wins, 1 - mover_wins)


class ForOneColour(nn.Module):
    """The same network, its value taken for Red's chance in every position."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = ForTheMover()

    def forward(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        return self.inner(planes)

    def win_prob_red(self, raw: Tensor) -> Tensor:
        return (raw + 1) / 2


def load() -> nn.Module:
    return ForTheMover()


def load_for_one_colour() -> nn.Module:
    return ForOneColour()


def encode(stones: NDArray[np.int8], to_move: int) -> NDArray[np.float32]:
    """Own stones and the other's, from the side of whoever is to move."""
    shown = -stones.T if to_move > 0 else stones
    return np.stack([shown == -1, shown == 1]).astype(np.float32)
