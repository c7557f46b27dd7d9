from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from hexsearch.statistics.intervals import (
    GameTable,
    bootstrap_interval,
    bootstrap_means,
    game_table,
    game_variance,
    holm,
    interval,
    p_values,
)
from hexsearch.training.metrics import GameLosses


def losses(per_game: np.ndarray, games: np.ndarray | None = None, each: int = 10) -> GameLosses:
    count = len(per_game)
    sums = np.zeros((count, 3), dtype=np.float32)
    sums[:, 1] = per_game * each
    counts = np.zeros((count, 3), dtype=np.int32)
    counts[:, 1] = each
    return GameLosses(np.arange(count) if games is None else games, sums, counts)


def difference(ours: GameLosses, theirs: GameLosses) -> tuple[float, float]:
    table = game_table([ours, theirs])
    assert table is not None
    gap = table.means[0] - table.means[1]
    return float(gap), float(game_variance(table.influence[0] - table.influence[1]))


def test_a_constant_lead_is_known_exactly() -> None:
    base = np.random.default_rng(0).random(50)
    gap, variance = difference(losses(base - 0.01), losses(base))
    assert gap == pytest.approx(-0.01, abs=1e-6)
    assert variance == pytest.approx(0.0, abs=1e-12)


def test_with_games_of_equal_length_it_is_the_paired_t_test() -> None:
    rng = np.random.default_rng(1)
    ours, theirs = rng.random(40), rng.random(40)
    gap, variance = difference(losses(ours), losses(theirs))
    expected = stats.ttest_rel(ours, theirs)
    p = p_values(np.array([gap]), np.array([variance]), np.array([39.0]))
    assert p[0] == pytest.approx(expected.pvalue, rel=1e-4)
    low, high = interval(gap, variance, 39.0)
    assert (float(low), float(high)) == pytest.approx(tuple(expected.confidence_interval()), 1e-3)


def test_only_games_that_both_have_are_compared() -> None:
    ours = losses(np.array([0.1, 0.2, 0.3]), games=np.array([1, 2, 3]))
    theirs = losses(np.array([0.9, 0.2, 0.3]), games=np.array([2, 3, 7]))
    table = game_table([ours, theirs])
    assert table is not None
    np.testing.assert_allclose(table.means, [0.25, 0.55], rtol=1e-6)
    assert game_table([ours, losses(np.ones(2), games=np.array([8, 9]))]) is None
    assert game_table([]) is None


def test_a_stage_counts_its_own_positions_and_games_only() -> None:
    sums = np.array([[1.0, 2.0, 0.0], [3.0, 1.0, 0.5], [1.0, 0.0, 0.5]], dtype=np.float32)
    counts = np.array([[4, 4, 0], [4, 4, 1], [4, 0, 1]], dtype=np.int32)
    table = game_table([GameLosses(np.arange(3), sums, counts)], "late")
    assert table is not None
    assert table.means[0] == pytest.approx(0.5)
    assert len(table.counts) == 2


def test_runs_that_saw_different_positions_of_a_game_are_not_compared() -> None:
    with pytest.raises(ValueError, match="different positions"):
        game_table([losses(np.ones(3), each=10), losses(np.ones(3), each=11)])


def test_the_bootstrap_over_games_agrees_with_linearisation() -> None:
    rng = np.random.default_rng(2)
    lengths = rng.integers(5, 60, 300).astype(float)
    sums = np.stack([lengths * rng.gamma(2.0, 0.1, 300) for _ in range(2)])
    table = GameTable(sums, lengths)
    draws = bootstrap_means(table, np.random.default_rng(3), draws=4000)
    np.testing.assert_allclose(draws.var(axis=0), game_variance(table.influence), rtol=0.1)
    low, high = bootstrap_interval(draws)
    expected = interval(table.means, game_variance(table.influence), 299.0)
    np.testing.assert_allclose([low, high], expected, atol=0.15 * float((high - low).max()))


def test_the_bootstrap_is_a_function_of_its_generator() -> None:
    table = GameTable(np.random.default_rng(0).random((2, 30)), np.ones(30))
    again = [bootstrap_means(table, np.random.default_rng(5), 50) for _ in range(2)]
    np.testing.assert_array_equal(again[0], again[1])


def test_bootstrap_intervals_cover_the_truth() -> None:
    rng = np.random.default_rng(4)
    covered = 0
    for _ in range(400):
        shared = rng.normal(0.2, 0.1, 150)  # hard games are hard for both
        runs = shared + np.array([[0.002], [0.0]]) + rng.normal(0.0, 0.02, (2, 150))
        draws = bootstrap_means(GameTable(runs, np.ones(150)), rng, 500)
        low, high = bootstrap_interval(draws[:, 0] - draws[:, 1])
        covered += bool(low <= 0.002 <= high)
    assert 0.92 <= covered / 400 <= 0.98


def test_holm_is_the_published_example() -> None:
    # Holm 1979 as worked out by Aickin & Gensler, 1996: five tests.
    p = np.array([0.01, 0.015, 0.02, 0.04, 0.5])
    np.testing.assert_allclose(holm(p), [0.05, 0.06, 0.06, 0.08, 0.5])


@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=20))
def test_holm_keeps_order_never_lowers_and_stays_below_bonferroni(values: list[float]) -> None:
    p = np.array(values)
    adjusted = holm(p)
    assert (adjusted >= p).all() and (adjusted <= np.minimum(1.0, p * len(p))).all()
    order = np.argsort(p, kind="stable")
    assert (np.diff(adjusted[order]) >= 0).all()


def test_holm_rarely_finds_what_is_not_there() -> None:
    rng = np.random.default_rng(6)
    false = sum((holm(rng.random(10)) < 0.05).any() for _ in range(4000))
    assert 0.035 <= false / 4000 <= 0.06


def test_no_difference_is_no_finding_even_without_any_spread() -> None:
    p = p_values(np.array([0.0, 0.1]), np.zeros(2), np.full(2, math.inf))
    assert p.tolist() == [1.0, 0.0]
