"""Differences between two networks, paired by game."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hexsearch.analysis.bootstrap import metric_intervals
from hexsearch.analysis.comparison import differences
from hexsearch.training.metrics import Evaluation

GAMES, PLIES = 200, 10


def evaluation(seed: int = 0) -> Evaluation:
    """Answers that are near the results of some games and far from those of others."""
    rng = np.random.default_rng(seed)
    game = np.repeat(np.arange(GAMES), PLIES)
    won = np.repeat(rng.integers(0, 2, GAMES), PLIES).astype(float)
    gap = np.repeat(rng.uniform(0.1, 0.6, GAMES), PLIES)
    ply = np.tile(np.arange(PLIES), GAMES)
    return Evaluation(
        win_prob_red=np.abs(won - gap),
        red_won=won,
        stage=(ply >= 5).astype(np.int8),
        to_end=PLIES - 1 - ply,
        final=ply == PLIES - 1,
        game=game,
        ply=ply,
    )


def test_a_constant_improvement_is_found_although_games_differ_much() -> None:
    other = evaluation()
    better = replace(other, win_prob_red=other.win_prob_red + 0.02 * np.sign(other.red_won - 0.5))
    found = differences(better, other, np.random.default_rng(0))["overall"]["all"]
    assert found.low < found.difference < found.high < 0
    unpaired = metric_intervals(other, np.random.default_rng(0))["overall"]["all"]["value_loss"]
    assert found.high - found.low < 0.2 * (unpaired[1] - unpaired[0])


def test_intervals_hold_a_difference_that_games_decide() -> None:
    """Two networks that are equally good on average, each better on half of the games."""
    holds = 0
    for seed in range(100):
        first, rng = evaluation(seed), np.random.default_rng(1000 + seed)
        sign = np.repeat(rng.choice([-0.05, 0.05], GAMES), PLIES)
        # On average over signs, the error grows by 0.05 squared.
        other = replace(first, win_prob_red=first.win_prob_red + sign)
        found = differences(first, other, rng)["overall"]["all"]
        holds += found.low <= -(0.05**2) <= found.high
    assert 88 <= holds <= 100


def test_slices_are_compared_by_themselves() -> None:
    other = evaluation()
    late = np.where(other.stage == 1, 0.05, 0.0) * np.sign(other.red_won - 0.5)
    found = differences(
        replace(other, win_prob_red=other.win_prob_red + late), other, np.random.default_rng(0)
    )
    assert found["stages"]["early"].difference == 0
    assert found["stages"]["middle"].high < 0


def test_other_positions_are_refused() -> None:
    first = evaluation()
    with pytest.raises(ValueError, match="same positions"):
        differences(first, replace(first, ply=first.ply + 1), np.random.default_rng(0))
