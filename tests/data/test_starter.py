from __future__ import annotations

import gzip

import pytest

from hexsearch.data.collection.importing import STARTER_GAMES, import_games, starter_files
from hexsearch.data.split import split_games
from hexsearch.play.mcts_games import SelfplayConfig, play_game


def test_the_starter_games_are_many_clean_and_all_different() -> None:
    archive, report = import_games([STARTER_GAMES], 13)
    assert report.read >= 4_000
    assert report.refused == []
    assert len(set(archive.hashes.tolist())) == len(archive)
    assert bool(archive.finished.all())
    assert len(split_games(archive, "validation", 0.1, 0.1, "hexsearch")) > 300


def test_the_starter_file_is_small_and_says_how_it_was_made() -> None:
    (path,) = starter_files()
    assert path.stat().st_size < 2_000_000
    with gzip.open(path, "rt") as file:
        assert next(file).startswith("# hexsearch games generate --size 13 --playouts 400")


def test_the_starter_games_can_be_made_again() -> None:
    pytest.importorskip("pyspiel")
    archive, _ = import_games([STARTER_GAMES], 13)
    again = play_game(SelfplayConfig(seed=20261122), 17)
    assert again.moves == archive.game(17).moves
    assert again.winner == archive.game(17).winner
