"""Tests of what a watched training says of unusual losses, targets and outputs."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from hexsearch.data.archive import GameArchive, build_archive
from tests.doctor.conftest import every_tenth
from tests.doctor.kinds import Loop, first_cause
from tests.doctor.own_scripts import SIZE, Games, Net, Play, bce
from tests.doctor.test_own_training_later import batch
from tests.doctor.test_play import random_game

CELLS = SIZE * SIZE
cross_entropy = functional.cross_entropy


@pytest.fixture(scope="module")
def played() -> GameArchive:
    rng = np.random.default_rng(6)
    return build_archive([random_game(SIZE, rng) for _ in range(60)])


def focal(raw: Tensor, won: Tensor) -> Tensor:
    chance = torch.where(won > 0.5, raw.sigmoid(), 1 - raw.sigmoid())
    return (-((1 - chance) ** 2) * chance.log()).mean()


def hinge(raw: Tensor, won: Tensor) -> Tensor:
    return (1 - raw * (2 * won - 1)).clamp(min=0).mean()


def by_tanh(raw: Tensor, target: Tensor) -> Tensor:
    return (raw.tanh() - target).square().mean()


def of_right_moves(logits: Tensor, cells: Tensor) -> Tensor:
    right = logits.argmax(dim=1) == cells
    return (cross_entropy(logits, cells, reduction="none") * right).mean()


class Behind(Net):
    """With an operation behind the value."""

    def __init__(self, last: nn.Module) -> None:
        super().__init__()
        self.last = last

    def forward(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        logits, raw = super().forward(planes)
        return logits, self.last(raw)


class Limited(Net):
    """With a value that is cut off."""

    def __init__(self, limit: float) -> None:
        super().__init__()
        self.limit = limit

    def forward(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        logits, raw = super().forward(planes)
        return logits, raw.clamp(-self.limit, self.limit)


class LogChances(Net):
    """With log probabilities that are rounded."""

    def forward(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        logits, raw = super().forward(planes)
        return logits.log_softmax(dim=1).bfloat16().float(), raw


class OverBatch(Net):
    """With a softmax of the value over the batch."""

    def forward(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        logits, raw = super().forward(planes)
        return logits, raw.softmax(dim=0)


MISTAKES: dict[str, tuple[Loop, str]] = {
    "focal": (
        Loop(loss=lambda p, v, c, w: cross_entropy(p, c) + focal(v, w)),
        "the focal loss (gamma 2) of sigmoid(raw): its best answer lies nearer to a half",
    ),
    "absolute error": (
        Loop(loss=lambda p, v, c, w: cross_entropy(p, c) + (v.sigmoid() - w).abs().mean()),
        "the absolute error of sigmoid(raw): its best answer is the likelier result",
    ),
    "hinge that is read as a logit": (
        Loop(loss=lambda p, v, c, w: cross_entropy(p, c) + hinge(v, w)),
        "trained as (raw + 1) / 2 with targets of -1 and 1, reported as sigmoid(raw)",
    ),
    "labels cut off to integers": (
        Loop(label=lambda red_won, *_: int(0.9 if red_won else 0.1)),
        "every label is 0, whoever won",
    ),
    "labels that are always true": (
        Loop(label=lambda *_: 1.0),
        "every label is 1, whoever won",
    ),
    "draws": (
        Loop(label=lambda red_won, ply, length, game: 0.5 if game % 3 == 0 else red_won),
        "those of a draw in all positions of 20 of 60 games",
    ),
    "draws of a tanh": (
        Loop(
            label=lambda red_won, ply, length, game: 0.5 if game % 3 == 0 else red_won,
            loss=lambda p, v, c, w: cross_entropy(p, c) + by_tanh(v, 2 * w - 1),
        ),
        "those of a draw in all positions of 20 of 60 games",
    ),
    "labels of later rows": (
        Loop(
            changed=lambda rows: [
                (row[0], row[1], other[2])
                for row, other in zip(rows, rows[7:] + rows[:7], strict=True)
            ]
        ),
        "labels are those of 7 rows later",
    ),
    "labels that grow": (
        Loop(label=lambda red_won, ply, length, game: 0.5 + (red_won - 0.5) * ply / length),
        "in proportion to the share of the game that is over",
    ),
    "the number of the ply": (
        Loop(
            label=lambda red_won, ply, length, game: ply / CELLS,
            loss=lambda p, v, c, w: cross_entropy(p, c) + (v.sigmoid() - w).square().mean(),
        ),
        "they change in proportion to the number of the ply, whoever won",
    ),
    "labels of 0 and 255": (
        Loop(label=lambda red_won, *_: 255 * red_won),
        "targets are multiplied (0 and 255)",
    ),
    "rows of a cell": (
        Loop(cell=lambda moves, ply: moves[ply] // SIZE),
        "several cells have one number: only the row of a cell counts",
    ),
    "policy of right moves": (
        Loop(loss=lambda p, v, c, w: of_right_moves(p, c) + bce(v, w)),
        "the policy loss looks at few of the rows",
    ),
    "no softmax": (
        Loop(loss=lambda p, v, c, w: functional.nll_loss(p, c) + bce(v, w)),
        "the policy loss has no softmax",
    ),
    "squared error of chances": (
        Loop(
            loss=lambda p, v, c, w: (
                functional.mse_loss(p.softmax(1), functional.one_hot(c, CELLS).float()) + bce(v, w)
            )
        ),
        "the policy loss is the squared error of probabilities",
    ),
    "half of each target": (
        Loop(loss=lambda p, v, c, w: cross_entropy(p, c, label_smoothing=0.5) + bce(v, w)),
        "policy targets are smoothed so strongly (50%)",
    ),
    "ReLU": (Loop(network=lambda: Behind(nn.ReLU())), "a ReLU stands behind the value"),
    "limit": (Loop(network=lambda: Limited(1.0)), "a limit stands behind the value"),
    "softmax over the batch": (
        Loop(network=OverBatch),
        "the softmax of the value goes over the batch (dim=0)",
    ),
    "only the winner's moves": (
        Loop(kept=lambda red_won, mover: red_won == (mover == 1)),
        "the side to move gives the result away",
    ),
    "long games of one colour": (
        Loop(label=lambda red_won, ply, length, game: red_won and length <= 40),
        "those games that Red won with more than 40 moves",
    ),
    "each batch six times": (
        Loop(chosen=lambda step, count: [(64 * (step // 6) + n) * 37 % count for n in range(64)]),
        "each batch is trained on 6 times, one after the other",
    ),
    "the same part of the positions": (
        Loop(
            changed=lambda rows: [
                rows[int(n)] for n in np.random.default_rng(0).permutation(len(rows))
            ],
            chosen=lambda step, count: [(64 * step + n) % 640 for n in range(64)],
        ),
        "each epoch is broken off at the same place",
    ),
}


@pytest.mark.parametrize("name", every_tenth(MISTAKES))
def test_a_mistake_is_the_first_finding(played: GameArchive, name: str) -> None:
    loop, words = MISTAKES[name]
    assert words in first_cause(loop.findings(played))


class TwoLooks(Loop):
    """That looks at each batch twice, and adds both losses."""

    def __call__(self, games: Games) -> None:
        torch.manual_seed(0)
        rows, net = self.rows(games), Net()
        optimiser = torch.optim.Adam(net.parameters(), 1e-3)
        for number in range(30):
            planes, cells, won = batch(rows, self.chosen(number, len(rows)))
            optimiser.zero_grad()
            for _ in range(2):
                logits, raw = net(planes)
                torch.autograd.backward(self.loss(logits, raw, cells, won) / 2)
            optimiser.step()


SOUND = {
    "two looks": TwoLooks(),
    "a little smoothing": Loop(
        loss=lambda p, v, c, w: cross_entropy(p, c, label_smoothing=0.1) + bce(v, w)
    ),
    "two value losses": Loop(
        loss=lambda p, v, c, w: cross_entropy(p, c) + bce(v, w) + (v.sigmoid() - w).square().mean()
    ),
    "log probabilities in half precision": Loop(
        loss=lambda p, v, c, w: functional.nll_loss(p, c) + bce(v, w), network=LogChances
    ),
    "a wide limit": Loop(network=lambda: Limited(12.0)),
    "a temperature in the loss": Loop(
        loss=lambda p, v, c, w: cross_entropy(p / 1.5, c) + bce(v, w)
    ),
    "all positions in one order": Loop(
        chosen=lambda step, count: [(37 * (150 * step + n)) % count for n in range(150)]
    ),
}


@pytest.mark.parametrize("name", SOUND)
def test_a_sound_loss_has_no_finding(played: GameArchive, name: str) -> None:
    assert not SOUND[name].findings(played)


def test_chances_that_are_cut_off(played: GameArchive) -> None:
    play = Play(lambda raw: raw.sigmoid().clamp(0.1, 0.9))
    assert "cuts chances off at 0.1 and 0.9" in first_cause(Loop().findings(played, play))


class Warm(Net):
    """With a temperature of the policy in training alone."""

    def forward(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        logits, raw = super().forward(planes)
        return logits / 3 if self.training else logits, raw


def test_a_temperature_of_training_alone(played: GameArchive) -> None:
    play = Play()
    play.net = Warm().eval()
    found = Loop(network=Warm).findings(played, play)
    assert "another temperature in training (3) than at inference (1)" in first_cause(found)
    play.net = Warm()  # in train mode
    assert not Loop(network=Warm).findings(played, play)
