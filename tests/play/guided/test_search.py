"""The tree search, compared with rules and with searches that are written out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from hexsearch.analysis.predictor import Predictor
from hexsearch.play.game_batch import GameBatch
from hexsearch.play.guided.halving import visit_schedule
from hexsearch.play.guided.search import SearchSettings, search
from hexsearch.play.guided.tree import Evaluation
from hexsearch.play.network_players import PredictorEvaluation, SearchPlayer
from tests.data.games import random_games


def know_nothing(batch: GameBatch) -> Evaluation:
    """Equal policy on all cells, and even chances."""
    shape = (len(batch), batch.size**2)
    return Evaluation(
        np.full(shape, 1.0 / shape[1], dtype=np.float32), np.full(len(batch), 0.5, dtype=np.float32)
    )


def run(games: list[tuple[int, ...]], size: int, **settings: object) -> np.ndarray:
    batch = GameBatch.of(games, size)
    noise = np.zeros((len(batch), size**2), dtype=np.float32)
    return search(batch, know_nothing, SearchSettings(**settings), noise).cells  # type: ignore[arg-type]


def test_halving_visits_as_the_published_table_says() -> None:
    # Written out by hand from the rule: 16 moves over 4 rounds of 16 visits.
    rounds = [0] * 16 + [1] * 8 + [2] * 8 + [3] * 4 + [4] * 4 + [5] * 4 + [6] * 4
    rounds += [count for visits in range(7, 15) for count in [visits] * 2]
    assert visit_schedule(16, 64) == tuple(rounds)
    assert visit_schedule(1, 3) == (0, 1, 2)


@pytest.mark.parametrize("considered", [2, 3, 5, 16])
@pytest.mark.parametrize("simulations", [1, 7, 64, 255])
def test_a_schedule_can_be_followed(considered: int, simulations: int) -> None:
    visits = [0] * considered
    for wanted in visit_schedule(considered, simulations):
        visits[visits.index(wanted)] += 1
    assert sum(visits) == simulations


def test_a_winning_move_is_found_without_a_network() -> None:
    # 3x3: Blue holds b1 and b2 and needs b3 or a3; Red threatens nothing that is faster.
    assert run([(1, 0, 4, 2)], 3, nodes=32)[0] in (6, 7)


def test_a_threat_is_answered_without_a_network() -> None:
    # Red to move; Blue holds b1, b2 and connects at b3 or a3, where Red holds a3 already.
    assert run([(1, 6, 4)], 3, nodes=400)[0] == 7


def test_values_are_those_of_the_side_to_move() -> None:
    batch = GameBatch.of([(1, 0, 4, 2), (1, 6, 4)], 3)
    noise = np.zeros((2, 9), dtype=np.float32)
    result = search(batch, know_nothing, SearchSettings(nodes=128), noise)
    assert result.win_prob[0] == 1.0
    assert result.visits.sum(axis=1).tolist() == [127, 127]


def test_every_game_is_searched_as_if_it_were_alone(predictor: Predictor) -> None:
    games = [game.moves[: 3 + number % 5] for number, game in enumerate(random_games(12, size=5))]
    player = SearchPlayer("search", predictor, SearchSettings(nodes=24), 1.0, 25)
    seeds = [(7, number) for number in range(12)]
    together = player.search(GameBatch.of(games, 5), seeds)
    for row, game in enumerate(games):
        alone = player.search(GameBatch.of([game], 5), [seeds[row]])
        assert alone.cells[0] == together.cells[row]
        np.testing.assert_array_equal(alone.visits[0], together.visits[row])


def test_equal_seeds_give_equal_moves_and_others_do_not(predictor: Predictor) -> None:
    batch = GameBatch.of([()] * 16, 5)
    player = SearchPlayer("search", predictor, SearchSettings(nodes=8), 1.0, 25)

    def moves(seed: int) -> list[int]:
        cells: list[int] = player.choose(batch, [(seed, number) for number in range(16)]).tolist()
        return cells

    assert moves(1) == moves(1)
    assert moves(1) != moves(2)
    still = SearchPlayer("search", predictor, SearchSettings(nodes=8))
    assert len(set(still.choose(batch, [(0, number) for number in range(16)]).tolist())) == 1


def test_a_number_of_evaluations_is_kept_to(predictor: Predictor) -> None:
    asked = []

    def count(batch: GameBatch) -> Evaluation:
        asked.append(len(batch))
        return PredictorEvaluation(predictor)(batch)

    batch = GameBatch.of([(12,), (7, 3)], 5)
    noise = np.zeros((2, 25), dtype=np.float32)
    assert search(batch, count, SearchSettings(nodes=20), noise).evaluations == 20
    assert len(asked) <= 20 and sum(asked) <= 40
    assert search(batch, count, SearchSettings(nodes=1), noise).evaluations == 1


def test_a_search_by_time_ends_and_moves(predictor: Predictor) -> None:
    player = SearchPlayer("search", predictor, SearchSettings(milliseconds=30.0))
    batch = GameBatch.of([(12,)], 5)
    result = player.search(batch, [(0,)])
    assert 1 <= result.evaluations < 4096
    assert batch.stones[0, result.cells[0]] == 0
    assert player.search(batch, [(0,)], milliseconds=0.001).evaluations == 1


def test_a_principal_variation_is_a_legal_line(predictor: Predictor) -> None:
    player = SearchPlayer("search", predictor, SearchSettings(nodes=64))
    result = player.search(GameBatch.of([(12,)], 5), [(0,)])
    line = result.trees.principal_variation(0, int(result.cells[0]))
    assert line[0] == result.cells[0]
    assert len({12, *line}) == len(line) + 1
