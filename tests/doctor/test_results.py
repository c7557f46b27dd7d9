"""Games whose results or moves are wrong as a whole are named."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from hexsearch.config.data import DataConfig
from hexsearch.data.archive import GameArchive, build_archive
from hexsearch.doctor.checks.results import check_results
from hexsearch.doctor.findings import Finding
from hexsearch.doctor.pipeline import ExaminedPipeline
from hexsearch.game.board import BLUE
from hexsearch.game.record import Game
from tests.doctor.conftest import SIZE


def _findings(archive: GameArchive) -> list[Finding]:
    data = DataConfig(board_size=SIZE)
    return list(check_results(ExaminedPipeline("games", archive=archive, data=data)))


def _each(archive: GameArchive, change: Callable[[Game], Game]) -> GameArchive:
    return build_archive(change(archive.game(index)) for index in range(len(archive)))


def _cut(game: Game) -> Game:
    return replace(game, moves=game.moves[:-4], winner=BLUE, finished=False)


def _resigned(game: Game) -> Game:
    """The loser, to move, gives up."""
    return replace(game, moves=game.moves[:-2], finished=False)


def test_sound_games_and_rightly_resigned_ones_raise_nothing(archive: GameArchive) -> None:
    assert not _findings(archive)
    assert not _findings(_each(archive, _resigned))


def test_cut_games_that_are_all_given_to_blue_are_wrong_labels(archive: GameArchive) -> None:
    found = _findings(_each(archive, _cut))
    assert any("all are given to Blue" in finding.cause for finding in found), found


def test_winners_of_every_third_resigned_game_that_are_inverted_are_placed(
    archive: GameArchive,
) -> None:
    games = [_resigned(archive.game(index)) for index in range(len(archive))]
    given = [
        replace(game, winner=-game.winner if index % 3 == 0 else game.winner, line=index + 1)
        for index, game in enumerate(games)
    ]
    (finding,) = _findings(build_archive(given))
    assert "winners are inverted exactly where the line of the file is 1 modulo 3" in finding.cause
    assert "where 85% is usual" in finding.evidence


def test_games_of_one_winner_are_reported(archive: GameArchive) -> None:
    won = np.flatnonzero(archive.winners == BLUE)
    found = _findings(build_archive(archive.game(int(index)) for index in won))
    assert ["the same winner" in finding.cause for finding in found] == [True], found


def test_games_of_a_smaller_board_are_recognised_by_the_edge_that_nobody_plays(
    archive: GameArchive,
) -> None:
    def moved(game: Game) -> Game:
        cells = [cell // SIZE * (SIZE + 2) + cell % SIZE for cell in game.moves]
        return replace(game, size=SIZE + 2, moves=tuple(cells), finished=False)

    found = _findings(_each(archive, moved))
    assert any("a smaller board (5x5)" in finding.cause for finding in found), found


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_a_cell_that_is_played_twice_is_reported(archive: GameArchive, share: float) -> None:
    cells = archive.moves.copy()
    for game in range(int(share * len(archive))):
        start = int(archive.offsets[game])
        cells[start + 1] = cells[start]
    found = _findings(replace(archive, moves=cells))
    assert any("played twice" in finding.cause for finding in found) == (share > 0), found
