"""Splits of games, precision of weights and wiring of layers, as people had them in projects."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from hexsearch.data.archive import GameArchive
from hexsearch.doctor.checks.computation.linear_pairs import check_linear_pairs
from hexsearch.doctor.checks.computation.plane_scales import check_plane_scales
from hexsearch.doctor.checks.network.independence import _repeated_answers
from hexsearch.doctor.findings import Finding
from hexsearch.doctor.foreign import ForeignNetwork
from hexsearch.doctor.pipeline import ExaminedPipeline
from tests.doctor.own_scripts import (
    SIZE,
    Board,
    Games,
    MoversPlay,
    Net,
    Planes,
    Play,
    Script,
    bce,
    encode,
)
from tests.doctor.test_own_training_forms import findings
from tests.doctor.test_own_training_later import batch, played

__all__ = ["played"]
Rows = list[tuple[Planes, int, float]]
Split = Callable[[Games], tuple[Rows, list[Rows]]]
_ROWS = Script().rows


def by_games(games: Games) -> tuple[Rows, list[Rows]]:
    return _ROWS(games[:48]), [_ROWS(games[48:])]


def with_the_losses_of_training(games: Games) -> tuple[Rows, list[Rows]]:
    """Looks at games of training, too."""
    return _ROWS(games[:48]), [_ROWS(games[:12]), _ROWS(games[48:])]


def by_the_last_rows(games: Games) -> tuple[Rows, list[Rows]]:
    """Three games and a half."""
    cut = len(_ROWS(games[:56])) + len(games[56][0]) // 2
    return _ROWS(games)[:cut], [_ROWS(games)[cut:]]


def by_positions(games: Games) -> tuple[Rows, list[Rows]]:
    rows = _ROWS(games)
    order = np.random.default_rng(0).permutation(len(rows))
    return [rows[n] for n in order[240:]], [[rows[n] for n in order[:240]]]


def the_same(games: Games) -> tuple[Rows, list[Rows]]:
    return _ROWS(games[:48]), [_ROWS(games[:48])]


def with_copies(games: Games) -> tuple[Rows, list[Rows]]:
    every = [*games, *games[30:]]
    order = np.random.default_rng(0).permutation(len(every))
    chosen = [every[n] for n in order]
    return _ROWS(chosen[:70]), [_ROWS(chosen[70:])]


def learn(net: Net, optimiser: torch.optim.Optimizer, rows: Rows, chosen: Tensor) -> None:
    """A step on some rows."""
    planes, cells, won = batch(rows, chosen.tolist())
    policy, raw = net(planes)
    optimiser.zero_grad()
    torch.autograd.backward(functional.cross_entropy(policy, cells) + bce(raw, won))
    optimiser.step()


def trained(split: Split, averaged: bool = False) -> Callable[[Games], Any]:
    """A training that is evaluated after each epoch, or whose average is."""

    def train(games: Games) -> Any:
        torch.manual_seed(0)
        (rows, parts), net = split(games), Net()
        optimiser = torch.optim.Adam(net.parameters(), 1e-3)
        for _ in range(3):
            net.train()
            for chosen in torch.split(torch.randperm(len(rows)), 32):
                learn(net, optimiser, rows, chosen)
            asked = deepcopy(net).eval() if averaged else net.eval()
            with torch.no_grad():
                for part in parts:
                    for start in range(0, len(part), 128):
                        asked(batch(part, list(range(start, min(start + 128, len(part)))))[0])

    return train


def validations(found: Sequence[Finding]) -> list[Finding]:
    return [each for each in found if each.check == "validation"]


@pytest.mark.parametrize("split", [by_games, with_the_losses_of_training, by_the_last_rows])
def test_a_split_by_games_is_sound(split: Split, played: GameArchive) -> None:
    assert not validations(findings(played, trained(split), Play()))


@pytest.mark.parametrize("averaged", [False, True])
@pytest.mark.parametrize(
    ("split", "severity", "words"),
    [
        (by_positions, "error", "split by positions and not by games"),
        (the_same, "warning", "the validation set is the training set"),
        (with_copies, "error", "they occur twice"),
    ],
)
def test_games_of_training_in_the_validation_set_are_named(
    split: Split, severity: str, words: str, averaged: bool, played: GameArchive
) -> None:
    (found,) = validations(findings(played, trained(split, averaged), Play()))
    assert found.severity == severity and words in found.cause


def test_games_that_are_evaluated_before_they_are_trained_on_are_sound(played: GameArchive) -> None:
    def train(games: Games) -> Any:
        torch.manual_seed(0)
        net = Net()
        optimiser = torch.optim.Adam(net.parameters(), 1e-3)
        for at in range(0, len(games), 12):
            rows = _ROWS(games[at : at + 12])
            with torch.no_grad():
                net.eval()(batch(rows, list(range(len(rows))))[0])
            net.train()
            for chosen in torch.split(torch.randperm(len(rows)), 64):
                learn(net, optimiser, rows, chosen)

    assert not validations(findings(played, train, Play()))


def test_answers_that_become_targets_are_no_evaluation(played: GameArchive) -> None:
    def train(games: Games) -> Any:
        torch.manual_seed(0)
        rows, net = _ROWS(games), Net()
        optimiser = torch.optim.Adam(net.parameters(), 1e-3)
        planes, cells, won = batch(rows, list(range(len(rows))))
        for _ in range(2):
            with torch.no_grad():
                expected = net.eval()(planes)[1].sigmoid()
            targets = 0.7 * won + 0.3 * expected.roll(-1)
            net.train()
            for chosen in torch.split(torch.randperm(len(rows)), 64):
                policy, raw = net(planes[chosen])
                optimiser.zero_grad()
                loss = functional.cross_entropy(policy, cells[chosen]) + bce(raw, targets[chosen])
                torch.autograd.backward(loss)
                optimiser.step()

    assert not validations(findings(played, train, Play()))


@pytest.mark.parametrize("again", [False, True])
def test_who_sees_each_batch_once_more_is_no_evaluation(again: bool, played: GameArchive) -> None:
    def train(games: Games) -> Any:
        torch.manual_seed(0)
        rows, net = _ROWS(games), Net()
        teacher = net if again else deepcopy(net).eval()
        optimiser = torch.optim.Adam(net.parameters(), 1e-3)
        for chosen in torch.split(torch.randperm(len(rows)), 64):
            planes, cells, won = batch(rows, chosen.tolist())
            with torch.no_grad():
                teacher.eval()(planes)
            policy, raw = net.train()(planes)
            optimiser.zero_grad()
            torch.autograd.backward(functional.cross_entropy(policy, cells) + bce(raw, won))
            optimiser.step()
            with torch.no_grad():
                teacher.eval()(planes)

    assert not validations(findings(played, train, Play()))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_weights_in_half_precision(dtype: torch.dtype, played: GameArchive) -> None:
    def train(games: Games) -> Any:
        torch.manual_seed(0)
        rows, net = _ROWS(games), Net().to(dtype)
        optimiser = torch.optim.Adam(net.parameters(), 1e-3)
        for chosen in torch.split(torch.randperm(len(rows))[: 30 * 32], 32):
            planes, cells, won = batch(rows, chosen.tolist())
            policy, raw = net(planes.to(dtype))
            optimiser.zero_grad()
            loss = functional.cross_entropy(policy.float(), cells) + bce(raw.float(), won)
            torch.autograd.backward(loss)
            optimiser.step()

    found = [f for f in findings(played, train, Play()) if "half precision" in f.cause]
    assert len(found) == (dtype == torch.bfloat16)
    assert all("of their numbers as they were" in each.evidence for each in found)


@pytest.mark.parametrize("sides", [(1,), (-1, 1)])
def test_positions_of_one_side_for_a_value_of_the_side_to_move(
    sides: tuple[int, ...], played: GameArchive
) -> None:
    script = Script(
        plies=lambda length: range(sides[0] > 0, length, 3 - len(sides)),
        label=lambda red_won, mover, game: float(red_won == (mover == 1)),
    )
    found = [each.cause for each in findings(played, script, MoversPlay())]
    expected = "only positions with Red to move are shown"
    assert [expected in cause for cause in found] == [True] * (len(sides) == 1)


def test_rows_that_share_the_last_board_of_their_game(played: GameArchive) -> None:
    def train(games: Games) -> Any:
        torch.manual_seed(0)
        kept: list[tuple[Board, int, int, float]] = []
        for moves, red_won in games:
            board = np.zeros((SIZE, SIZE), dtype=np.int8)
            for ply, cell in enumerate(moves):
                kept.append((board, 1 if ply % 2 else -1, cell, float(red_won)))
                board[divmod(cell, SIZE)] = 1 if ply % 2 else -1
        rows = [(encode(board, mover), cell, won) for board, mover, cell, won in kept]
        net = Net()
        optimiser = torch.optim.Adam(net.parameters(), 1e-3)
        for chosen in torch.split(torch.randperm(len(rows))[: 30 * 32], 32):
            learn(net, optimiser, rows, chosen)

    (found, *_) = findings(played, train, Play())
    assert "those at the end of the game" in found.cause and "% of the rows" not in found.cause


class Layers(nn.Module):
    """A value head of given layers."""

    def __init__(self, *value: nn.Module) -> None:
        super().__init__()
        torch.manual_seed(2)
        self.body = nn.Conv2d(3, 4, 3, padding=1)
        self.value = nn.Sequential(nn.Flatten(), *value)

    def forward(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        features = self.body(planes).relu()
        return features[:, 0].flatten(1), self.value(features)[:, 0]

    def win_prob_red(self, raw: Tensor) -> Tensor:
        return raw.sigmoid()


def examined(
    model: nn.Module, archive: GameArchive, shown: Callable[[Board, int], Planes] = encode
) -> ExaminedPipeline:
    foreign = ForeignNetwork(model.eval(), shown, SIZE)
    return ExaminedPipeline("own", archive=archive, foreign=foreign)


@pytest.mark.parametrize(
    ("between", "named"),
    [
        ((nn.Linear(4 * SIZE**2, 16), nn.Dropout(0.3)), True),
        ((nn.Linear(4 * SIZE**2, 16), nn.ReLU(inplace=True)), False),
        ((nn.Linear(4 * SIZE**2, 4), nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 16), nn.Tanh()),
         False),
    ],
)  # fmt: skip
def test_linear_layers_without_an_activation_between_them(
    between: tuple[nn.Module, ...], named: bool, played: GameArchive
) -> None:
    found = list(check_linear_pairs(examined(Layers(*between, nn.Linear(16, 1)), played)))
    assert ["no activation between value.1 and value.3" in f.cause for f in found] == [True] * named


@pytest.mark.parametrize("scale", [1.0, 1 / 49])
def test_a_plane_with_a_count_that_is_not_scaled(scale: float, played: GameArchive) -> None:
    def counted(stones: Board, to_move: int) -> Planes:
        planes = encode(stones, to_move)
        planes[2] = 100 * scale + scale * np.count_nonzero(stones)
        return planes

    model = Layers(nn.Linear(4 * SIZE**2, 1))
    found = list(check_plane_scales(examined(model, played, counted)))
    assert ["plane 2 are far larger" in each.cause for each in found] == [True] * (scale == 1.0)


def _observed(values: Any) -> Any:
    """What `_repeated_answers` looks at, of different boards."""
    stones = np.zeros((len(values), SIZE, SIZE), dtype=np.int8)
    stones.reshape(len(values), -1)[:, :10] = np.arange(len(values))[:, None] >> np.arange(10) & 1
    return SimpleNamespace(value=values, positions=SimpleNamespace(stones=stones))


def test_one_value_of_many_boards_is_told_from_values_of_other_boards() -> None:
    values = np.random.default_rng(1).normal(size=1000)
    assert not list(_repeated_answers(_observed(values)))
    dead = np.where(np.arange(1000) % 5 < 2, 0.125, values)
    (found,) = _repeated_answers(_observed(dead))
    assert found.severity == "warning" and "dead units" in found.cause
    # Saturated values at an end of the range do not hide that the others are rounded.
    rounded = np.where(np.arange(1000) % 2 == 0, 9.0, values[np.arange(1000) // 4])
    (found,) = _repeated_answers(_observed(rounded))
    assert found.severity == "error"
    (found,) = _repeated_answers(_observed(values[np.arange(1000) // 2]))
    assert found.severity == "error" and "those of other boards" in found.cause


@pytest.mark.parametrize("scale", [1 / 255, 1.0])
def test_planes_of_tiny_numbers(scale: float, played: GameArchive) -> None:
    model = Layers(nn.Linear(4 * SIZE**2, 1))
    shown = examined(model, played, lambda stones, to_move: encode(stones, to_move) * scale)
    found = list(check_plane_scales(shown))
    assert ["divided by 255" in each.cause for each in found] == [True] * (scale < 1)
