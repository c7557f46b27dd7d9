"""A whole network of your own, searched by hexsearch: `network: own_network:build`.

    PYTHONPATH=examples python run_search.py launch examples/own_network.yaml --games my_games/

hexsearch calls `build` with the shape of its planes and board and with what the search space says
under `network.options`, and trains what it gets: trunk and both heads. Before the first trial the
network is held to its contract: shapes, a gradient from each answer, equal weights from an equal
seed, answers that do not depend on the batch, and weights that can be stored and loaded.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class AxialBlock(nn.Module):
    """Each cell sees its whole row and column, then its neighbours, round a shortcut."""

    def __init__(self, channels: int, side: int) -> None:
        super().__init__()
        self.rows = nn.Conv2d(channels, channels, (1, side), padding=(0, side // 2), groups=4)
        self.columns = nn.Conv2d(channels, channels, (side, 1), padding=(side // 2, 0), groups=4)
        self.mix = nn.Conv2d(channels, channels, 3, padding=1)
        self.norm = nn.GroupNorm(4, channels)

    def forward(self, x: Tensor) -> Tensor:
        inner = torch.relu(self.norm(self.rows(x) + self.columns(x)))
        out: Tensor = torch.relu(x + self.mix(inner))
        return out


class AxialNetwork(nn.Module):
    """Planes [B, C, side, side] to move logits [B, size * size] and one raw value [B, 1]."""

    def __init__(self, planes: int, side: int, size: int, channels: int, blocks: int) -> None:
        super().__init__()
        reach = side if side % 2 else side + 1  # odd, so that a row stays as long as it is
        self.stem = nn.Conv2d(planes, channels, 3, padding=1)
        self.blocks = nn.Sequential(*(AxialBlock(channels, reach) for _ in range(blocks)))
        self.policy = nn.Conv2d(channels, 1, 1)
        self.value = nn.Sequential(nn.Linear(channels, 64), nn.ReLU(), nn.Linear(64, 1))
        self.margin = (side - size) // 2  # 1 where the planes have a ring of painted edges

    def forward(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        features = self.blocks(torch.relu(self.stem(planes)))
        end = planes.shape[-1] - self.margin
        board = self.policy(features)[:, 0, self.margin : end, self.margin : end]
        return board.flatten(1), self.value(features.mean(dim=(2, 3)))


def build(planes: int, side: int, size: int, channels: int = 32, blocks: int = 3) -> nn.Module:
    """What hexsearch calls: planes, side and size are given, the rest comes from the space."""
    return AxialNetwork(planes, side, size, channels, blocks)
