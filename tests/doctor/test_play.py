"""The doctor tells games of random moves from games that were played."""

from __future__ import annotations

import numpy as np

from hexsearch.data.archive import GameArchive, build_archive
from hexsearch.doctor.checks.play import check_play
from hexsearch.doctor.pipeline import ExaminedPipeline
from hexsearch.game.board import BLUE, RED, winners
from hexsearch.game.record import Game


def random_game(size: int, rng: np.random.Generator) -> Game:
    board = np.zeros((1, size, size), dtype=np.int8)
    moves: list[int] = []
    for cell in rng.permutation(size * size).tolist():
        board.reshape(-1)[cell] = BLUE if len(moves) % 2 == 0 else RED
        moves.append(cell)
        if won := int(winners(board)[0]):
            break
    return Game(size, tuple(moves), won, True, "random", 1)


def test_games_of_random_moves_are_reported() -> None:
    rng = np.random.default_rng(0)
    archive = build_archive([random_game(7, rng) for _ in range(80)])
    (finding,) = check_play(ExaminedPipeline("games", archive=archive))
    assert finding.severity == "warning"
    assert "random" in finding.cause


def test_games_that_were_played_are_not(archive: GameArchive) -> None:
    assert not list(check_play(ExaminedPipeline("games", archive=archive)))


def test_games_that_end_early_are_not_judged(archive: GameArchive) -> None:
    games = [archive.game(index) for index in range(len(archive))]
    openings = [Game(g.size, g.moves[:3], g.winner, False, g.source, g.line) for g in games]
    assert not list(check_play(ExaminedPipeline("games", archive=build_archive(openings))))
