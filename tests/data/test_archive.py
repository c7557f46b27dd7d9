"""The archive file returns the same games from a memory map, and is refused if damaged."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hexsearch.data.archive import build_archive, open_archive, write_archive
from hexsearch.data.archive_header import is_archive
from hexsearch.data.split import SplitName, split_games
from hexsearch.errors import ArchiveError
from hexsearch.game.board import stones_after, winner
from hexsearch.game.record import Game
from hexsearch.game.symmetry import SWAPS_COLOURS, SYMMETRIES, symmetry_cells, transform_stones
from tests.data.games import random_game, random_games

SPLITS: tuple[SplitName, ...] = ("train", "validation", "test")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "a.games"
    write_archive(file, build_archive(random_games(20, 7) + random_games(3, 19)))
    return file


def test_what_is_written_is_read_back(path: Path) -> None:
    games = random_games(20, 7) + random_games(3, 19)
    archive = open_archive(path)
    assert is_archive(path)
    assert [archive.game(index) for index in range(len(archive))] == games
    assert archive.content_hash == build_archive(games).content_hash
    assert not list(path.parent.glob(".*partial"))


def test_set_up_stones_survive(tmp_path: Path) -> None:
    game = random_games(1, 5)[0]
    whole = Game(5, game.moves, game.winner, True, "a", 1, setup=4)
    write_archive(tmp_path / "a", build_archive([whole]))
    assert open_archive(tmp_path / "a").game(0) == whole
    assert build_archive([whole]).content_hash != build_archive([game]).content_hash


def test_search_values_survive_and_belong_to_the_content(tmp_path: Path) -> None:
    plain, other = random_games(2, 5)
    valued = replace(plain, search_values=bytes([255, 40, *range(len(plain.moves) - 2)]))
    archive = build_archive([other, valued])
    write_archive(tmp_path / "a", archive)
    stored = open_archive(tmp_path / "a")
    assert [stored.game(0), stored.game(1)] == [other, valued]
    assert archive.content_hash != build_archive([other, plain]).content_hash
    games, plies = np.array([1, 1, 1, 0]), np.array([0, 1, len(plain.moves), 1])
    asked = stored.search_values_of(games, plies)
    assert asked[1] == np.float32(0.4) and np.isnan(asked[[0, 2, 3]]).all()


def test_equal_games_are_equal_archives_wherever_they_came_from() -> None:
    games = random_games(5, 7)
    moved = [Game(g.size, g.moves, g.winner, g.finished, "elsewhere", 99) for g in games]
    assert build_archive(games).content_hash == build_archive(moved).content_hash
    assert build_archive(games[::-1]).content_hash != build_archive(games).content_hash


def test_the_map_is_read_only_and_shared(path: Path) -> None:
    archive = open_archive(path)
    with pytest.raises(ValueError, match="read-only"):
        archive.moves[0] = 1
    assert archive.moves.base is not None


@pytest.mark.parametrize("keep", [0, 3, 8, 20, 100, 0.5, 0.999])
def test_a_truncated_archive_is_refused(path: Path, keep: float) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: int(keep if keep > 1 or keep == 0 else keep * len(data))])
    with pytest.raises(ArchiveError):
        open_archive(path)


def test_another_version_is_refused_by_number(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[8] = 77
    path.write_bytes(data)
    with pytest.raises(ArchiveError, match="version 77"):
        open_archive(path)


@given(where=st.floats(0, 1, exclude_max=True), value=st.integers(1, 255))
@settings(max_examples=150)
def test_any_changed_byte_is_noticed(
    tmp_path_factory: pytest.TempPathFactory, where: float, value: int
) -> None:
    file = tmp_path_factory.mktemp("archive") / "a.games"
    games = random_games(4, 5)
    write_archive(file, build_archive(games))
    data = bytearray(file.read_bytes())
    data[int(where * len(data))] ^= value
    file.write_bytes(data)
    try:
        archive = open_archive(file)
    except ArchiveError:
        return
    # Only padding, or a name of a source, may change unseen.
    for index, game in enumerate(games):
        read = archive.game(index)
        assert (read.moves, read.winner, read.size) == (game.moves, game.winner, game.size)


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match="no such archive"):
        open_archive(tmp_path / "nothing")
    with pytest.raises(ArchiveError, match="cannot be mapped"):
        open_archive(tmp_path)


@given(size=st.integers(3, 19), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=40)
def test_symmetric_copies_share_hash_split_and_winner(size: int, seed: int) -> None:
    game = random_game(size, np.random.default_rng(seed))
    copies = []
    for symmetry in SYMMETRIES:
        cells = symmetry_cells(size)[symmetry]
        moves = tuple(int(cells[cell]) for cell in game.moves)
        copies.append(Game(size, moves, game.winner, True, "copy", symmetry + 1))
        won = winner(transform_stones(stones_after(game.moves, size), symmetry))
        assert won == (-game.winner if SWAPS_COLOURS[symmetry] else game.winner)
    archive = build_archive(copies)
    assert len(set(archive.hashes.tolist())) == 1
    sides = [name for name in SPLITS if len(split_games(archive, name, 0.3, 0.3, str(seed)))]
    assert len(sides) == 1


def test_splits_are_disjoint_complete_near_their_shares_and_stable_when_games_are_added() -> None:
    games = random_games(3000, 5, seed=2)
    archive, fewer = build_archive(games), build_archive(games[:1000])
    parts = {name: split_games(archive, name, 0.2, 0.1, "s") for name in SPLITS}
    joined = np.concatenate(list(parts.values()))
    assert sorted(joined.tolist()) == list(range(3000))
    assert len(parts["validation"]) / 3000 == pytest.approx(0.2, abs=0.03)
    assert len(parts["test"]) / 3000 == pytest.approx(0.1, abs=0.03)
    for name, part in parts.items():
        before = split_games(fewer, name, 0.2, 0.1, "s")
        assert before.tolist() == part[part < 1000].tolist()
    other = split_games(archive, "test", 0.2, 0.1, "another salt")
    assert len(set(other.tolist()) & set(parts["test"].tolist())) < len(other) // 2


def test_a_pipe_in_place_of_an_archive_is_refused_at_once(tmp_path: Path) -> None:
    pipe = tmp_path / "games.archive"
    os.mkfifo(pipe)
    with pytest.raises(ArchiveError, match="is not a file"):
        open_archive(pipe)
