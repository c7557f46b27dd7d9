"""The promise of a trial: its expected improvement on the best trial, per training.

A trial is continued in steps, and may be paused after each step. So its promise is the highest
price per whole training at which it pays to train it to its next rung, and to finish it only if
this still pays there (an index in the sense of Weitzman, Econometrica 47(3), 1979; the expected
improvement is that of Jones et al., J. Global Optimization 13, 1998).
"""

from __future__ import annotations

import numpy as np
from scipy.special import ndtr

from hexsearch.search.forecasting.draws import Floats

# Five points that approximate a standard normal variable, and their probabilities.
_AT = np.array([-1.6, -0.67, 0.0, 0.67, 1.6])
_WITH = np.array([0.15, 0.22, 0.26, 0.22, 0.15])
_AT = _AT / np.sqrt((_WITH * _AT**2).sum())
_HALVINGS = 10


def expected_improvement(best: float, means: Floats, deviations: Floats) -> Floats:
    """Expected improvement: mean of max(0, best - x) for normal variables x."""
    away = (best - means) / deviations
    density = np.exp(-0.5 * away**2) / np.sqrt(2 * np.pi)
    return np.asarray(deviations * (away * ndtr(away) + density))


def promises(
    best: float, means: Floats, variances: Floats, known_later: float, step: float, rest: float
) -> Floats:
    """[n] promises, in units of value per whole training.

    Args:
        means, variances: [n] of the final values, as predicted now.
        known_later: variance that will remain at the next rung.
        step, rest: shares of a training up to the next rung, and from there to the end.
    """
    at_once = expected_improvement(best, means, np.sqrt(variances)) / (step + rest)
    if rest <= 0.0:
        return at_once
    left = np.minimum(known_later, variances)
    spread = np.sqrt(np.maximum(variances - left, 1e-12))
    later = means[:, None] + spread[:, None] * _AT
    gains = expected_improvement(best, later, np.sqrt(left)[:, None])
    low, high = at_once, at_once + gains.max(1) / step
    for _ in range(_HALVINGS):
        price = (low + high) / 2
        pays = (_WITH * np.maximum(gains - rest * price[:, None], 0.0)).sum(1) > step * price
        low, high = np.where(pays, price, low), np.where(pays, high, price)
    return low
