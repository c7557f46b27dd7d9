from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from hexsearch.search.forecasting.promise import expected_improvement, promises


def test_the_expected_improvement_is_the_mean_of_what_falls_below() -> None:
    drawn = norm(0.3, 0.5).rvs(400_000, random_state=0)
    expected = np.maximum(0.1 - drawn, 0.0).mean()
    found = expected_improvement(0.1, np.array([0.3]), np.array([0.5]))
    assert found[0] == pytest.approx(expected, abs=0.002)


def test_a_lower_expected_end_promises_more_and_a_longer_way_less() -> None:
    means, variances = np.array([-0.5, 0.0, 0.5]), np.full(3, 0.3)
    near = promises(0.0, means, variances, 0.2, step=0.1, rest=0.2)
    far = promises(0.0, means, variances, 0.2, step=0.3, rest=0.6)
    assert near[0] > near[1] > near[2] > 0
    assert (near > far).all()


def test_a_look_that_tells_much_promises_more_than_one_that_tells_nothing() -> None:
    mean, variance = np.array([0.5]), np.array([0.5])
    telling = promises(0.0, mean, variance, 0.05, step=0.1, rest=0.9)
    silent = promises(0.0, mean, variance, 0.5, step=0.1, rest=0.9)
    assert telling[0] > 1.5 * silent[0]
