"""Intervals of means and differences. Games are the unit: positions of a game share one label."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr, stdtrit

Floats = NDArray[np.float64]
LEVEL = 0.95  # confidence level of every interval that is printed
STAGES = ("early", "middle", "late")  # columns of per-game losses
_BOOTSTRAP_BLOCK = 1 << 22  # resampling weights that are in memory at once: 32 MB


class GameLosses(Protocol):
    """Squared errors of one run.

    Attributes:
        games: [G] index of each game, in ascending order.
        sums, counts: [G, 3] sum of squared errors and number of positions, by game and stage.
    """

    @property
    def games(self) -> NDArray[np.int64]: ...
    @property
    def sums(self) -> NDArray[np.float32]: ...
    @property
    def counts(self) -> NDArray[np.int32]: ...


@dataclass(frozen=True)
class GameTable:
    """Squared errors of T runs on the G games that all of them were evaluated on.

    Attributes:
        sums: [T, G] squared errors, summed over the positions of a game.
        counts: [G] number of positions of each game, above 0.
    """

    sums: Floats
    counts: Floats

    @cached_property
    def means(self) -> Floats:
        """[T] mean squared error over all positions: the value loss."""
        total: Floats = self.sums.sum(axis=1) / self.counts.sum()
        return total

    @cached_property
    def influence(self) -> Floats:
        """[T, G] influence of each game on each mean. Each row sums to 0.

        A mean over positions is a ratio of two sums over games. In a linear approximation its
        sampling variance over games is that of the sum of these influences (Taylor
        linearisation, Cochran, Sampling Techniques, 1977, section 6.5; for evaluations: Miller,
        arXiv:2411.00640, section 2.2).
        """
        moved: Floats = (self.sums - np.outer(self.means, self.counts)) / self.counts.sum()
        return moved


def game_table(losses: Sequence[GameLosses], stage: str | None = None) -> GameTable | None:
    """A table of the runs, in the given order, on the games that all of them have.

    Args:
        stage: early, middle or late; None takes all positions.
    Returns:
        None for fewer than two common games, which have no variance.
    Raises:
        ValueError: two runs were evaluated on different positions of one game.
    """
    if not losses:
        return None
    games = losses[0].games
    for other in losses[1:]:
        if not np.array_equal(games, other.games):
            games = np.intersect1d(games, other.games)
    columns = slice(None) if stage is None else [STAGES.index(stage)]
    sums, counts = [], None
    for run in losses:
        at = np.searchsorted(run.games, games)
        sums.append(run.sums[at][:, columns].sum(axis=1, dtype=np.float64))
        here = run.counts[at][:, columns].sum(axis=1)
        if counts is not None and not np.array_equal(here, counts):
            raise ValueError("runs were evaluated on different positions of the same games")
        counts = here
    assert counts is not None
    present = counts > 0
    if present.sum() < 2:
        return None
    return GameTable(np.stack(sums)[:, present], counts[present].astype(np.float64))


def game_variance(influence: Floats) -> Floats:
    """Sampling variance over games of means, or of differences of means, from their influence.

    Args:
        influence: [..., G]. The influence of a difference is the difference of the influences.
            This pairs the runs by game: a game that is hard for both of them cancels.
    """
    games = influence.shape[-1]
    variance: Floats = games / (games - 1) * np.square(influence).sum(axis=-1)
    return variance


def interval(
    mean: Floats | float, variance: Floats | float, freedom: Floats | float
) -> tuple[Floats, Floats]:
    """Bounds of the 95% interval of an estimate whose variance is itself estimated.

    Args:
        freedom: degrees of freedom of the variance, for Student's t; `inf` if it is known.
    """
    half = student_quantile(freedom) * np.sqrt(variance)
    return np.asarray(mean - half), np.asarray(mean + half)


def student_quantile(freedom: Floats | float) -> Floats:
    """Half-width of a 95% interval in standard errors."""
    # stdtrit is undefined at infinity; at a billion it equals the normal quantile to 9 digits.
    finite = np.minimum(np.asarray(freedom, dtype=np.float64), 1e9)
    quantile: Floats = stdtrit(finite, 0.5 + LEVEL / 2)
    return quantile


def p_values(difference: Floats, variance: Floats, freedom: Floats) -> Floats:
    """Two-sided p-values of differences; 1 where both the difference and its variance are 0."""
    error = np.sqrt(variance)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(difference == 0.0, 0.0, np.abs(difference) / error)
    two_sided: Floats = 2.0 * stdtr(np.minimum(freedom, 1e9), -ratio)
    return two_sided


def holm(p: Floats) -> Floats:
    """p-values adjusted for multiple tests: a threshold of 5% then holds for all tests together.

    Source: Holm, "A simple sequentially rejective multiple test procedure", 1979.

    >>> holm(np.array([0.01, 0.04, 0.03])).round(3).tolist()
    [0.03, 0.06, 0.06]
    """
    order = np.argsort(p, kind="stable")
    stepped = p[order] * np.arange(len(p), 0, -1)
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(stepped))
    return adjusted


def bootstrap_means(table: GameTable, rng: np.random.Generator, draws: int = 2000) -> Floats:
    """[draws, T] means of the runs over whole games that are drawn with replacement.

    The same games are drawn for every run, so a difference of two columns is paired by game.
    Source: the cluster bootstrap of Davison & Hinkley, Bootstrap Methods, 1997, section 3.8.
    """
    games = len(table.counts)
    block = max(1, _BOOTSTRAP_BLOCK // games)
    parts = []
    for start in range(0, draws, block):
        shares = np.full(games, 1.0 / games)
        weights = rng.multinomial(games, shares, size=min(block, draws - start)).astype(np.float64)
        parts.append(weights @ table.sums.T / (weights @ table.counts)[:, None])
    return np.concatenate(parts)


def bootstrap_interval(draws: Floats) -> tuple[Floats, Floats]:
    """95% percentile interval of each column of [draws, ...] bootstrapped values."""
    low, high = np.quantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    return low, high
