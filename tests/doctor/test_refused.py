"""Games that the import refuses are explained: how their lines would have to be read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from hexsearch.config.data import DataConfig
from hexsearch.data.archive import build_archive
from hexsearch.doctor.admission import _read
from hexsearch.doctor.checks.games import check_labels
from hexsearch.doctor.checks.refused import check_refused
from hexsearch.doctor.checks.results import check_results
from hexsearch.doctor.examine import examine
from hexsearch.doctor.pipeline import ExaminedPipeline
from hexsearch.doctor.registry import CHECKS
from hexsearch.game.board import BLUE
from hexsearch.game.record import Game
from tests.doctor.conftest import SIZE
from tests.doctor.games import lopsided_games

GAMES = lopsided_games(60, SIZE)
Edit = Callable[[int, Game], Sequence[int]]
Winner = Callable[[int, Game], int]


def _written(path: Path, moves: Edit, winner: Winner = lambda index, game: game.winner) -> Path:
    lines = []
    for index, game in enumerate(GAMES):
        cells = "".join(f"{chr(97 + c % SIZE)}{c // SIZE + 1}" for c in moves(index, game))
        lines.append(f"#{SIZE},{cells} {'b' if winner(index, game) == BLUE else 'r'}")
    path.write_text("\n".join(lines) + "\n")
    return path


def _pipeline(path: Path) -> ExaminedPipeline:
    archive, imported, problem = _read([str(path)], SIZE)
    return ExaminedPipeline(
        "games",
        archive=archive,
        imported=imported,
        games_problem=problem,
        data=DataConfig(board_size=SIZE),
    )


def _as_played(index: int, game: Game) -> Sequence[int]:
    return game.moves


@pytest.mark.parametrize(
    ("edit", "cause"),
    [
        (lambda i, g: [cell for cell in g.moves for _ in range(2)], "more than once"),
        (lambda i, g: g.moves[::-1], "from the last to the first"),
        (lambda i, g: [*g.moves, *GAMES[i - 1].moves], "two games are joined"),
        (lambda i, g: [*g.moves, *set(range(SIZE * SIZE)).difference(g.moves)], "board is full"),
        (lambda i, g: [*g.moves, min(set(range(25)) - set(g.moves))], "the last entry is no move"),
    ],
)
def test_refused_games_are_explained_by_the_reading_that_makes_them_right(
    edit: Edit, cause: str, tmp_path: Path
) -> None:
    pipeline = _pipeline(_written(tmp_path / "games.trmph", edit))
    (finding,) = check_refused(pipeline)
    assert cause in finding.cause, finding


def test_the_reason_for_refusals_comes_before_the_fact_that_no_game_is_left(
    tmp_path: Path,
) -> None:
    path = _written(tmp_path / "games.trmph", lambda i, g: [*g.moves, g.moves[0]])
    checks = [check for check in CHECKS if check.name in ("refused games", "labels")]
    (finding,) = examine(_pipeline(path), checks).errors
    assert finding.check == "refused games"


@pytest.mark.parametrize(
    ("winner", "cause"),
    [
        (lambda i, g: GAMES[i - 1].winner, "winner of the game 1 line(s) before"),
        (lambda i, g: BLUE, "Blue is named as the winner of every game"),
        (lambda i, g: -g.winner if len(g.moves) > 10 else g.winner, "length of the game"),
        (lambda i, g: -g.winner if i > 40 else g.winner, "number of the game"),
    ],
)
def test_wrong_winners_of_refused_games_are_explained(
    winner: Winner, cause: str, tmp_path: Path
) -> None:
    pipeline = _pipeline(_written(tmp_path / "games.trmph", _as_played, winner))
    (finding,) = check_labels(pipeline)
    assert cause in finding.cause, finding


def test_moves_that_are_sorted_are_named() -> None:
    games = [replace(g, moves=tuple(sorted(g.moves)), finished=False) for g in GAMES]
    found = list(check_results(ExaminedPipeline("games", archive=build_archive(games))))
    assert any("not in the order in which they were played" in f.cause for f in found), found


def test_a_lost_move_whose_opponent_is_named_as_the_winner_is_one_finding() -> None:
    games = [
        replace(game, moves=game.moves[:-1], winner=-game.winner, finished=False) for game in GAMES
    ]
    (finding,) = check_results(ExaminedPipeline("games", archive=build_archive(games)))
    assert "the side that moved last is named as the winner" in finding.cause


def test_games_that_are_transposed_are_described_by_their_lines() -> None:
    turned = [
        replace(g, moves=tuple(c % SIZE * SIZE + c // SIZE for c in g.moves), finished=False)
        if index % 2
        else g
        for index, g in enumerate(lopsided_games(120, SIZE))
    ]
    (finding,) = check_results(ExaminedPipeline("games", archive=build_archive(turned)))
    assert "rows and columns are exchanged" in finding.cause
    assert "exactly where the line of the file is 0 modulo 2" in finding.cause, finding


def test_games_that_are_resigned_at_several_distances_miss_no_move() -> None:
    games = [
        replace(game, moves=game.moves[: -1 - index % 4], finished=False)
        for index, game in enumerate(GAMES)
    ]
    pipeline = ExaminedPipeline("games", archive=build_archive(games))
    assert not list(check_results(pipeline))


def test_a_few_refused_games_are_no_finding(tmp_path: Path) -> None:
    path = _written(
        tmp_path / "games.trmph", lambda i, g: g.moves if i > 1 else [*g.moves, g.moves[0]]
    )
    assert not list(check_refused(_pipeline(path)))
