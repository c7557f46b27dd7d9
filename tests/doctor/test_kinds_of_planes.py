"""Tests of what a watched training says of planes that are not those of inference."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from hexsearch.data.archive import GameArchive, build_archive
from hexsearch.doctor.checks.computation.reshapes import check_reshapes
from hexsearch.doctor.checks.computation.shared_norms import check_shared_norms
from hexsearch.doctor.checks.network.independence import check_trained
from hexsearch.doctor.examine import examine
from hexsearch.doctor.findings import Check, Finding
from hexsearch.doctor.foreign import ForeignNetwork
from hexsearch.doctor.own_training.watch import watch
from hexsearch.doctor.pipeline import ExaminedPipeline
from hexsearch.doctor.refuted import without_refuted
from tests.doctor.conftest import every_tenth
from tests.doctor.kinds import Batch, Loop, first_cause
from tests.doctor.own_scripts import SIZE, Board, Games, Net, Planes, Play, encode
from tests.doctor.test_play import random_game


@pytest.fixture(scope="module")
def played() -> GameArchive:
    rng = np.random.default_rng(6)
    return build_archive([random_game(SIZE, rng) for _ in range(60)])


def read_as_channels(stones: Board, to_move: int) -> Planes:
    planes: Planes = np.ascontiguousarray(encode(stones, to_move).transpose(1, 2, 0))
    return planes.reshape(3, SIZE, SIZE)


def without_blue(stones: Board, to_move: int) -> Planes:
    return encode((stones * (stones > 0)).astype(np.int8), to_move)


def without_last_rows(stones: Board, to_move: int) -> Planes:
    kept = stones.copy()
    kept[-2:] = 0
    return encode(kept, to_move)


def unsigned(stones: Board, to_move: int) -> Planes:
    planes = encode(stones, to_move)
    planes[2] = to_move % 256
    return planes


def on_planes(change: Callable[[Tensor], Tensor]) -> Callable[[Tensor, Tensor, Tensor], Batch]:
    return lambda planes, cells, won: (change(planes), cells, won)


def of_the_square(planes: Tensor, cells: Tensor, won: Tensor) -> Batch:
    """One of the eight symmetries of the square for each row, and its move with it."""
    board = torch.nn.functional.one_hot(cells, SIZE * SIZE).reshape(-1, 1, SIZE, SIZE)
    whole = torch.cat([planes, board.float()], dim=1)
    images = [whole.rot90(n, (2, 3)) for n in range(4)]
    images += [each.flip(3) for each in images]
    drawn = torch.randint(0, 8, (len(whole),))
    turned = torch.stack([images[int(n)][row] for row, n in enumerate(drawn)])
    return turned[:, :-1], turned[:, -1].flatten(1).argmax(dim=1), won


class WithLength(Loop):
    """Whose last plane tells how many moves the game has."""

    def rows(self, games: Games) -> list[tuple[Planes, int, float]]:
        rows = super().rows(games)
        lengths = [len(moves) for moves, _ in games for _ in moves]
        for (planes, _, _), length in zip(rows, lengths, strict=True):
            planes[2] = length / SIZE**2
        return rows


MISTAKES: dict[str, tuple[Loop, str]] = {
    "a reshape of channels": (
        Loop(shown=read_as_channels),
        "stored as [rows, columns, channels] and read as [channels, rows, columns] by a reshape",
    ),
    "one colour": (Loop(shown=without_blue), "Blue's stones are missing in training"),
    "a part of the board": (Loop(shown=without_last_rows), "numbers of the planes are always 0"),
    "unsigned": (Loop(shown=unsigned), "it holds 1, 255, and 0, 1 at inference"),
    "the length of the game": (
        WithLength(),
        "plane 2 holds the number of moves of the whole game",
    ),
    "erased numbers": (
        Loop(augmented=on_planes(lambda planes: planes * (torch.rand_like(planes) < 0.5))),
        "of the numbers on the planes are set to 0 at random",
    ),
    "noise": (
        Loop(augmented=on_planes(lambda planes: planes + 0.3 * torch.randn_like(planes))),
        "noise is added",
    ),
    "other numbers": (
        Loop(augmented=on_planes(lambda planes: planes * 255)),
        "planes are multiplied by 255 in training",
    ),
    "flipped planes": (
        Loop(
            augmented=lambda planes, cells, won: (
                planes.flip(1, 2),
                SIZE * SIZE - 1 - cells,
                won,
            )
        ),
        "flipped over planes and rows (an augmentation flips dimensions 1 and 2",
    ),
    "all symmetries of the square": (
        Loop(augmented=of_the_square),
        "boards are given a quarter turn, which is no symmetry of Hex (2",
    ),
}


@pytest.mark.parametrize("name", every_tenth(MISTAKES))
def test_a_mistake_is_the_first_finding(played: GameArchive, name: str) -> None:
    loop, words = MISTAKES[name]
    found = loop.findings(played)
    assert words in first_cause(found)
    assert len(found) == 1 or name == "a part of the board"


class Tokens(Net):
    """With an attention over the cells."""

    def __init__(self, transposed: bool) -> None:
        super().__init__()
        self.transposed = transposed
        self.mixer = nn.MultiheadAttention(12, 2, batch_first=True)

    def forward(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        features = self.body(planes)
        count = len(planes)
        if self.transposed:
            tokens = features.flatten(2).transpose(1, 2)
        else:
            tokens = features.view(count, SIZE * SIZE, 12)
        tokens = self.mixer(tokens, tokens, tokens)[0]
        features = tokens.transpose(1, 2).reshape(count, 12, SIZE, SIZE)
        return self.policy(features).flatten(1), self.value(features.mean(dim=(2, 3)))[:, 0]


@pytest.mark.parametrize("transposed", [False, True])
def test_channels_that_are_mixed_up_with_cells(played: GameArchive, transposed: bool) -> None:
    play = Play()
    play.net = Tokens(transposed).eval()
    foreign = ForeignNetwork(play, encode, SIZE)
    check = Check("reshapes", "answers", ("foreign", "observed"), check_reshapes)
    found = examine(ExaminedPipeline("own", archive=played, foreign=foreign), [check]).findings
    assert bool(found) is not transposed
    if found:
        assert "channels and cells are mixed up inside the network" in found[0].cause


class OneNorm(Net):
    """With one batch norm for two convolutions, or the whole network twice."""

    def __init__(self, twice: bool) -> None:
        super().__init__()
        self.twice = twice
        self.inner = nn.Conv2d(12, 12, 3, padding=1)
        self.norm = nn.BatchNorm2d(12)
        self.outer = Net()

    def forward(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        if self.twice:  # answers are averaged over the half turn
            policy, value = self.outer(planes)
            turned, other = self.outer(planes.flip(2, 3))
            return policy + turned.flip(1), value + other
        features = self.norm(self.inner(self.body(planes))).relu()
        features = self.norm(self.inner(features))
        return self.policy(features).flatten(1), self.value(features.mean(dim=(2, 3)))[:, 0]


@pytest.mark.parametrize("twice", [False, True])
def test_a_norm_that_is_used_twice(played: GameArchive, twice: bool) -> None:
    play = Play()
    play.net = OneNorm(twice).eval()
    foreign = ForeignNetwork(play, encode, SIZE)
    check = Check("shared", "answers", ("foreign", "observed"), check_shared_norms)
    found = examine(ExaminedPipeline("own", archive=played, foreign=foreign), [check]).findings
    assert [f.severity for f in found] == ([] if twice else ["warning"])


class Leaning(Net):
    """Whose value leans a little on the other positions of its batch."""

    def forward(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        policy, value = super().forward(planes)
        return policy, value + 0.05 * (value - value.mean())


def test_a_value_that_leans_a_little_on_its_batch(played: GameArchive) -> None:
    play = Play()
    play.net = Leaning().eval()
    foreign = ForeignNetwork(play, encode, SIZE)
    check = Check("modes", "answers", ("examined", "observed"), check_trained)
    (found,) = examine(ExaminedPipeline("own", archive=played, foreign=foreign), [check]).findings
    assert "goes over the batch instead of the board" in found.cause


def restated(played: GameArchive, loop: Loop, finding: Finding) -> list[Finding]:
    foreign = ForeignNetwork(Play(), encode, SIZE)
    foreign.train = loop
    own = watch(foreign, played)
    return [f for _, f in without_refuted([(None, finding)], own, ["training planes"])]


def test_what_a_sound_training_refutes(played: GameArchive) -> None:
    """Bad answers are not blamed on a training that was watched and is sound."""
    bad = Finding.error("strength", "AUC 0.5", "labels are shuffled", "look at the labels")
    (found,) = restated(played, Loop(), bad)
    assert "the training that was watched has none of the faults" in found.cause
    weak = Finding.warning("strength", "0.2", "trained on finished boards only", "use all boards")
    (found,) = restated(played, Loop(), weak)
    assert found.cause.startswith("the network is weak, and")
    other = Finding.error("planes of the network", "AUC", "it expects other planes", "encode alike")
    assert not restated(played, Loop(), other)
    assert restated(played, Loop(shown=without_blue), other) == [other]
    assert restated(played, Loop(shown=without_blue), bad) == [bad]
