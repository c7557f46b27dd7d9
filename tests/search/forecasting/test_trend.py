"""What a change foretells: curves whose ends are known."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from hexsearch.search.forecasting.trend import Trend, TrendRecord

LEVELS = (64, 192, 576, 1728)


def recorded(curves: np.ndarray, levels: tuple[int, ...] = LEVELS, up_to: int = 3) -> TrendRecord:
    """Curves [n, levels], told rung by rung as far as the first `up_to` of them."""
    record = TrendRecord(levels)
    for curve in curves.tolist():
        for count in range(1, up_to + 1):
            record.add(curve[:count])
    return record


def power_laws(exponent: float, levels: tuple[int, ...] = LEVELS, count: int = 12) -> np.ndarray:
    rng = np.random.default_rng(0)
    ends, heights = 0.15 + 0.02 * rng.random((count, 1)), 0.2 + rng.random((count, 1))
    return ends + heights * (np.array(levels) / 64.0) ** -exponent


@pytest.mark.parametrize("exponent", [0.2, 0.7])
def test_power_laws_are_continued_to_their_exact_end(exponent: float) -> None:
    curves = power_laws(exponent)
    trend = recorded(curves).trend
    assert trend.slope == pytest.approx(3.0**-exponent, rel=1e-6)
    assert trend.ahead(curves[:, :3]) == pytest.approx(curves[:, 3], abs=1e-8)
    assert trend.ahead(curves[:, :2]) == pytest.approx(curves[:, 3], abs=1e-8)


def test_a_last_step_that_is_shorter_brings_less() -> None:
    levels = (64, 192, 576, 700)
    curves = power_laws(0.3, levels)
    trend = recorded(curves, levels).trend
    assert trend.ahead(curves[:, :3]) == pytest.approx(curves[:, 3], abs=4e-3)
    whole = recorded(power_laws(0.3)).trend.ahead(curves[:, :3])
    assert np.all(whole < trend.ahead(curves[:, :3]) - 0.02)


def test_where_curves_cross_the_expected_order_is_that_of_the_ends() -> None:
    rng = np.random.default_rng(1)
    heights = 0.02 + 0.1 * rng.random((12, 1))
    curves = 0.3 - heights * np.log(np.array(LEVELS) / 400.0) ** 3 / 10
    order = np.argsort(curves[:, 3])
    assert np.argsort(curves[:, 0]).tolist() == order[::-1].tolist()
    trend = recorded(curves).trend
    assert np.argsort(trend.ahead(curves[:, :3])).tolist() == order.tolist()


def test_noise_is_not_continued() -> None:
    rng = np.random.default_rng(2)
    slopes = []
    for _ in range(50):
        curves = 0.2 + 0.02 * rng.random((12, 1)) + 0.002 * rng.normal(size=(12, 4))
        slopes.append(recorded(curves).trend.slope)
    assert sum(slope > 0.0 for slope in slopes) <= 2


def test_a_slope_is_no_steeper_than_that_of_a_line() -> None:
    heights = np.arange(1.0, 13.0)[:, None]
    curves = 0.3 - heights * (np.array(LEVELS) / 17280.0) ** 2
    assert recorded(curves).trend.slope == pytest.approx(3.0)


@pytest.mark.parametrize("count", [0, 1, 3])
def test_few_trials_have_no_slope(count: int) -> None:
    record = recorded(power_laws(0.3)[:count])
    assert record.trend.slope == 0.0 and record.version == 0


def test_equal_changes_have_no_slope() -> None:
    curves = 0.1 * np.arange(12.0)[:, None] + 1.0 / np.array(LEVELS)
    assert recorded(curves).trend.slope == 0.0


def test_two_rungs_say_nothing() -> None:
    assert recorded(power_laws(0.3), up_to=2).trend.slope == 0.0


def test_the_first_rung_and_the_end_stand_for_themselves() -> None:
    trend = Trend((1.0, 1.0, 1.0), slope=2.0)
    losses = np.array([[0.3, 0.25, 0.24, 0.2]])
    assert trend.ahead(losses[:, :1]).tolist() == [0.3]
    assert trend.ahead(losses).tolist() == [0.2]
    assert trend.multiple(0) == trend.multiple(3) == 0.0
    assert trend.multiple(1) == pytest.approx(2.0 + 4.0)


def test_the_version_grows_with_the_slope_only() -> None:
    record, curves = TrendRecord(LEVELS), power_laws(0.3)
    seen = [(record.version, record.trend.slope)]
    for curve in curves.tolist():
        record.add(curve[:3])
        seen.append((record.version, record.trend.slope))
    assert seen[3] == (0, 0.0) and seen[4][0] == 1
    for (version, slope), (next_version, next_slope) in pairwise(seen):
        assert next_version - version == (next_slope != slope)
