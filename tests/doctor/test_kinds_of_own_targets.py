"""Tests of what is said of targets that run the wrong way, and of values that answer one number."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from hexsearch.data.archive import GameArchive
from hexsearch.doctor.checks.training.reach import check_constant_answers
from hexsearch.doctor.foreign import ForeignNetwork
from hexsearch.doctor.pipeline import ExaminedPipeline
from tests.doctor.own_scripts import SIZE, Games, Net, Play, Script, bce, encode
from tests.doctor.test_own_training_forms import findings
from tests.doctor.test_own_training_later import Rows, batch, drawn, played, steps

__all__ = ["played"]


def rows_of(
    games: Games, label: Callable[[bool, int, int], float], cell: Callable[[np.ndarray, int], int]
) -> Rows:
    """Rows with labels of (red_won, ply, length), and cells of (board, move)."""
    rows: Rows = []
    for moves, red in games:
        board = np.zeros((SIZE, SIZE), np.int8)
        for ply, move in enumerate(moves):
            mover = 1 if ply % 2 else -1
            planes = np.asarray(encode(board, mover), np.float32)
            rows.append((planes, cell(board, move), label(red, ply, len(moves))))
            board[divmod(move, SIZE)] = mover
    return rows


def own_cell(board: np.ndarray, move: int) -> int:
    return move


def among_free(board: np.ndarray, move: int) -> int:
    return int((board.reshape(-1)[:move] == 0).sum())


def trained_on(rows: Callable[[Games], Rows]) -> Callable[[Games], None]:
    def train(games: Games) -> None:
        torch.manual_seed(0)
        made = rows(games)
        steps(Net(), made, lambda number: None, lambda number: drawn(made))

    return train


@pytest.mark.parametrize(
    ("exponent", "cause"),
    [
        (lambda ply, length: ply, "in the wrong direction, by a factor of 0.97 for each ply from"),
        (lambda ply, length: length - ply, "discounted by a factor of 0.97 for each ply to the"),
    ],
)
def test_the_direction_of_a_discount_is_told(
    exponent: Callable[[int, int], int], cause: str, played: GameArchive
) -> None:
    def label(red: bool, ply: int, length: int) -> float:
        return 0.5 + (0.5 if red else -0.5) * 0.97 ** exponent(ply, length)

    found = findings(played, trained_on(lambda games: rows_of(games, label, own_cell)), Play())
    assert any(cause in each.cause for each in found), found


def test_places_in_the_list_of_free_cells_are_told(played: GameArchive) -> None:
    rows = lambda games: rows_of(games, lambda red, ply, length: float(red), among_free)  # noqa: E731
    first = findings(played, trained_on(rows), Play())[0]
    assert "place of the next move in the list of free cells" in first.cause


@pytest.mark.parametrize("detached", [True, False])
def test_an_advantage_must_be_detached(detached: bool, played: GameArchive) -> None:
    def train(games: Games) -> None:
        torch.manual_seed(0)
        net, rows = Net(), Script().rows(games)
        optimiser = torch.optim.Adam(net.parameters(), 1e-3)
        for _ in range(30):
            planes, cells, won = batch(rows, drawn(rows))
            policy, raw = net(planes)
            known = raw.detach() if detached else raw
            weight = (2 * (won - known.sigmoid())).exp()
            moves = functional.cross_entropy(policy, cells, reduction="none")
            optimiser.zero_grad()
            torch.autograd.backward((weight * moves).mean() + bce(raw, won))
            optimiser.step()

    causes = [each.cause for each in findings(played, train, Play())]
    assert any("an advantage) are computed from the value" in c for c in causes) != detached


class OfOnePlace(torch.nn.Module):
    """Maps of one cell, normalised over their cells: always 0."""

    def forward(self, x: Tensor) -> Tensor:
        return functional.layer_norm(x, x.shape[2:])


class Pooled(Net):
    """With a norm behind the pooling, or without."""

    def __init__(self, normed: bool) -> None:
        super().__init__()
        self.norm = OfOnePlace() if normed else torch.nn.Identity()

    def forward(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        features = self.body(planes)
        pooled = self.norm(features.mean(dim=(2, 3), keepdim=True)).flatten(1)
        return self.policy(features).flatten(1), self.value(pooled)[:, 0]


@pytest.mark.parametrize("normed", [True, False])
def test_the_module_at_which_all_positions_become_alike_is_told(
    normed: bool, played: GameArchive
) -> None:
    foreign = ForeignNetwork(Pooled(normed).eval(), encode, SIZE)
    found = list(check_constant_answers(ExaminedPipeline("own", archive=played, foreign=foreign)))
    assert ["norm (OfOnePlace) puts out the same" in each.cause for each in found] == [
        True
    ] * normed
