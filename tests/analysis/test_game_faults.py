"""Faults in the games themselves: winners, edges, copies."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hexsearch.data.archive import GameArchive, build_archive
from hexsearch.game.board import RED
from hexsearch.game.record import Game
from hexsearch.game.symmetry import symmetry_cells
from tests.analysis import injections
from tests.analysis.conftest import SIZE, Detected, quick, tiny

Patch = pytest.MonkeyPatch


def test_winners_inverted_in_half_of_the_files_are_named_by_file(
    archive: GameArchive, detected: Detected
) -> None:
    games = [archive.game(index) for index in range(len(archive))]
    half = [
        replace(game, source="b.trmph", winner=-game.winner) if index % 2 else game
        for index, game in enumerate(games)
    ]
    diagnosis = quick(build_archive(half), tiny())
    (finding,) = [f for f in diagnosis.errors if f.check == "labels"]
    assert "b.trmph: 300 of 300" in finding.evidence
    assert "other way round" in finding.cause
    detected("winners_inverted_in_half_of_the_files", diagnosis, finding)


def test_mirrored_copies_across_the_split_are_counted(
    archive: GameArchive, monkeypatch: Patch, detected: Detected
) -> None:
    games = [archive.game(index) for index in range(len(archive))]
    half_turn = symmetry_cells(SIZE)[1]
    mirrored = [
        replace(game, moves=tuple(int(half_turn[cell]) for cell in game.moves)) for game in games
    ]
    injections.copies_across_split(monkeypatch)
    both = build_archive([*games, *mirrored[5:]])  # shifted: copies leave their split's residue
    diagnosis = quick(both, tiny())
    errors = {finding.check: finding for finding in diagnosis.errors}
    assert "copies of one game fall on both sides" in errors["split"].cause
    assert any(f.check == "duplicates" and f.severity == "warning" for f in diagnosis.findings)
    detected("mirrored_duplicates_across_the_split", diagnosis, errors["split"])


def test_a_game_that_two_sources_judge_differently_is_named(
    archive: GameArchive, detected: Detected
) -> None:
    games = [archive.game(index) for index in range(len(archive))]
    resigned = replace(games[0], moves=games[0].moves[:5], finished=False, winner=RED)
    claimed = [resigned, replace(resigned, winner=-RED, line=9_000)]
    diagnosis = quick(build_archive([*games, *claimed]), tiny())
    (finding,) = [f for f in diagnosis.errors if f.check == "duplicates"]
    assert "different winners" in finding.evidence
    detected("one_game_with_two_winners", diagnosis, finding)


@pytest.mark.parametrize(
    ("label", "recoloured", "cause"),
    [
        ("file_written_column_major", False, "moves are read column-major"),
        ("file_with_first_mover_on_the_wrong_edges", True, "first mover is on the wrong edges"),
    ],
)
def test_boards_that_lie_on_their_side_are_told_apart_by_the_winners_names(
    label: str, recoloured: bool, cause: str, archive: GameArchive, detected: Detected
) -> None:
    flip = symmetry_cells(SIZE)[2]

    def laid(game: Game) -> Game:
        winner = -game.winner if recoloured else game.winner
        moves = tuple(int(flip[cell]) for cell in game.moves)
        return replace(game, moves=moves, winner=winner, finished=False)

    games = [laid(archive.game(index)) for index in range(len(archive))]
    diagnosis = quick(build_archive(games), tiny())
    (finding,) = [f for f in diagnosis.errors if f.check == "edges"]
    assert cause in finding.cause
    assert "600" in finding.evidence
    detected(label, diagnosis, finding)
