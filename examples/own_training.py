"""A training script of one's own, which `doctor` watches while it runs.

    PYTHONPATH=examples python run_search.py doctor --games my_games/ \\
        --model own_training:load --encoder own_training:encode --train own_training:train

`train` makes a mistake that many people make: its labels are 1 where the side to move wins, and
`win_prob_red` takes the value for Red's chance. The doctor names it after two dozen steps, whatever
the weights are; `--train own_training:train_corrected` has no such finding.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from foreign_resnet import TwoHeadedResNet, encode
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["encode", "load", "train", "train_corrected"]

Games = Sequence[tuple[list[int], bool]]


class Player(nn.Module):
    """The network as it answers."""

    def __init__(self) -> None:
        super().__init__()
        self.net = TwoHeadedResNet(channels=16, blocks=2)
        self.eval()

    def forward(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        return self.net(planes)

    def win_prob_red(self, raw: Tensor) -> Tensor:
        return raw.sigmoid()


def load() -> nn.Module:
    return Player()


def train(games: Games, of_mover: bool = True) -> None:
    """Train on games, each a list of cells (row * N + column, Blue first) and whether Red won."""
    net = TwoHeadedResNet(channels=16, blocks=2)
    optimiser = torch.optim.AdamW(net.parameters(), 1e-3)
    planes, cells, won = samples(games, of_mover)
    for _ in range(10):
        for rows in torch.randperm(len(planes)).split(128):
            policy, value = net(planes[rows])
            loss = functional.cross_entropy(policy, cells[rows])
            loss = loss + functional.binary_cross_entropy_with_logits(value[:, 0], won[rows])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()


def train_corrected(games: Games) -> None:
    train(games, of_mover=False)


def samples(games: Games, of_mover: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Planes, next moves and labels of all positions before a move."""
    last = max(max(moves) for moves, _ in games)
    size = int(np.ceil(np.sqrt(last + 1)))
    planes, cells, won = [], [], []
    for moves, red_won in games:
        stones = np.zeros(size * size, dtype=np.int8)
        for ply, cell in enumerate(moves):
            mover = 1 if ply % 2 else -1
            planes.append(encode(stones.reshape(size, size), mover))
            cells.append(cell)
            won.append(float(red_won == (mover == 1)) if of_mover else float(red_won))
            stones[cell] = mover
    return torch.from_numpy(np.stack(planes)), torch.tensor(cells), torch.tensor(won)
