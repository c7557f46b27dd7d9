from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr

from hexsearch.statistics.rank_correlation import rank_correlation


@pytest.mark.parametrize("seed", range(5))
def test_rho_is_that_of_scipy_with_ties_too(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, y = rng.integers(6, size=15).tolist(), rng.integers(6, size=15).tolist()
    found = rank_correlation(x, y)
    assert found is not None
    assert found.rho == pytest.approx(float(spearmanr(x, y).statistic))
    assert -1 <= found.low <= found.rho <= found.high <= 1


def test_complete_agreement_is_one_but_not_certain() -> None:
    found = rank_correlation(list(range(12)), list(range(12)))
    assert found is not None and found.rho == 1.0 and 0.8 < found.low < 1.0


def test_too_little_gives_nothing() -> None:
    assert rank_correlation([1, 2, 3], [1, 2, 3]) is None
    assert rank_correlation([1, 1, 1, 1], [1, 2, 3, 4]) is None
    with pytest.raises(ValueError, match="cannot be paired"):
        rank_correlation([1, 2], [1])


@pytest.mark.slow
@pytest.mark.parametrize("strength", [0.0, 0.5, 0.85])
def test_intervals_hold_the_true_rank_correlation(strength: float) -> None:
    rng = np.random.default_rng(3)
    # Of normal pairs with correlation r: 6/pi asin(r/2).
    truth = 6 / np.pi * np.arcsin(strength / 2)
    held = 0
    for _ in range(1000):
        x = rng.normal(size=15)
        y = strength * x + np.sqrt(1 - strength**2) * rng.normal(size=15)
        found = rank_correlation(x.tolist(), y.tolist())
        assert found is not None
        held += found.low <= truth <= found.high
    assert 0.92 <= held / 1000 <= 0.985
