"""Rank correlation of two orders, with its interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import atanh, sqrt, tanh

import numpy as np
from numpy.typing import NDArray

from hexsearch.statistics.intervals import student_quantile

_FEWEST = 4  # least number of pairs from which an interval can be computed


@dataclass(frozen=True)
class RankCorrelation:
    """Spearman's rho over `count` pairs of figures, with its 95% interval."""

    rho: float
    low: float
    high: float
    count: int


def rank_correlation(x: Sequence[float], y: Sequence[float]) -> RankCorrelation | None:
    """Correlation of the ranks; None for fewer than four pairs, or if all values are equal.

    Tied values share the mean of their ranks. The interval uses Fisher's z with the variance of
    Bonett & Wright, Psychometrika 65, 2000, which is valid where rho is far from 0, too.
    """
    if len(x) != len(y):
        raise ValueError(f"{len(x)} figures cannot be paired with {len(y)}")
    if len(x) < _FEWEST or len(set(x)) == 1 or len(set(y)) == 1:
        return None
    rho = float(np.corrcoef(ranks(x), ranks(y))[0, 1])
    rho = min(1.0, max(-1.0, rho))
    if abs(rho) > 1.0 - 1e-9:
        # Fisher's z is infinite for complete agreement, so a slightly smaller rho is used.
        inner = 1.0 - 12.0 / (len(x) * (len(x) ** 2 - 1))
        z = atanh(inner) * (1 if rho > 0 else -1)
    else:
        z = atanh(rho)
    half = float(student_quantile(np.inf)) * sqrt((1.0 + rho**2 / 2.0) / (len(x) - 3))
    return RankCorrelation(rho, min(rho, tanh(z - half)), max(rho, tanh(z + half)), len(x))


def ranks(values: Sequence[float] | NDArray[np.float64]) -> NDArray[np.float64]:
    """Ranks from 1. Equal values share the mean of their ranks.

    `scipy.stats.rankdata` does the same, but its import takes most of a second.
    """
    _, place, counts = np.unique(np.asarray(values), return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    means: NDArray[np.float64] = last - (counts - 1) / 2.0
    return means[place]
