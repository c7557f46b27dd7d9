"""Slips in the games, the splits, the labels and the planes, of a blind set.

From 239 mistakes that seemed likely, with a weight each, `numpy.random.default_rng(52).choice`
drew 24. The causes, and the words that name them, were written before any run.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hexsearch.data import dataset as dataset_module
from hexsearch.data.archive import GameArchive, build_archive
from hexsearch.data.batch import Batch
from hexsearch.data.batches import BatchBuilder
from hexsearch.game.board import RED
from tests.doctor.slips import Slip, in_encoder, in_planes, nothing, patched

_EVERY = 3  # one file of three was written by the other tool
_SHARE = 45  # most percent by which a search is away from 50


def _other_winner(archive: GameArchive) -> GameArchive:
    """Every third game has the winner that its file states of the first player."""
    games = [archive.game(index) for index in range(len(archive))]
    return build_archive(
        replace(game, winner=-game.winner) if index % _EVERY == 0 else game
        for index, game in enumerate(games)
    )


def _without_last_move(archive: GameArchive) -> GameArchive:
    """Finished games without their last move, which still count as finished."""
    games = []
    for index in range(len(archive)):
        game = archive.game(index)
        if game.finished:
            values = None if game.search_values is None else game.search_values[:-1]
            game = replace(game, moves=game.moves[:-1], search_values=values)
        games.append(game)
    return build_archive(games)


def _with_search_values(archive: GameArchive) -> GameArchive:
    """Every position before a move has a value, surer towards the end."""
    games = []
    for index in range(len(archive)):
        game = archive.game(index)
        sign, length = 1 if game.winner == RED else -1, max(len(game.moves), 1)
        values = [50 + sign * (_SHARE * ply // length) for ply in range(len(game.moves))]
        games.append(replace(game, search_values=bytes(values)))
    return build_archive(games)


def _with_resigned_games(archive: GameArchive) -> GameArchive:
    """Every third game was given up after two thirds of its moves."""
    games = []
    for index in range(len(archive)):
        game = archive.game(index)
        if index % _EVERY == 0:
            kept = max(2 * len(game.moves) // 3, game.setup + 1)
            values = None if game.search_values is None else game.search_values[:kept]
            game = replace(game, moves=game.moves[:kept], finished=False, search_values=values)
        games.append(game)
    return build_archive(games)


def _one_stone_less(
    sound: Any, self: Any, cells: Any, plies: Any, symmetries: Any, finished: Any
) -> Any:
    last = np.cumsum(plies)[plies > 0] - 1
    kept = np.ones(len(cells), dtype=bool)
    kept[last] = False
    planes = sound(self, cells[kept], np.maximum(plies - 1, 0), symmetries, finished)
    if self.perspective == "absolute":
        mover = ((plies & 1) ^ (symmetries >= 2)).astype(np.float32)
        planes[:, 2] = np.where(finished, np.float32(0.5), mover)[:, None, None]
    return planes


def _as_of_red(sound: Any) -> Any:
    def mixed(self: Any, batch: Batch, games: Any, plies: Any, share: float) -> Batch:
        if not share:
            return batch
        known = self.to_device(self.archive.search_values_of(games, plies))
        return replace(batch, search_shift=(share * (known - batch.outcome)).nan_to_num(0.0))

    return mixed


def _only_finished(sound: Any) -> Any:
    def split_games(archive: GameArchive, split: str, *arguments: Any) -> NDArray[np.int64]:
        games: NDArray[np.int64] = sound(archive, split, *arguments)
        return games[archive.finished[games] == 1] if split == "validation" else games

    return split_games


def _training_with(other: str) -> Any:
    def make(sound: Any) -> Any:
        def split_games(archive: GameArchive, split: str, *arguments: Any) -> NDArray[np.int64]:
            games: NDArray[np.int64] = sound(archive, split, *arguments)
            if split != "train":
                return games
            return np.union1d(games, sound(archive, other, *arguments))

        return split_games

    return make


def _as_half(planes: Tensor) -> Tensor:
    return planes.to(torch.float16).to(torch.float32)


SLIPS: dict[str, Slip] = {
    "winner of every third game is the other one": Slip(
        nothing,
        "winner|wrong (result|label)|replay|label|result|connect",
        games=_other_winner,
        cause="The result of one file of three was read as that of the first player, who is not "
        "always Blue there: a third of the games have the wrong winner, although they are marked "
        "as finished.",
    ),
    "last move cut off": Slip(
        nothing,
        "finished|last move|not (connected|over|won)|final|cut|replay|nobody|side to move|to_end",
        games=_without_last_move,
        cause="The converter cuts the last move off each finished game, which is still marked as "
        "finished: its last position is not won yet, but counts as final, with nobody to move.",
    ),
    "last stone missing": Slip(
        in_encoder(_one_stone_less),
        "stone|missing|one (ply|move|stone)|last (move|stone)|behind|late|too few|planes?\\b",
        cause="The last stone is missing from the planes: a position is shown as it was before the "
        "last move, with the side to move, the label and the next move of the position after it.",
    ),
    "search values not in the network's perspective": Slip(
        patched(BatchBuilder, "_mixed", _as_of_red),
        "search|perspective|complement|value target|mixed",
        {"curriculum": {"search_value": 0.5}},
        games=_with_search_values,
        cause="The search's value, which is Red's probability, is mixed into the target without "
        "being brought into the network's perspective: where the network answers for Blue, the "
        "target is moved towards the loser.",
    ),
    "validation without resigned games": Slip(
        patched(dataset_module, "split_games", _only_finished),
        "validation|split|resign|unfinished|finished|given up",
        games=_with_resigned_games,
        cause="The validation games are only those that were played to the end, while a third of "
        "the training games were resigned: resigned games are in no validation, and reports are "
        "on other games than those of training.",
    ),
    "training games include the validation games": Slip(
        patched(dataset_module, "split_games", _training_with("validation")),
        "split|validation|overlap|both|leak|in common|same game|shared",
        cause="The validation games are also training games, since the upper threshold of the "
        "draw is missing: reports are on positions that were trained on.",
    ),
    "training games include the test games": Slip(
        patched(dataset_module, "split_games", _training_with("test")),
        "split|\\btest\\b|overlap|both|leak|in common|same game|shared",
        cause="All games that are not for validation are trained on, also the test games, which "
        "are kept for the final confirmation.",
    ),
    "planes kept as half precision": Slip(
        in_planes(_as_half),
        "half|float16|precision|round|history|recen|planes?\\b",
        {"encoder": {"perspective": "mover", "history": True}},
        cause="Training planes are kept as 16-bit numbers to save memory: the history plane is "
        "rounded in training, but not in evaluation.",
    ),
}
