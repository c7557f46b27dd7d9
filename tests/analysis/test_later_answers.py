"""Search values from a network's answers at later positions."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hexsearch.analysis.later_answers import annotated, lambda_returns
from hexsearch.analysis.loading import load_network
from hexsearch.data.archive import GameArchive, build_archive
from hexsearch.data.collection.importing import import_games
from hexsearch.errors import GamesError
from hexsearch.game.search_values import UNKNOWN
from tests.cli.files.test_games_commands import run


def test_values_are_means_of_later_answers_and_the_result() -> None:
    answers = np.array([0.1, 0.2, 0.6, 0.9])  # a game of three moves
    assert lambda_returns(answers, 1.0, 1.0).tolist() == [1.0, 1.0, 1.0]
    assert lambda_returns(answers, 1.0, 0.0).tolist() == [0.2, 0.6, 1.0]
    half = lambda_returns(answers, 1.0, 0.5)
    assert half == pytest.approx([0.5 * 0.2 + 0.25 * 0.6 + 0.25, 0.5 * 0.6 + 0.5, 1.0])


def test_values_are_those_of_the_network_at_the_next_ply(
    archive: GameArchive, checkpoint: Path
) -> None:
    predictor = load_network(checkpoint).predictor
    found = annotated(archive, predictor, 0.0)
    assert (found.moves == archive.moves).all() and (found.winners == archive.winners).all()
    game, plies = np.zeros(4, dtype=np.int64), np.arange(4, dtype=np.int64)
    values = found.search_values_of(game, plies)
    from hexsearch.analysis.boards import positions_of_moves

    moves = [list(archive.game(0).moves[: ply + 1]) for ply in plies]
    answers = predictor.answer(positions_of_moves(moves, int(archive.sizes[0]))).win_prob_red
    assert values == pytest.approx(answers, abs=0.0051)  # whole percents


def test_a_file_with_values_is_written_read_and_not_replaced(
    games_file: Path, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "taught.trmph"
    given = ("annotate", games_file, "--network", checkpoint, "--output", output)
    assert run(*given) == 0
    assert "games with values written to" in capsys.readouterr().err
    archive, report = import_games([str(output)], 5)
    assert not report.refused and archive.search_values is not None
    assert len(archive) == len(import_games([str(games_file)], 5)[0])
    with pytest.raises(GamesError, match="exists already"):
        run(*given)
    with pytest.raises(GamesError, match=r"end the name in \.trmph, \.trmph\.gz or \.games"):
        run(*given[:-1], tmp_path / "taught.sgf")
    assert not (tmp_path / "taught.sgf").exists()


def test_set_up_stones_have_no_values_and_shift_none(
    archive: GameArchive, checkpoint: Path
) -> None:
    first, second = archive.game(0), archive.game(1)
    given = build_archive([replace(first, setup=2), second])
    predictor = load_network(checkpoint).predictor
    found = annotated(given, predictor, 0.5)
    alone = annotated(build_archive([first, second]), predictor, 0.5)
    assert found.search_values is not None and alone.search_values is not None
    assert len(found.search_values) == len(found.moves)
    assert (found.search_values[:2] == UNKNOWN).all()
    assert (found.search_values[2:] == alone.search_values[2:]).all()
