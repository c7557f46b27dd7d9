"""Slips in the games, the labels, the draws, the planes and the targets, of a blind set.

From 276 mistakes that seemed likely, with a weight each, `numpy.random.default_rng(53).choice`
drew 24. The causes, and the words that name them, were written before any run.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hexsearch.data.archive import GameArchive, build_archive
from hexsearch.data.batch import Batch
from hexsearch.data.batches import BatchBuilder, TrainingStream
from hexsearch.data.position_set import PositionSet
from hexsearch.data.stages import STAGE_NAMES
from hexsearch.game.board import BLUE, RED
from tests.doctor.slips import Slip, in_labels, in_planes, nothing, patched

_EVERY = 3  # one game of three
_LATE = STAGE_NAMES.index("late")


def _mirrored(archive: GameArchive) -> GameArchive:
    """Every third game has its columns from right to left, which is no symmetry of Hex."""
    games = []
    for index in range(len(archive)):
        game = archive.game(index)
        if index % _EVERY == 0:
            rows = [divmod(cell, game.size) for cell in game.moves]
            moves = tuple(row * game.size + game.size - 1 - column for row, column in rows)
            game = replace(game, moves=moves)
        games.append(game)
    return build_archive(games)


def _timed_out(archive: GameArchive) -> GameArchive:
    """Every third game ends by timeout at any ply, and the side to move there has lost."""
    rng = np.random.default_rng(7)
    games = []
    for index in range(len(archive)):
        game = archive.game(index)
        first, length = game.setup + 2, len(game.moves)
        if index % _EVERY == 0 and first < length:
            kept = int(rng.integers(first, length))
            values = None if game.search_values is None else game.search_values[:kept]
            winner = RED if kept % 2 == 0 else BLUE  # the opponent of the side to move
            game = replace(
                game, moves=game.moves[:kept], winner=winner, finished=False, search_values=values
            )
        games.append(game)
    return build_archive(games)


def _short_half(archive: GameArchive) -> GameArchive:
    """The shorter half of the games."""
    order = np.argsort(archive.lengths, kind="stable")
    return build_archive(archive.game(int(index)) for index in order[: len(order) // 2])


def _late_inverted(batch: Batch) -> Tensor:
    return torch.where(batch.stage == _LATE, 1.0 - batch.outcome, batch.outcome)


def _every_pass_alike(sound: Any) -> Any:
    def at(self: Any, index: Any, passes: Any = 0, seed: int = 0) -> Any:
        return sound(self, index, 0, seed)

    return at


def _not_cut(_: Any) -> Any:
    def forgetful(self: Any, planes: Tensor, bits: Any) -> Tensor:
        return planes

    return forgetful


def _as_images(planes: Tensor) -> Tensor:
    return (planes - 0.5) / 0.5


def _all_have_moves(sound: Any) -> Any:
    def build(self: Any, *arguments: Any, **more: Any) -> Batch:
        batch: Batch = sound(self, *arguments, **more)
        return replace(batch, has_move=torch.ones_like(batch.has_move))

    return build


SLIPS: dict[str, Slip] = {
    "columns of every third game from right to left": Slip(
        nothing,
        "mirror|column|reflect|replay|winner|connect|nobody|orientation|label|symmetr",
        games=_mirrored,
        cause="The columns of one file of three were counted from the right: the board is mirrored "
        "left to right, which is no symmetry of Hex, so that cells have other neighbours and the "
        "winner of these games has no connection at the end.",
    ),
    "timeouts lose for the side to move": Slip(
        nothing,
        "time-?out|resign|unfinished|finished|result|winner|label|noise|side to move|mover|parity|"
        "last mover",
        games=_timed_out,
        cause="A third of the games ended by a timeout in the middle and count as lost for the "
        "side that was to move then, whatever the position was: the label of these games is the "
        "parity of their length and not the winner on the board.",
    ),
    "only the shorter half of the games": Slip(
        nothing,
        "short|length|half|sort|select|long games|late|moves.left|distribution|biased|archive",
        games=_short_half,
        cause="The games were sorted by their length, and only the first half was kept: all games "
        "are short, and positions of long games are in no split.",
    ),
    "labels of late positions inverted": Slip(
        in_labels(_late_inverted),
        "late|label|invert|flip|outcome|perspective|side to move|stage|result",
        cause="The label of late positions is that of the side that moves after the next move: it "
        "is inverted there, and right for early and middle positions.",
    ),
    "last_k draws the same ply in each pass": Slip(
        patched(PositionSet, "at", _every_pass_alike),
        "pass|same (ply|position)|last_k|again|repeat|draw|ply|fixed|never (seen|drawn)|slots",
        {"curriculum": {"name": "last_k", "k": 12}},
        cause="last_k draws the ply of a game once for the whole training and not anew in each "
        "pass: each game gives one fixed position, and the other positions of its range are never "
        "seen.",
    ),
    "history never cut in training": Slip(
        patched(TrainingStream, "_forgetful", _not_cut),
        "history|recen|forget|cut",
        {"encoder": {"perspective": "mover", "history": True}},
        cause="The history plane is never cut off in training: every training position has its "
        "whole history, although boards without a list of moves, as in a search, have none of it.",
    ),
    "training planes normalised": Slip(
        in_planes(_as_images),
        "normalis|scale|planes?\\b|range|-1|evaluation|differ|values",
        cause="Training planes are normalised like images, by a mean and a deviation of 0.5, to -1 "
        "and 1, while those of the evaluation are 0 and 1.",
    ),
    "final positions train the policy on cell 0": Slip(
        patched(BatchBuilder, "build", _all_have_moves),
        "has_move|next move|policy|cell 0|final|finished|a1|corner",
        cause="Positions without a next move count in the policy loss, with cell 0 as their move: "
        "the policy learns the corner a1 for finished positions.",
    ),
}
