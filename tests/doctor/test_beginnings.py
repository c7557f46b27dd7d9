"""Games that were saved while they were played."""

from __future__ import annotations

from hexsearch.data.archive import GameArchive, build_archive
from hexsearch.doctor.checks.beginnings import check_beginnings
from hexsearch.doctor.pipeline import ExaminedPipeline
from hexsearch.game.record import Game
from tests.doctor.games import lopsided_games
from tests.doctor.slips_fifth_data import SLIPS


def _evidence(games: GameArchive) -> list[str]:
    return [finding.evidence for finding in check_beginnings(ExaminedPipeline("x", archive=games))]


def test_beginnings_of_longer_games_are_reported(archive: GameArchive) -> None:
    saved = SLIPS["saves of a game in progress count as games"].games(archive)
    (told,) = _evidence(saved)
    assert "207 of 207" in told


def test_cut_off_games_without_a_longer_record_are_not_reported(archive: GameArchive) -> None:
    assert _evidence(SLIPS["opening left out of the record"].games(archive)) == []


def test_games_that_follow_few_lines_are_reported() -> None:
    lines = [game.moves[:10] for game in lopsided_games(3, 9)]
    free = [[cell for cell in range(81) if cell not in line] for line in lines]
    games = [
        Game(9, (*lines[n % 3], free[n % 3][n]), 1, False, "self-play", n + 1) for n in range(66)
    ] + [Game(9, (*lines[n % 3], *free[n % 3][n : n + 2]), 1, False, "x", n) for n in range(66)]
    (told,) = [text for text in _evidence(build_archive(games)) if "first halves" in text]
    assert "of 132 games of 8 moves or more are only 6 different lines" in told
    assert _evidence(build_archive(lopsided_games(200, 9))) == []
