"""A small training script with a switch for each mistake, as `doctor --train` gets it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

SIZE = 7
Board = NDArray[np.int8]
Planes = NDArray[np.float32]
Games = Sequence[tuple[list[int], bool]]


class Net(nn.Module):
    """A body of two convolutions, a policy and a value head."""

    def __init__(self, channels: int = 12, detached: bool = False) -> None:
        super().__init__()
        self.detached = detached
        self.body = nn.Sequential(
            nn.Conv2d(3, channels, 3, padding=1),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
        )
        self.policy = nn.Conv2d(channels, 1, 1)
        self.value = nn.Linear(channels, 1)

    def forward(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        features = self.body(planes)
        pooled = features.mean(dim=(2, 3))
        value = self.value(pooled.detach() if self.detached else pooled)
        return self.policy(features).flatten(1), value[:, 0]


class Unregistered(Net):
    """With layers in a plain list."""

    def __init__(self) -> None:
        super().__init__()
        self.more = [nn.Linear(12, 12)]

    def forward(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        features = self.body(planes)
        pooled = self.more[0](features.mean(dim=(2, 3)))
        return self.policy(features).flatten(1), self.value(pooled)[:, 0]


class Chances(Net):
    """With a softmax behind the policy."""

    def forward(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        logits, value = super().forward(planes)
        return logits.softmax(dim=1), value


def huge() -> Net:
    net = Net()
    with torch.no_grad():
        net.policy.weight.mul_(1000.0)
    return net


class Play(nn.Module):
    """The network as it is used for play."""

    def __init__(self, read: Callable[[Tensor], Tensor] = torch.sigmoid) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.net = Net()
        self.read = read
        self.eval()

    def forward(self, planes: Tensor) -> Any:
        return self.net(planes)

    def win_prob_red(self, raw: Tensor) -> Tensor:
        return self.read(raw)


class MoversPlay(Play):
    """The same for a value of the side to move."""

    def win_prob_red(self, raw: Tensor, to_move: Tensor) -> Tensor:  # type: ignore[override]
        return torch.where(to_move > 0, self.read(raw), 1 - self.read(raw))


def encode(stones: Board, to_move: int) -> Planes:
    """Planes blue, red and side to move."""
    mover = np.full(stones.shape, float(to_move == 1))
    return np.stack([stones == -1, stones == 1, mover]).astype(np.float32)


def bce(raw: Tensor, won: Tensor) -> Tensor:
    return functional.binary_cross_entropy_with_logits(raw, won)


def squared_tanh(raw: Tensor, won: Tensor) -> Tensor:
    return (raw.tanh() - (2 * won - 1)).square().mean()


def log_cosh(gap: Tensor) -> Tensor:
    return gap.cosh().log().mean()


def with_entropy(logits: Tensor, cells: Tensor) -> Tensor:
    """A cross-entropy with smoothed labels, and a bonus for the entropy."""
    entropy = (logits.softmax(1) * logits.log_softmax(1)).sum(1).mean()
    return functional.cross_entropy(logits, cells, label_smoothing=0.05) + 0.01 * entropy


@dataclass(frozen=True)
class Script:
    """A training function. Each attribute is a place where people make mistakes."""

    label: Callable[[bool, int, int], float] = lambda red_won, mover, game: float(red_won)
    shown: Callable[[Board, int], Planes] = encode
    move: Callable[[list[int], int], int] = lambda moves, ply: moves[ply]
    plies: Callable[[int], range] = range
    loss: Callable[[Tensor, Tensor], Tensor] = bce
    policy_loss: Callable[[Tensor, Tensor], Tensor] = functional.cross_entropy
    optimiser: Callable[[Net], torch.optim.Optimizer] = lambda net: torch.optim.Adam(
        net.parameters(), 1e-3
    )
    network: Callable[[], Net] = Net
    shuffled: bool = True
    batch: int = 64
    weight: float = 1.0
    before: str = "clear"
    after: str = ""
    mode: bool = True
    epochs: int = 4
    augment: bool = False
    sign: float = 1.0
    told: bool = False
    later: bool = False
    discount: float = 1.0
    kept: Callable[[bool], bool] = lambda red_won: True

    def __call__(self, games: Games) -> None:
        torch.manual_seed(0)
        net = self.network()
        optimiser = self.optimiser(net)
        net.train(self.mode)
        rows = self.rows(games)
        for _ in range(self.epochs):
            order = torch.randperm(len(rows)) if self.shuffled else torch.arange(len(rows))
            for start in range(0, len(rows), self.batch):
                chosen = order[start : start + self.batch].tolist()
                self.step(net, optimiser, [rows[index] for index in chosen])

    def rows(self, games: Games) -> list[tuple[Planes, int, float]]:
        rows = []
        for number, (moves, red_won) in enumerate(games):
            board = np.zeros(SIZE * SIZE, dtype=np.int8)
            if not self.kept(red_won):
                continue
            shown = self.plies(len(moves))
            for ply, cell in enumerate(moves):
                mover = 1 if ply % 2 else -1
                if self.later:
                    board[cell] = mover
                if ply in shown:
                    planes = self.shown(board.reshape(SIZE, SIZE), mover)
                    if self.told:
                        planes[2] = float(red_won)
                    label = self.label(red_won, mover, number)
                    label *= self.discount ** (len(moves) - ply)
                    rows.append((planes, self.move(moves, ply), label))
                board[cell] = mover
        return rows

    def step(
        self,
        net: Net,
        optimiser: torch.optim.Optimizer,
        rows: list[tuple[Planes, int, float]],
    ) -> None:
        planes = torch.from_numpy(np.stack([row[0] for row in rows]))
        cells = torch.tensor([row[1] for row in rows])
        won = torch.tensor([row[2] for row in rows])
        if self.augment:  # the half turn, of board and move
            half = torch.rand(len(rows)) < 0.5
            planes[half] = planes[half].flip(2, 3)
            cells[half] = SIZE * SIZE - 1 - cells[half]
        if self.before == "clear":
            optimiser.zero_grad()
        policy, raw = net(planes)
        loss = self.sign * self.policy_loss(policy, cells) + self.weight * self.loss(raw, won)
        torch.autograd.backward(loss)
        if self.after == "clip":
            nn.utils.clip_grad_norm_(net.parameters(), 1e-3)
        if self.after == "clip values":
            nn.utils.clip_grad_value_(net.parameters(), 1e-3)
        if self.after == "negate":
            for parameter in net.parameters():
                parameter.grad = None if parameter.grad is None else -parameter.grad
        if self.after == "clear":
            optimiser.zero_grad()
        if self.after != "no step":
            optimiser.step()
