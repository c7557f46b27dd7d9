"""Faults of the games are named: winners, edges, copies."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from hexsearch.data.archive import GameArchive, build_archive
from hexsearch.game.board import RED
from hexsearch.game.record import Game
from hexsearch.game.symmetry import symmetry_cells
from tests.doctor.conftest import SIZE, Detected, doctor, findings, quick, tiny
from tests.doctor.injections_of_data import copies_across_split

Patch = pytest.MonkeyPatch
Printed = pytest.CaptureFixture[str]


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
    copies_across_split(monkeypatch)
    # Shifted, so that copies are in another part of the split.
    both = build_archive([*games, *mirrored[5:]])
    diagnosis = quick(both, tiny())
    errors = {finding.check: finding for finding in diagnosis.errors}
    assert "copies of one game are in two parts" in errors["split"].cause
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
def test_two_kinds_of_transposed_boards_are_distinguished_by_the_named_winners(
    label: str, recoloured: bool, cause: str, archive: GameArchive, detected: Detected
) -> None:
    flip = symmetry_cells(SIZE)[2]

    def transposed(game: Game) -> Game:
        winner = -game.winner if recoloured else game.winner
        moves = tuple(int(flip[cell]) for cell in game.moves)
        return replace(game, moves=moves, winner=winner, finished=False)

    games = [transposed(archive.game(index)) for index in range(len(archive))]
    diagnosis = quick(build_archive(games), tiny())
    (finding,) = [f for f in diagnosis.errors if f.check == "edges"]
    assert cause in finding.cause
    assert "600" in finding.evidence
    detected(label, diagnosis, finding)


@pytest.mark.parametrize(
    ("label", "names", "cause"),
    [
        ("column_major_file", {1: "r", -1: "b"}, "moves are read column-major"),
        ("file_in_which_red_moves_first", {1: "b", -1: "r"}, "first mover is on the wrong edges"),
    ],
)
def test_transposed_files_are_corrected_by_the_import_and_named(
    label: str,
    names: dict[int, str],
    cause: str,
    archive: GameArchive,
    tmp_path: Path,
    capsys: Printed,
    detected: Detected,
) -> None:
    path = tmp_path / "transposed.trmph"
    lines = []
    for index in range(50):
        game = archive.game(index)
        moves = [f"{chr(97 + cell // SIZE)}{cell % SIZE + 1}" for cell in game.moves]
        lines.append(f"#{SIZE},{''.join(moves)} {names[game.winner]}")
    path.write_text("\n".join(lines) + "\n")
    status, out = doctor(capsys, "--games", path, "--size", SIZE, "--quick")
    assert status == 0  # the import has corrected it
    finding = findings(out, "warning")["edges"]
    assert cause in finding.cause
    assert "50 of 50 finished games" in finding.evidence
    detected(label, out, finding)


def test_winners_written_the_other_way_round_are_named(
    archive: GameArchive, tmp_path: Path, capsys: Printed, detected: Detected
) -> None:
    path = tmp_path / "inverted.trmph"
    names = {1: "b", -1: "r"}  # which is wrong
    lines = []
    for index in range(60):
        game = archive.game(index)
        moves = "".join(f"{chr(97 + cell % SIZE)}{cell // SIZE + 1}" for cell in game.moves)
        right = {1: "r", -1: "b"}[game.winner]
        lines.append(f"#{SIZE},{moves} {names[game.winner] if index % 2 else right}")
    path.write_text("\n".join(lines) + "\n")
    status, out = doctor(capsys, "--games", path, "--size", SIZE, "--quick")
    assert status == 1
    assert "other way round" in findings(out)["labels"].cause
    detected("winners_written_the_other_way_round", out, findings(out)["labels"])
