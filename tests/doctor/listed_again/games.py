"""Slips listed again in stored games and in the choice of validation games."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hexsearch.config.data import DataConfig
from hexsearch.data.archive import GameArchive, build_archive
from hexsearch.data.dataset import Dataset
from hexsearch.game.board import BLUE
from tests.doctor.listed.places import all_of
from tests.doctor.slips import Slip, nothing, patched

_CAP = 30  # validation games


def _winners_are(
    change: Callable[[GameArchive], NDArray[Any]],
) -> Callable[[GameArchive], GameArchive]:
    def games(archive: GameArchive) -> GameArchive:
        return replace(archive, winners=change(archive).astype(archive.winners.dtype))

    return games


def _one_cell_further(archive: GameArchive) -> GameArchive:
    games = (archive.game(index) for index in range(len(archive)))
    return build_archive(
        [
            replace(game, moves=tuple((cell + 1) % game.size**2 for cell in game.moves))
            for game in games
        ]
    )


def _capped(sound: Any) -> Any:
    """The settings of a trial have no data section, so the cap is the default of it."""
    return lambda self, **given: sound(self, **{"validation_games": _CAP, **given})


def _shortest(_: Any) -> Any:
    def validation_games(self: Dataset) -> Any:
        games = self.games("validation")
        by_length = np.argsort(self.archive.lengths_of(games), kind="stable")
        return np.sort(games[by_length[: self.config.validation_games]])

    return property(validation_games)


SLIPS: dict[str, Slip] = {
    "winners in the order of the hashes": Slip(
        nothing,
        r"winners are those of other games: .*\(sorted or shuffled in another order",
        games=_winners_are(lambda archive: archive.winners[np.argsort(archive.hashes)]),
        cause="Winners are stored in another order than the games, so labels belong to other "
        "games.",
    ),
    "winner is the first mover": Slip(
        nothing,
        "every game has the winner Blue, whoever connected",
        games=_winners_are(lambda archive: np.full_like(archive.winners, BLUE)),
        cause="The winner of each game is read as the colour that moves first, so that Blue wins "
        "all games.",
    ),
    "moves counted from 1": Slip(
        nothing,
        r"every move is one cell further .*\(counted from 1 in place of 0",
        games=_one_cell_further,
        cause="Moves are stored 1-based, so that every stone stands one cell further.",
    ),
    "the cap keeps the shortest games": Slip(
        all_of(
            patched(DataConfig, "__init__", _capped),
            patched(Dataset, "validation_games", _shortest),
        ),
        "cap of data.validation_games keeps the shortest games",
        cause="The cap of validation games keeps the shortest games and not a random choice by "
        "hash.",
    ),
}
