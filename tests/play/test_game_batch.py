from __future__ import annotations

import numpy as np

from hexsearch.game.board import BLUE, RED, stones_after, winner
from hexsearch.play.game_batch import GameBatch, connected
from tests.data.games import random_games


def test_a_batch_shows_each_game_as_replay_does() -> None:
    games = [game.moves[:-1] for game in random_games(20, size=5)]
    batch = GameBatch.of(games, 5)
    for row, game in enumerate(games):
        np.testing.assert_array_equal(batch.stones[row].reshape(5, 5), stones_after(list(game), 5))
        assert batch.game(row) == game
        assert bool(batch.red_to_move[row]) == (len(game) % 2 == 1)


def test_connections_are_found_for_both_colours_and_only_where_they_are() -> None:
    games = random_games(60, size=5)
    for cut in (0, 1):
        boards = np.stack(
            [stones_after(list(game.moves[: len(game.moves) - cut]), 5) for game in games]
        )
        for colour in (BLUE, RED):
            found = connected(boards.reshape(60, 25), np.full(60, colour, dtype=np.int8), 5)
            assert found.tolist() == [winner(board) == colour for board in boards]


def test_one_more_move_leaves_the_games_it_comes_from_alone() -> None:
    batch = GameBatch.of([(3,), (4, 5)], 3)
    after = batch.after(np.array([1, 1, 0]), np.array([0, 1, 2]))
    assert [after.game(row) for row in range(3)] == [(4, 5, 0), (4, 5, 1), (3, 2)]
    assert batch.game(1) == (4, 5)
