from __future__ import annotations

import numpy as np
import pytest

from hexsearch.analysis.predictor import Predictor
from hexsearch.game.board import BLUE, stones_after, winner
from hexsearch.play.game_batch import GameBatch
from hexsearch.play.game_loop import Start, play_games, winning_colour
from hexsearch.play.network_players import PolicyPlayer, PredictorEvaluation, ValuePlayer
from hexsearch.play.player import Player, RandomPlayer, ShortestPathPlayer
from hexsearch.play.spiel_player import SpielPlayer
from tests.data.games import random_games

# Blue holds b1, b2, b4, b5 and connects at b3 alone; Red's stones are elsewhere.
ONE_MOVE_SHORT = (1, 3, 6, 8, 16, 18, 21, 23)


def starts(count: int, size: int) -> list[Start]:
    return [
        Start((cell % size**2,), blue, (3, cell, blue)) for cell in range(count) for blue in (0, 1)
    ]


def wins_of_the_first(players: tuple[Player, Player], games: int, size: int = 5) -> int:
    played, _ = play_games(players, starts(games, size), size)
    return sum(game.winner == 0 for game in played)


def test_every_game_is_legal_and_ends_with_the_winner_that_replay_finds() -> None:
    played, paces = play_games((RandomPlayer(), ShortestPathPlayer()), starts(12, 5), 5)
    for start, game in zip(starts(12, 5), played, strict=True):
        assert game.moves[:1] == start.opening and game.blue == start.blue
        assert len(set(game.moves)) == len(game.moves)
        board = stones_after(list(game.moves), 5)
        assert winner(board) == winning_colour(game)
        assert winner(stones_after(list(game.moves[:-1]), 5)) == 0
    assert sum(pace.moves for pace in paces) == sum(len(game.moves) - 1 for game in played)
    assert all(pace.milliseconds > 0 for pace in paces)


def test_equal_seeds_give_equal_games() -> None:
    def once() -> list[tuple[int, ...]]:
        played, _ = play_games((RandomPlayer(), ShortestPathPlayer()), starts(8, 5), 5)
        return [game.moves for game in played]

    assert once() == once()


def test_shortest_path_beats_random_moves() -> None:
    assert wins_of_the_first((ShortestPathPlayer(), RandomPlayer()), 25) >= 45


def test_mcts_finds_the_only_move_that_connects_and_beats_random_moves() -> None:
    pytest.importorskip("pyspiel")
    player = SpielPlayer("mcts:200", 200)
    assert player.choose(GameBatch.of([ONE_MOVE_SHORT], 5), [(0,)]).tolist() == [11]
    assert wins_of_the_first((SpielPlayer("mcts:20", 20), RandomPlayer()), 10) >= 17


def test_mcts_is_shown_the_edges_that_we_mean() -> None:
    spiel = pytest.importorskip("pyspiel").load_game("hex(board_size=5)")
    for game in random_games(30, size=5):
        state = spiel.new_initial_state()
        for cell in game.moves:
            state.apply_action(cell)
        assert state.is_terminal()
        assert (state.returns()[0] > 0) == (game.winner == BLUE)


@pytest.mark.parametrize("candidates", [None, 3])
def test_the_value_player_takes_the_best_of_the_moves_that_it_looks_at(
    predictor: Predictor, candidates: int | None
) -> None:
    batch = GameBatch.of([game.moves[:6] for game in random_games(10, size=5)], 5)
    policy = predictor if candidates else None
    player = ValuePlayer("value", predictor, policy, candidates or 0)
    ask = PredictorEvaluation(predictor)
    for row, chosen in enumerate(player.choose(batch, [(0,)] * 10).tolist()):
        one = batch.take(np.array([row]))
        free = np.flatnonzero(one.stones[0] == 0)
        if candidates:
            order = np.argsort(-ask(one).policy[0], kind="stable")
            free = np.array([cell for cell in order if cell in free][:candidates])
        worth = {}
        for cell in free.tolist():
            after = one.after(np.array([0]), np.array([cell]))
            done = winner(after.stones[0].reshape(5, 5)) != 0
            worth[cell] = 1.0 if done else 1.0 - float(ask(after).win_prob[0])
        assert worth[chosen] == pytest.approx(max(worth.values()), abs=1e-6)


def test_a_connecting_move_is_worth_more_than_any_opinion(predictor: Predictor) -> None:
    batch = GameBatch.of([ONE_MOVE_SHORT], 5)
    assert ValuePlayer("value", predictor).choose(batch, [(0,)]).tolist() == [11]


def test_the_policy_player_plays_the_likeliest_free_cell(predictor: Predictor) -> None:
    batch = GameBatch.of([game.moves[:7] for game in random_games(10, size=5)], 5)
    chosen = PolicyPlayer("policy", predictor).choose(batch, [(0,)] * 10)
    policy = PredictorEvaluation(predictor)(batch).policy
    assert (batch.stones[np.arange(10), chosen] == 0).all()
    np.testing.assert_array_equal(policy[np.arange(10), chosen], policy.max(axis=1))


def test_a_strong_first_move_is_taken_over_and_counted_for_its_new_owner() -> None:
    class Judge(RandomPlayer):
        """Thinks that whoever does not move is ahead after a move in the middle."""

        def win_prob(self, batch: GameBatch) -> np.ndarray:  # type: ignore[override]
            return np.where(batch.moves[:, 0] == 12, 0.1, 0.9)

    games = [Start((12,), 0, (0,)), Start((0,), 0, (1,)), Start((12,), 1, (2,))]
    played, _ = play_games((Judge("a"), Judge("b")), games, 5, swap=True)
    assert [game.swapped for game in played] == [True, False, True]
    assert [game.blue for game in played] == [1, 0, 0]
    for game in played:
        assert winner(stones_after(list(game.moves), 5)) == winning_colour(game)
