"""Tests of what the doctor says of positions, planes, labels and targets that are changed."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from hexsearch.data import dataset as dataset_module
from hexsearch.data.archive import GameArchive
from hexsearch.data.batch import Batch
from hexsearch.data.batches import BatchBuilder, TrainingStream
from hexsearch.data.dataset import Dataset
from hexsearch.data.encoder import PositionEncoder
from hexsearch.data.position_set import PositionSet
from hexsearch.data.split import SplitName, split_games
from hexsearch.doctor.checks.data.sampling import check_batches
from hexsearch.doctor.checks.split import check_split
from hexsearch.game.board import RED, stones_after
from tests.doctor.conftest import every_tenth, pipeline, tiny
from tests.doctor.slips import Inject, Slip, in_batches, in_labels, in_planes, patched
from tests.doctor.test_yardstick import findings_on


def of_plies(change: Callable[..., Any]) -> Inject:
    """Change games and plies that are drawn."""

    def make(sound: Any) -> Any:
        return lambda self, *given: change(*sound(self, *given), self)

    return patched(PositionSet, "draw", make)


def to_end_of(change: Callable[[Batch], dict[str, Any]]) -> Inject:
    """Change columns of every batch that is built."""

    def make(sound: Any) -> Any:
        def build(self: Any, *given: Any, **more: Any) -> Batch:
            batch: Batch = sound(self, *given, **more)
            return replace(batch, **change(batch))

        return build

    return patched(BatchBuilder, "build", make)


def whole_archive(sound: Any) -> Any:
    def games(self: Dataset, split: str) -> Any:
        return np.arange(len(self.archive)) if split == "train" else sound(self, split)

    return games


def winner_to_move(games: Any, plies: Any, positions: PositionSet) -> Any:
    """The same plies, or those beside them, so that the side to move wins a finished game."""
    counts = dict(zip(positions.games.tolist(), positions.counts.tolist(), strict=True))
    before_last = np.array([counts[game] - 2 for game in games.tolist()])
    other = (before_last - plies) % 2 == 1
    return games, np.where(other, np.where(plies > 0, plies - 1, plies + 1), plies)


def by_four_neighbours(stones: Any) -> bool:
    """Whether Red connects by steps along rows and columns; other boards are Blue's."""
    own = stones == RED
    reached = np.zeros_like(own)
    reached[:, 0] = own[:, 0]
    for _ in range(own.size):
        grown = reached.copy()
        grown[1:] |= reached[:-1]
        grown[:-1] |= reached[1:]
        grown[:, 1:] |= reached[:, :-1]
        grown[:, :-1] |= reached[:, 1:]
        reached = grown & own
    return bool(reached[:, -1].any())


def other_rule(sound: Any) -> Any:
    """Results are computed anew by another rule of connections."""

    def build(self: BatchBuilder, *given: Any, **more: Any) -> Batch:
        batch: Batch = sound(self, *given, **more)
        red = torch.tensor(
            [
                by_four_neighbours(stones_after(self.archive.game(g).moves, self.encoder.size))
                for g in batch.game.tolist()
            ]
        )
        own = torch.where(batch.complement, ~red, red).float()
        return replace(batch, outcome=own, red_won=red.float())

    return build


def rolled(batch: Batch, stream: TrainingStream, cursor: int) -> Batch:
    """Rows of each board are rolled around, and those of its move with them."""
    size, planes = stream.builder.encoder.size, batch.planes.clone()
    shifts = (batch.game + 3 * batch.ply) % size
    margin = (planes.shape[-1] - size) // 2
    inside = slice(margin, margin + size)
    for row, shift in enumerate(shifts.tolist()):
        board = batch.planes[row, :2, inside, inside]
        planes[row, :2, inside, inside] = board.roll(shift, dims=1)
    cells = (batch.policy_target + shifts * size) % size**2
    return replace(batch, planes=planes, policy_target=cells)


def of_rows(change: Callable[[Tensor], Tensor]) -> Inject:
    return in_labels(lambda batch: change(batch.outcome))


def one_later(sound: Any) -> Any:
    """Each batch begins one position after the batch before."""

    def draw(self: PositionSet, seed: int, cursor: int, size: int) -> Any:
        parts = [sound(self, seed, at // 64, 64) for at in range(cursor, cursor + size, 64)]
        return tuple(np.concatenate([part[n] for part in parts])[:size] for n in range(2))

    return draw


def longer_games(games: Any, plies: Any, positions: PositionSet) -> Any:
    """A position of a short game is often replaced by one of the game that is drawn next."""
    counts = dict(zip(positions.games.tolist(), positions.counts.tolist(), strict=True))
    length = np.array([counts[game] for game in games.tolist()])
    other = np.roll(np.arange(len(games)), -1)
    longer = (length[other] > length) & (games % 3 == 0)
    chosen = np.where(longer, other, np.arange(len(games)))
    return games[chosen], plies[chosen]


def with_corners(planes: Tensor) -> Tensor:
    planes[:, :2, 0, 0] = planes[:, :2, -1, -1] = 1.0
    return planes


NAMED: dict[str, tuple[Inject, str, dict[str, Any]]] = {
    "all games": (patched(Dataset, "games", whole_archive), "nothing is held out", {}),
    "cut above": (of_plies(lambda g, p, _: (g, np.minimum(p, 8))), "cut off at 8", {}),
    "cut below": (of_plies(lambda g, p, _: (g, np.maximum(p, 3))), "cut off at 3", {}),
    "labels plus 1": (of_rows(lambda y: y + 1), r"labels are 1 and 2 .*1 is added", {}),
    "labels halved": (of_rows(lambda y: y / 2), r"multiplied by 0\.5", {}),
    "labels sorted": (of_rows(lambda y: y.sort().values), "labels are sorted", {}),
    "labels of one game in ten": (
        in_labels(lambda b: torch.where(b.game % 10 == 3, 1 - b.outcome, b.outcome)),
        "inverted in whole games",
        {},
    ),
    "other rule": (patched(BatchBuilder, "build", other_rule), "as four neighbours", {}),
    "targets rolled": (
        in_batches(lambda b, *_: replace(b, policy_target=b.policy_target.roll(1))),
        "policy target is that of another row",
        {},
    ),
    "targets plus 1": (
        in_batches(lambda b, *_: replace(b, policy_target=(b.policy_target + 1) % 25)),
        r"shifted by 0 row\(s\) and 1 column",
        {},
    ),
    "weights of wins": (
        in_batches(lambda b, *_: replace(b, weight=2 * b.outcome - 1)),
        "1 where the label is 1 and -1 where it is 0",
        {},
    ),
    "half of the rows": (
        in_batches(lambda b, *_: b.rows(torch.arange(len(b) // 2).repeat(2))),
        "second half of each batch repeats the first",
        {},
    ),
    "one later": (
        patched(PositionSet, "draw", one_later),
        r"begins 1 position\(s\) after the one before, so it repeats 63 of 64",
        {},
    ),
    "longer games": (of_plies(longer_games), "the length of the game is at most", {}),
    "corners": (in_planes(with_corners), "single cells of the ring .*corners", {}),
    "one board": (in_planes(lambda p: p[-1:].expand_as(p)), "one and the same board", {}),
    "boards rolled": (in_batches(rolled), "rolled around by rows", {}),
    "planes by 255": (
        patched(PositionEncoder, "encode", lambda s: lambda *g: s(*g) / np.float32(255)),
        "1/255",
        {},
    ),
    "one ply too many": (
        to_end_of(lambda b: {"to_end": b.to_end + 1}),
        "plies to the end are 1 too many",
        {},
    ),
    "winners to move": (of_plies(winner_to_move), "turns of the winner .* drawn exclusively", {}),
}
WITH_REPLACEMENT = of_plies(
    lambda g, p, positions: positions.at(
        np.random.default_rng(int(g.sum())).integers(0, len(positions), len(g))
    )
)


@pytest.mark.parametrize("name", every_tenth(NAMED))
def test_the_first_finding_names_the_change(name: str, archive: GameArchive) -> None:
    inject, words, settings = NAMED[name]
    found = findings_on(Slip(inject, words, settings), archive)
    assert found and re.search(words, found[0].cause), found


def test_draws_with_replacement_are_a_warning(archive: GameArchive) -> None:
    (found,) = findings_on(Slip(WITH_REPLACEMENT, ""), archive)
    assert found.severity == "warning" and "with replacement" in found.cause


@pytest.mark.parametrize("batch_size", [16, 64, 256])
@pytest.mark.parametrize("part", [{"name": "last_k", "k": 6}, {"name": "penultimate"}], ids=str)
def test_the_small_set_of_a_mixture_may_come_again(
    part: dict[str, Any], batch_size: int, archive: GameArchive
) -> None:
    parts = [{"name": "all", "share": 1}, {**part, "share": 1}]
    config = tiny(curriculum={"name": "mixture", "parts": parts}, batch_size=batch_size)
    assert not list(check_batches(pipeline(archive, config)))


def _cut(archive: GameArchive, split: SplitName, *others: Any) -> Any:
    games = split_games(archive, split, *others)
    return games[: len(games) * 9 // 10] if split == "validation" else games


def _swapped(archive: GameArchive, split: SplitName, first: float, test: float, salt: str) -> Any:
    return split_games(archive, split, 3 * test, first, salt)


@pytest.mark.parametrize(
    ("split", "words"),
    [(_cut, "the split loses games"), (_swapped, "other sizes than data.split says")],
)
def test_a_split_that_is_not_the_configured_one_is_named(
    split: Any, words: str, archive: GameArchive, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not list(check_split(pipeline(archive, tiny())))
    monkeypatch.setattr(dataset_module, "split_games", split)
    (finding,) = check_split(pipeline(archive, tiny()))
    assert words in finding.cause


def test_validation_games_that_are_left_out_are_counted(
    archive: GameArchive, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = property(lambda dataset: dataset.games("validation")[:-3])
    monkeypatch.setattr(Dataset, "validation_games", kept)
    (finding,) = check_split(pipeline(archive, tiny()))
    assert "validation leaves games of its part out" in finding.cause
