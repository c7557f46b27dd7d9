from __future__ import annotations

import math

import numpy as np
import pytest

from hexsearch.reporting.statistics import (
    DEFAULT_SEED_SD,
    interval,
    paired_difference,
    seed_deviation,
)
from hexsearch.training.metrics import GameLosses


def losses(per_game: np.ndarray, games: np.ndarray | None = None, each: int = 10) -> GameLosses:
    count = len(per_game)
    sums = np.zeros((count, 3), dtype=np.float32)
    sums[:, 1] = per_game * each
    counts = np.zeros((count, 3), dtype=np.int32)
    counts[:, 1] = each
    return GameLosses(np.arange(count) if games is None else games, sums, counts)


def test_a_constant_lead_is_known_exactly() -> None:
    base = np.random.default_rng(0).random(50)
    difference, error = paired_difference(losses(base - 0.01), losses(base))
    assert difference == pytest.approx(-0.01, abs=1e-6)
    assert error == pytest.approx(0.0, abs=1e-6)


def test_with_games_of_equal_length_it_is_the_paired_standard_error() -> None:
    rng = np.random.default_rng(1)
    ours, theirs = rng.random(40), rng.random(40)
    difference, error = paired_difference(losses(ours), losses(theirs))
    assert difference == pytest.approx((ours - theirs).mean(), abs=1e-6)
    assert error == pytest.approx((ours - theirs).std(ddof=1) / math.sqrt(40), rel=1e-4)


def test_only_games_that_both_have_are_compared() -> None:
    ours = losses(np.array([0.1, 0.2, 0.3]), games=np.array([1, 2, 3]))
    theirs = losses(np.array([0.9, 0.2, 0.3]), games=np.array([7, 2, 3]))
    assert paired_difference(ours, theirs)[0] == 0.0
    assert math.isnan(paired_difference(ours, losses(np.ones(2), games=np.array([8, 9])))[0])


def test_intervals_of_paired_differences_cover_the_truth() -> None:
    rng = np.random.default_rng(2)
    covered = 0
    for _ in range(400):
        shared = rng.normal(0.2, 0.1, 100)  # hard games are hard for both
        ours = shared + rng.normal(0.002, 0.02, 100)
        theirs = shared + rng.normal(0.0, 0.02, 100)
        low, high = interval(*paired_difference(losses(ours), losses(theirs)))
        covered += low <= 0.002 <= high
    assert 0.92 <= covered / 400 <= 0.98


def test_the_spread_between_seeds_is_pooled_over_variants() -> None:
    assert seed_deviation([[0.1], [0.2]]) == DEFAULT_SEED_SD
    assert seed_deviation([[0.1, 0.3], [0.5]]) == pytest.approx(math.sqrt(0.02))
    assert seed_deviation([[0.1, 0.3], [0.0, 0.0]]) == pytest.approx(0.1)
