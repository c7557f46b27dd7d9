"""A training loop of a user's with a place for each thing that may be done wrongly."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from hexsearch.data.archive import GameArchive
from hexsearch.doctor.findings import Finding
from tests.doctor.own_scripts import SIZE, Board, Games, Net, Planes, Play, bce, encode
from tests.doctor.test_own_training_forms import findings
from tests.doctor.test_own_training_later import batch

Row = tuple[Planes, int, float]
Batch = tuple[Tensor, Tensor, Tensor]
Loss = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]


def plain_loss(logits: Tensor, raw: Tensor, cells: Tensor, won: Tensor) -> Tensor:
    return functional.cross_entropy(logits, cells) + bce(raw, won)


def nothing(*_: Any) -> None:
    """What a sound training does at this place."""


@dataclass(frozen=True)
class Loop:
    """A training of some steps; each attribute is a place for a mistake."""

    loss: Loss = plain_loss
    network: Callable[[], nn.Module] = Net
    optimiser: Callable[[nn.Module], torch.optim.Optimizer] = lambda net: torch.optim.Adam(
        net.parameters(), 1e-3
    )
    schedule: Callable[[torch.optim.Optimizer], Any] | None = None
    before_step: Callable[[nn.Module, torch.optim.Optimizer], Any] = nothing
    after_step: Callable[[nn.Module], Any] = nothing
    label: Callable[[bool, int, int, int], float] = lambda red_won, ply, length, game: red_won
    cell: Callable[[list[int], int], int] = lambda moves, ply: moves[ply]
    shown: Callable[[Board, int], Planes] = encode
    kept: Callable[[bool, int], bool] = lambda red_won, mover: True
    changed: Callable[[list[Row]], list[Row]] = lambda rows: rows
    augmented: Callable[[Tensor, Tensor, Tensor], Batch] = lambda planes, cells, won: (
        planes,
        cells,
        won,
    )
    chosen: Callable[[int, int], list[int]] = lambda step, count: torch.randperm(count)[
        :64
    ].tolist()
    steps: int = 40

    def rows(self, games: Games) -> list[Row]:
        found = []
        for number, (moves, red_won) in enumerate(games):
            board = np.zeros((SIZE, SIZE), np.int8)
            for ply, cell in enumerate(moves):
                mover = 1 if ply % 2 else -1
                if self.kept(red_won, mover):
                    label = float(self.label(red_won, ply, len(moves), number))
                    found.append((self.shown(board, mover), self.cell(moves, ply), label))
                board[divmod(cell, SIZE)] = mover
        return self.changed(found)

    def __call__(self, games: Games) -> None:
        torch.manual_seed(0)
        rows = self.rows(games)
        net = self.network()
        optimiser = self.optimiser(net)
        schedule = self.schedule(optimiser) if self.schedule else None
        for number in range(self.steps):
            planes, cells, won = self.augmented(*batch(rows, self.chosen(number, len(rows))))
            optimiser.zero_grad()
            policy, raw = net(planes)
            torch.autograd.backward(self.loss(policy, raw, cells, won))
            self.before_step(net, optimiser)
            optimiser.step()
            self.after_step(net)
            if schedule:
                schedule.step()

    def findings(self, played: GameArchive, play: Play | None = None) -> tuple[Finding, ...]:
        """What the checks of a watched training say of it."""
        return findings(played, self, play or Play())


def first_cause(found: tuple[Finding, ...]) -> str:
    """The cause of the first finding; empty if there is none."""
    return found[0].cause if found else ""
