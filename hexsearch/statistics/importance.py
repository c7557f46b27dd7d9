"""Importance of settings: the share of the variance of ranks that a setting explains alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hexsearch.statistics.intervals import LEVEL, Floats
from hexsearch.statistics.rank_correlation import ranks

_GROUPS = 4  # groups of equal size for the values of a number
_DRAWS = 200  # draws of the bootstrap
FEWEST_TRIALS = 8  # with fewer trials, no share is computed


@dataclass(frozen=True)
class Importance:
    """Importance of one setting.

    Attributes:
        share: share of the variance of the trials' ranks, between 0 and 1.
        low, high: its 95% interval.
    """

    name: str
    share: float
    low: float
    high: float


def importances(
    values: Mapping[str, Sequence[object]], losses: Floats, rng: np.random.Generator
) -> list[Importance]:
    """Each setting's share of the variance, the largest share first.

    Losses are replaced by their ranks, so that a few diverged trials do not dominate. The values
    of a number are put into four groups of equal size. The share is omega squared, whose mean is
    0 for a setting without effect (Hays, Statistics, 1963). Its interval is bootstrapped over
    trials. Interactions of settings are not included.

    Args:
        values: setting -> its value in each trial; None if a trial does not have it.
        losses: losses of the trials at equal positions seen.
    Returns:
        An empty list for fewer than eight trials.
    """
    count = len(losses)
    if count < FEWEST_TRIALS:
        return []
    ranked = ranks(losses)
    draws = rng.integers(0, count, (_DRAWS, count))
    found = []
    for name, column in values.items():
        codes = _codes(column)
        share = _omega_squared(codes[None], ranked[None])[0]
        drawn = _omega_squared(codes[draws], ranked[draws])
        low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
        found.append(
            Importance(name, float(share), float(min(low, share)), float(max(high, share)))
        )
    return sorted(found, key=lambda importance: -importance.share)


def _codes(column: Sequence[object]) -> NDArray[np.int64]:
    """[T] number of the group of each trial."""
    numbers = [value for value in column if isinstance(value, (int, float))]
    if len(set(numbers)) > _GROUPS and all(
        value is None or isinstance(value, (int, float)) for value in column
    ):
        edges = np.quantile(numbers, np.linspace(0, 1, _GROUPS + 1)[1:-1])
        return np.array(
            [
                _GROUPS
                if not isinstance(value, (int, float))
                else int(np.searchsorted(edges, value))
                for value in column
            ],
            dtype=np.int64,
        )
    names = {value: number for number, value in enumerate(dict.fromkeys(column))}
    return np.array([names[value] for value in column], dtype=np.int64)


def _omega_squared(codes: NDArray[np.int64], ranked: Floats) -> Floats:
    """[D] shares of D sets of trials, from codes and ranks of [D, T]."""
    draws, count = codes.shape
    groups = int(codes.max()) + 1
    cells = (codes + groups * np.arange(draws)[:, None]).ravel()
    sizes = np.bincount(cells, minlength=draws * groups).reshape(draws, groups)
    sums = np.bincount(cells, ranked.ravel(), draws * groups).reshape(draws, groups)
    mean = ranked.mean(axis=1)
    total = np.square(ranked - mean[:, None]).sum(axis=1)
    present = sizes > 0
    means = np.divide(sums, sizes, out=np.zeros_like(sums), where=present)
    between = (sizes * np.square(means - mean[:, None])).sum(axis=1)
    used = present.sum(axis=1)
    within = (total - between) / np.maximum(1, count - used)
    share = (between - (used - 1) * within) / np.maximum(total + within, 1e-12)
    clipped: Floats = np.clip(share, 0.0, 1.0)
    return clipped
