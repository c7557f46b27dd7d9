"""A small training script with a switch for each mistake, as `doctor --train` gets it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
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


@dataclass(frozen=True)
class Script:
    """A training function. Each attribute is a place where people make mistakes."""

    label: Callable[[bool, int, int], float] = lambda red_won, mover, game: float(red_won)
    shown: Callable[[Board, int], Planes] = encode
    move: Callable[[list[int], int], int] = lambda moves, ply: moves[ply]
    plies: Callable[[int], range] = range
    loss: Callable[[Tensor, Tensor], Tensor] = bce
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
            shown = self.plies(len(moves))
            for ply, cell in enumerate(moves):
                mover = 1 if ply % 2 else -1
                if ply in shown:
                    planes = self.shown(board.reshape(SIZE, SIZE), mover)
                    label = self.label(red_won, mover, number)
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
        loss = functional.cross_entropy(policy, cells) + self.weight * self.loss(raw, won)
        torch.autograd.backward(loss)
        if self.after == "clip":
            nn.utils.clip_grad_norm_(net.parameters(), 1e-3)
        if self.after == "clip values":
            nn.utils.clip_grad_value_(net.parameters(), 1e-3)
        if self.after == "clear":
            optimiser.zero_grad()
        if self.after != "no step":
            optimiser.step()


def adam(rate: float, **more: Any) -> Callable[[Net], torch.optim.Optimizer]:
    return lambda net: torch.optim.Adam(net.parameters(), rate, **more)


def without_value(net: Net) -> torch.optim.Optimizer:
    return torch.optim.Adam([*net.body.parameters(), *net.policy.parameters()], 1e-3)


def of_another(net: Net) -> torch.optim.Optimizer:
    return torch.optim.Adam(Net().parameters(), 1e-3)


def transposed(stones: Board, to_move: int) -> Planes:
    return encode(stones.T, to_move)


def of_255(stones: Board, to_move: int) -> Planes:
    return encode(stones, to_move) * np.float32(255)


def exchanged(stones: Board, to_move: int) -> Planes:
    return encode(-stones, to_move)


def half_noisy(red_won: bool, mover: int, game: int) -> float:
    return float(red_won) if torch.rand(()) < 0.7 else float(not red_won)


SOUND: dict[str, tuple[Script, Play]] = {
    "of Red's chance": (Script(), Play()),
    "of the side to move": (
        Script(label=lambda red_won, mover, game: float(red_won == (mover == 1))),
        MoversPlay(),
    ),
    "of a tanh": (Script(loss=squared_tanh), Play(lambda raw: (raw.tanh() + 1) / 2)),
    "with momentum and half turns": (
        Script(
            optimiser=lambda net: torch.optim.SGD(net.parameters(), 0.02, momentum=0.9),
            augment=True,
        ),
        Play(),
    ),
    "that ends on its own": (Script(epochs=1, batch=256), Play()),
}
MISTAKES: dict[str, tuple[Script, str]] = {
    "labels of the side to move": (
        Script(label=lambda red_won, mover, game: float(red_won == (mover == 1))),
        "trained for the side to move, and read as Red's",
    ),
    "labels of the other side": (
        Script(label=lambda red_won, mover, game: float(red_won != (mover == 1))),
        "trained for the side that has just moved",
    ),
    "inverted labels": (
        Script(label=lambda red_won, mover, game: float(not red_won)),
        "every label is inverted",
    ),
    "noisy labels": (Script(label=half_noisy), "label noise"),
    "half of the games": (
        Script(label=lambda red_won, mover, game: float(red_won == (game % 2 == 0))),
        "inverted (exactly )?in games of (even|odd) number",
    ),
    "squared error read by a sigmoid": (
        Script(loss=lambda raw, won: (raw - won).square().mean()),
        "trained as the raw value.*, reported as sigmoid\\(raw\\)",
    ),
    "0 and 1 for a tanh": (
        Script(loss=lambda raw, won: (raw.tanh() - won).square().mean()),
        "targets of 0 and 1 for a tanh",
    ),
    "values broadcast against labels": (
        Script(loss=lambda raw, won: (raw[:, None] - won).square().mean()),
        "broadcast to \\[B, B\\]",
    ),
    "a loss that is maximised": (
        Script(loss=lambda raw, won: -(raw.sigmoid() - won).square().mean()),
        "sign of the value loss is wrong",
    ),
    "a small weight": (Script(weight=1e-4), "weighs 0.0001 of the policy loss"),
    "gradients that are never cleared": (Script(before=""), "never\\s+cleared"),
    "gradients cleared too late": (Script(after="clear"), "cleared between backward"),
    "a hard clip": (Script(after="clip"), "clipped in every step"),
    "a clip of each number": (Script(after="clip values"), "clip_grad_value_"),
    "no step": (Script(after="no step"), "step\\(\\) is never called"),
    "a value that is not held": (Script(optimiser=without_value), "value is not given to the"),
    "another network's weights": (Script(optimiser=of_another), "weights of another network"),
    "detached features": (Script(network=partial(Net, detached=True)), "detached from the trunk"),
    "a detached value": (
        Script(loss=lambda raw, won: bce(raw.detach(), won)),
        "no loss trains the value",
    ),
    "a tiny rate": (Script(optimiser=adam(1e-9)), "learning rate is 0 or far too small"),
    "a huge rate": (Script(optimiser=adam(5.0)), "learning rate is far too high"),
    "a strong decay": (Script(optimiser=adam(1e-3, weight_decay=0.5)), "decay is so strong"),
    "eval mode": (Script(mode=False), "trained in eval mode"),
    "no shuffling": (Script(shuffled=False), "not shuffled"),
    "batches of two": (Script(batch=2), "too small for batch norm"),
    "openings": (Script(plies=lambda length: range(6)), "only openings"),
    "ends": (Script(plies=lambda length: range(length - 1, length)), "only the last positions"),
    "transposed boards": (Script(shown=transposed), "boards are transposed"),
    "other numbers": (Script(shown=of_255), "holds 0, 255 in training and 0, 1"),
    "exchanged colours": (Script(shown=exchanged), "planes 0 and 1 are exchanged"),
    "the move before": (
        Script(move=lambda moves, ply: moves[max(ply - 1, 0)]),
        "1 ply earlier than the next move",
    ),
    "columns first": (
        Script(move=lambda moves, ply: moves[ply] % SIZE * SIZE + moves[ply] // SIZE),
        "numbered by columns",
    ),
}
