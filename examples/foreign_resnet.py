"""A ResNet with two heads that hexsearch did not make, wrapped for `doctor`.

    PYTHONPATH=examples python run_search.py doctor --games my_games/ \\
        --model foreign_resnet:load --encoder foreign_resnet:encode

The doctor names its fault in the first seconds: the value was trained as a raw output against 0
and 1, but inference applies a sigmoid to it. `--model foreign_resnet:load_corrected` uses one
formula for both. To examine your own network, replace TwoHeadedResNet, the weights that `load`
reads, `encode`, and the two formulas of Wrapped. FOREIGN_WEIGHTS names a file of weights; without
it the weights are the initial ones, and the doctor reports that the network has learnt nothing.
"""

from __future__ import annotations

import os

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional


class Block(nn.Module):
    """Two convolutions round a shortcut."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        inner = functional.relu(self.norm1(self.conv1(x)))
        return functional.relu(x + self.norm2(self.conv2(inner)))


class TwoHeadedResNet(nn.Module):
    """Planes [P, C, N, N] to move logits [P, N*N] and one raw value [P, 1]."""

    def __init__(self, channels: int = 32, blocks: int = 3, planes: int = 3) -> None:
        super().__init__()
        self.stem = nn.Conv2d(planes, channels, 3, padding=1)
        self.blocks = nn.Sequential(*(Block(channels) for _ in range(blocks)))
        self.policy = nn.Conv2d(channels, 1, 1)
        self.value = nn.Sequential(nn.Linear(channels, 64), nn.ReLU(), nn.Linear(64, 1))

    def forward(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        features = self.blocks(functional.relu(self.stem(planes)))
        return self.policy(features).flatten(1), self.value(features.mean(dim=(2, 3)))


class Wrapped(nn.Module):
    """The network, how it was trained, and how its value is reported."""

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.net = TwoHeadedResNet()
        if weights := os.environ.get("FOREIGN_WEIGHTS"):
            self.net.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
        self.eval()

    def forward(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        return self.net(planes)

    def loss(self, raw: Tensor, target: Tensor) -> Tensor:
        """What training minimises for each position; target 1.0 where Red wins."""
        return (raw - target).square()

    def win_prob_red(self, raw: Tensor) -> Tensor:
        """What inference reports of a raw value."""
        return raw.sigmoid()


class Mended(Wrapped):
    """One formula: the loss is a function of what is reported."""

    def loss(self, raw: Tensor, target: Tensor) -> Tensor:
        return (self.win_prob_red(raw) - target).square()


def load() -> nn.Module:
    return Wrapped()


def load_corrected() -> nn.Module:
    return Mended()


def encode(stones: NDArray[np.int8], to_move: int) -> NDArray[np.float32]:
    """Planes blue, red and side to move; 0.5 on a finished board, where nobody is."""
    mover = np.full(stones.shape, 0.5 if to_move == 0 else float(to_move == 1))
    return np.stack([stones == -1, stones == 1, mover]).astype(np.float32)
