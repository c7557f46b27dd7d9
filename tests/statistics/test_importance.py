from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import rankdata

from hexsearch.statistics.importance import FEWEST_TRIALS, importances


def searched(trials: int, seed: int = 0) -> tuple[dict[str, list[object]], np.ndarray]:
    """A choice that matters, a number that matters less, and one that does nothing."""
    rng = np.random.default_rng(seed)
    head = rng.integers(0, 2, trials)
    rate, decay = rng.uniform(size=trials), rng.uniform(size=trials)
    losses = 0.2 + 0.02 * head + 0.02 * rate + rng.normal(0.0, 0.003, trials)
    values: dict[str, list[object]] = {
        "head": [f"head {number}" for number in head],
        "rate": rate.tolist(),
        "decay": decay.tolist(),
    }
    return values, losses


def test_settings_come_in_the_order_in_which_they_matter() -> None:
    found = importances(*searched(200), np.random.default_rng(0))
    assert [importance.name for importance in found] == ["head", "rate", "decay"]
    assert found[0].share > 0.4 and found[1].share > 0.15 and found[2].share < 0.05
    for importance in found:
        assert 0.0 <= importance.low <= importance.share <= importance.high <= 1.0


def test_a_setting_that_does_nothing_has_a_share_of_zero_on_average() -> None:
    shares = []
    for seed in range(100):
        values, losses = searched(60, seed)
        (found,) = importances({"decay": values["decay"]}, losses, np.random.default_rng(0))
        shares.append(found.share)
    assert np.mean(shares) < 0.03


def test_a_few_diverged_trials_do_not_decide() -> None:
    values, losses = searched(200)
    losses[:3] = 1e6
    found = importances(values, losses, np.random.default_rng(0))
    assert found[0].name == "head" and found[0].share > 0.35


def test_equal_losses_share_the_mean_of_their_ranks() -> None:
    low: list[object] = ["low"] * 5
    rates = {"rate": [*low, *["high"] * 5]}
    tied = np.array([1.0, 1.0, 1.0, 2.0, 2.0, 2.0, 2.0, 3.0, 9.0, 9.0])
    ranks = rankdata(tied)
    total = np.square(ranks - ranks.mean()).sum()
    between = 5 * np.square(ranks.reshape(2, 5).mean(axis=1) - ranks.mean()).sum()
    within = (total - between) / 8
    (found,) = importances(rates, tied, np.random.default_rng(0))
    assert found.share == pytest.approx((between - within) / (total + within))


def test_trials_without_a_conditional_setting_are_a_group_of_their_own() -> None:
    losses = np.concatenate([np.full(20, 0.1), np.full(20, 0.2)]) + np.linspace(0, 1e-3, 40)
    values: dict[str, list[object]] = {"rate": [None] * 20 + np.linspace(0, 1, 20).tolist()}
    (found,) = importances(values, losses, np.random.default_rng(0))
    assert found.share > 0.7


@pytest.mark.parametrize("trials", [0, 1, FEWEST_TRIALS - 1])
def test_of_fewer_than_eight_trials_nothing_is_said(trials: int) -> None:
    assert importances({"a": [1.0] * trials}, np.ones(trials), np.random.default_rng(0)) == []
