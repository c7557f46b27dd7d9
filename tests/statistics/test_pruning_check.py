from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from hexsearch.statistics.pruning_check import binomial_interval, check_pruning


@given(st.integers(1, 200), st.data())
def test_the_interval_is_the_exact_one(trials: int, data: st.DataObject) -> None:
    successes = data.draw(st.integers(0, trials))
    exact = stats.binomtest(successes, trials).proportion_ci(method="exact")
    assert binomial_interval(successes, trials) == pytest.approx((exact.low, exact.high), abs=1e-9)


@pytest.mark.parametrize("checked", [3, 12, 60])
def test_whatever_the_true_rate_the_interval_holds_it_in_95_of_100_audits(checked: int) -> None:
    intervals = np.array([binomial_interval(beat, checked) for beat in range(checked + 1)])
    for rate in np.linspace(0.0, 1.0, 101):
        held = (intervals[:, 0] <= rate) & (rate <= intervals[:, 1])
        chances = stats.binom.pmf(np.arange(checked + 1), checked, rate)
        assert chances[held].sum() >= 0.95 - 1e-9


def test_an_audit_of_a_random_few_finds_what_pruning_cost() -> None:
    """A study whose pruning loses one in ten of 400 trials that would have won."""
    rng = np.random.default_rng(0)
    held, estimates = [], []
    for _ in range(500):
        final = np.where(np.arange(400) < 40, 0.15, 0.17) + 0.001 * rng.standard_normal(400)
        pruning_check = check_pruning(rng.choice(final, 20, replace=False).tolist(), 0.16, 400)
        held.append(pruning_check.low <= 0.1 <= pruning_check.high and pruning_check.most >= 40)
        estimates.append(pruning_check.rate)
    assert np.mean(held) >= 0.95
    error = np.std(estimates) / np.sqrt(500)
    assert np.mean(estimates) == pytest.approx(0.1, abs=4 * error)


def test_an_equal_loss_does_not_beat_the_winner_and_a_diverged_trial_counts() -> None:
    check = check_pruning([0.17, 0.158, math.inf, 0.16, 0.159], winner=0.16, pruned=100)
    assert (check.checked, check.beat_the_winner) == (5, 2)
    assert check.best_gain == pytest.approx(0.002)
    low, high = binomial_interval(2, 5)
    assert (check.rate, check.low, check.high) == (0.4, low, high)
    assert check.most == math.ceil(100 * high)


def test_when_all_were_checked_no_more_can_have_been_lost() -> None:
    assert check_pruning([0.17, 0.17, 0.15], winner=0.16, pruned=3).most == 1


def test_where_nothing_was_checked_the_rate_is_unknown() -> None:
    check = check_pruning([], winner=0.16, pruned=7)
    assert math.isnan(check.rate) and (check.low, check.high, check.most) == (0.0, 1.0, 7)


@pytest.mark.parametrize(
    ("losses", "winner", "pruned"),
    [([0.1, 0.2], 0.16, 1), ([math.nan], 0.16, 3), ([], math.nan, 3)],
)
def test_what_cannot_be_is_refused(losses: list[float], winner: float, pruned: int) -> None:
    with pytest.raises(ValueError, match=r"checked|nan"):
        check_pruning(losses, winner, pruned)
