"""The two baselines of the leaderboard."""

from __future__ import annotations

import numpy as np
import pytest

from hexsearch.data.archive import GameArchive, build_archive
from hexsearch.data.baselines import baseline_predictions, stones_at
from hexsearch.data.collection.importing import import_games
from hexsearch.data.positions import all_positions, position_set
from hexsearch.errors import GamesError
from hexsearch.game.board import RED, stones_after
from tests.data.games import SHARED_GAMES, random_games


@pytest.fixture(scope="module")
def archive() -> GameArchive:
    return build_archive(random_games(300, 7))


def test_the_prior_is_reds_share_of_the_training_positions(archive: GameArchive) -> None:
    train = np.arange(200)
    baselines = baseline_predictions(archive, train, all_positions(archive, np.arange(200, 300)))
    plies = archive.lengths[:200] + 1
    share = plies[archive.winners[:200] == RED].sum() / plies.sum()
    np.testing.assert_allclose(baselines["prior"], share)


def test_the_table_knows_every_finished_board_and_no_more_than_the_prior_at_the_start(
    archive: GameArchive,
) -> None:
    held_out = np.arange(200, 300)
    lengths = archive.lengths[held_out]
    red_won = archive.winners[held_out] == RED
    ends = position_set(held_out, lengths, lengths)
    table = baseline_predictions(archive, np.arange(200), ends)["shortest-path table"]
    np.testing.assert_array_equal(table > 0.5, red_won)
    zero = np.zeros_like(lengths)
    starts = baseline_predictions(archive, np.arange(200), position_set(held_out, zero, zero))
    assert np.ptp(starts["shortest-path table"]) == 0.0
    assert abs(starts["shortest-path table"][0] - starts["prior"][0]) < 0.1


def test_the_floors_are_the_same_twice_and_follow_the_order_of_the_positions(
    archive: GameArchive,
) -> None:
    train = np.arange(200)
    forward = baseline_predictions(archive, train, all_positions(archive, np.arange(200, 220)))
    again = baseline_predictions(archive, train, all_positions(archive, np.arange(200, 220)))
    tail = baseline_predictions(archive, train, all_positions(archive, np.arange(210, 220)))
    for name, values in forward.items():
        np.testing.assert_array_equal(values, again[name])
        np.testing.assert_array_equal(values[-len(tail[name]) :], tail[name])


def test_boards_are_those_of_replaying_the_moves(archive: GameArchive) -> None:
    games = np.array([0, 7, 7, 3])
    plies = np.array([0, 5, int(archive.lengths[7]), 1])
    for board, game, ply in zip(stones_at(archive, games, plies), games, plies, strict=True):
        moves = archive.game(int(game)).moves[: int(ply)]
        np.testing.assert_array_equal(board, stones_after(moves, 7))


def test_mixed_sizes_and_no_training_games_are_refused_with_a_reason(archive: GameArchive) -> None:
    positions = all_positions(archive, np.arange(3))
    with pytest.raises(GamesError, match="at least one training game"):
        baseline_predictions(archive, np.arange(0), positions)
    mixed = build_archive(random_games(5, 7) + random_games(5, 5))
    with pytest.raises(GamesError, match="5x5, 7x7"):
        baseline_predictions(mixed, np.arange(10), all_positions(mixed, np.arange(10)))


@pytest.mark.skipif(not SHARED_GAMES.exists(), reason="the shared games are not here")
def test_engine_games_are_decided_by_the_table_69_times_in_a_hundred() -> None:
    archive, _ = import_games([SHARED_GAMES / "wolve-13x13.trmph"], 13)
    held_out = all_positions(archive, np.arange(1, len(archive), 10))
    games, plies = held_out.at(np.arange(len(held_out)))
    table = baseline_predictions(archive, np.arange(0, len(archive), 2), held_out)
    red_won = archive.winners[games] == RED
    # Every game counts the same, as if plies were drawn uniformly from each.
    weights = 1 / (archive.lengths[games] + 1)
    win_prob = table["shortest-path table"]
    accuracy = np.average((win_prob > 0.5) == red_won, weights=weights)
    brier = np.average((win_prob - red_won) ** 2, weights=weights)
    assert accuracy == pytest.approx(0.69, abs=0.02)
    assert brier == pytest.approx(0.18, abs=0.01)
    assert plies.max() > 40
