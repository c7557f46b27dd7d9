"""How sure a comparison is. Positions of one game share a label, so games are what is counted."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from hexsearch.training.metrics import GameLosses

# Standard deviation of the value loss between seeds of one variant, used until a study has
# replicates of its own. Measured: two seeds of one head differed by 0.001 to 0.002 on 13x13.
DEFAULT_SEED_SD = 0.0011
Z_95 = 1.959964


def paired_difference(ours: GameLosses, theirs: GameLosses) -> tuple[float, float]:
    """Mean difference of value loss (ours - theirs) and its standard error, clustered by game.

    Only games that both have are compared. The difference of two runs that were judged on the
    same games is far better known than either of them (Miller, arXiv:2411.00640, section 4).

    Returns:
        (difference, standard error); (nan, nan) with fewer than two games in common.
    """
    games, i, j = np.intersect1d(ours.games, theirs.games, return_indices=True)
    if len(games) < 2:
        return math.nan, math.nan
    counts = ours.counts[i].sum(axis=1)
    gaps = (ours.sums[i] - theirs.sums[j]).sum(axis=1, dtype=np.float64)
    difference = float(gaps.sum() / counts.sum())
    residuals = gaps - difference * counts
    scale = math.sqrt(len(games) / (len(games) - 1)) / float(counts.sum())
    return difference, scale * float(np.sqrt(np.square(residuals).sum()))


def seed_deviation(losses_by_variant: Sequence[Sequence[float]]) -> float:
    """Standard deviation between seeds, pooled over the variants that have several.

    Falls back on DEFAULT_SEED_SD while no variant has two seeds.
    """
    squares, freedom = 0.0, 0
    for losses in losses_by_variant:
        if len(losses) > 1:
            mean = sum(losses) / len(losses)
            squares += sum((loss - mean) ** 2 for loss in losses)
            freedom += len(losses) - 1
    return math.sqrt(squares / freedom) if freedom else DEFAULT_SEED_SD


def interval(mean: float, *standard_errors: float) -> tuple[float, float]:
    """95% interval of a mean with independent sources of error."""
    half = Z_95 * math.sqrt(sum(error * error for error in standard_errors))
    return mean - half, mean + half
