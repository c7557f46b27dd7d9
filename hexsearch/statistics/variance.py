"""Variance between runs, split into the part of the seed and the part of the games.

The model has crossed random effects: a run's loss on a game is the variant's mean, plus an effect
of the seed on all games, plus an effect of the game on all runs, plus a rest. Seeds and games are
samples, and a variant's mean is uncertain because of both. Only more games reduce the one part,
and only more seeds the other.
Source: Searle, Casella & McCulloch, Variance Components, 1992, chapter 4 (analysis of variance);
for seeds and test data of neural networks: Bouthillier et al., arXiv:2103.03098.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from hexsearch.statistics.intervals import Floats, GameTable, game_variance

# Standard deviation of the value loss between seeds of one variant, used until a study has
# replicates of its own. Measured: two seeds of one head differed by 0.001 to 0.002 on 13x13.
DEFAULT_SEED_SD = 0.0011
# With fewer degrees of freedom, a study's own estimate is combined with the default.
_LEAST_FREEDOM = 3


@dataclass(frozen=True)
class PairedRuns:
    """Runs of several variants with several seeds on the same games.

    Attributes:
        table: losses of T runs on G games.
        variant: [T] number of each run's variant, from 0 and without gaps.
        replicate: [T] number of its seed. Runs of one replicate are paired: they have the same
            data order, symmetries and initial trunk, or share one trunk.
    """

    table: GameTable
    variant: NDArray[np.int64]
    replicate: NDArray[np.int64]

    @classmethod
    def of(
        cls, table: GameTable, variants: Sequence[object], replicates: Sequence[int]
    ) -> PairedRuns:
        """Runs whose variants are given by name. Variants are numbered in order of appearance."""
        numbers: dict[object, int] = {}
        variant = [numbers.setdefault(name, len(numbers)) for name in variants]
        _, replicate = np.unique(np.asarray(replicates, dtype=np.int64), return_inverse=True)
        return cls(table, np.asarray(variant, dtype=np.int64), replicate.astype(np.int64))

    @cached_property
    def weights(self) -> Floats:
        """[V, T] 1/R for the R runs of a variant, else 0. Times values of runs, it gives means."""
        member = self.variant == np.arange(int(self.variant.max()) + 1)[:, None]
        share: Floats = member / member.sum(axis=1, keepdims=True)
        return share

    @cached_property
    def seeds(self) -> NDArray[np.int64]:
        """[V] number of runs of each variant."""
        return np.bincount(self.variant)

    @cached_property
    def means(self) -> Floats:
        """[V] mean value loss of each variant over its seeds."""
        return self.weights @ self.table.means

    @cached_property
    def influence(self) -> Floats:
        """[V, G] influence of each game on each variant's mean."""
        return self.weights @ self.table.influence

    @cached_property
    def game_covariance(self) -> Floats:
        """[V, V] sampling covariance of the variants' means over games."""
        games = len(self.table.counts)
        covariance: Floats = games / (games - 1) * self.influence @ self.influence.T
        return covariance

    def paired_game_variance(self, leader: int) -> Floats:
        """[V] variance over games of each variant's mean minus the leader's mean."""
        own = np.diag(self.game_covariance)
        covariance = self.game_covariance[leader]
        variance: Floats = np.maximum(0.0, own + own[leader] - 2.0 * covariance)
        return variance

    @cached_property
    def seed_weights(self) -> Floats:
        """[V, S] weight of each of the S replicates in each variant's mean."""
        used = np.eye(int(self.replicate.max()) + 1)[self.replicate]
        return self.weights @ used


@dataclass(frozen=True)
class SeedVariance:
    """Variance between seeds, without the part that is noise of these games.

    Attributes:
        shared: variance of a replicate's effect that is common to all variants. It cancels if two
            variants have the same replicates.
        own: variance of a replicate's effect on one variant only.
        per_game: variance of a run's mean from effects of the seed that differ between games.
            Every variance over games contains it already. nan without replicates.
        observed: `own` before `per_game` was removed.
        freedom: degrees of freedom of `observed`.
        measured: estimated from these runs; otherwise it is a default.
    """

    shared: float
    own: float
    per_game: float
    observed: float
    freedom: float
    measured: bool = True

    @property
    def total(self) -> float:
        """Variance between seeds of one variant, on infinitely many games."""
        return self.shared + self.own

    @property
    def deviation(self) -> float:
        """Standard deviation between seeds, in units of value loss."""
        return float(np.sqrt(self.total))


def seed_variance(paired: PairedRuns) -> SeedVariance:
    """Variance between seeds, pooled over the variants that have several seeds.

    The variance around the means of variants is shared + own. The variance around the means of
    variants and replicates is own. The same is done with the influence of games, which gives the
    noise of these games in both. With fewer than three degrees of freedom, DEFAULT_SEED_SD is
    combined with the estimate. If own and shared cannot be told apart, all is taken as own, which
    makes intervals wider.
    """
    values = np.column_stack([paired.table.means, paired.table.influence])
    return _estimate(values, paired.variant, paired.replicate)


def seed_variance_of_means(
    means: Sequence[float], variants: Sequence[object], replicates: Sequence[int]
) -> SeedVariance:
    """As `seed_variance`, from means alone. Noise of these games is then counted twice."""
    numbers: dict[object, int] = {}
    variant = np.array([numbers.setdefault(name, len(numbers)) for name in variants], dtype=int)
    _, replicate = np.unique(np.asarray(replicates, dtype=np.int64), return_inverse=True)
    return _estimate(np.asarray(means, dtype=np.float64)[:, None], variant, replicate)


def _estimate(
    values: Floats, variant: NDArray[np.int64], replicate: NDArray[np.int64]
) -> SeedVariance:
    """Variance between seeds, from [T, 1 + G] means and influences."""
    several = np.bincount(variant)[variant] > 1 if len(variant) else np.zeros(0, dtype=bool)
    values = values[several]
    by_variant = np.unique(variant[several])[:, None] == variant[several]
    by_replicate = np.unique(replicate[several])[:, None] == replicate[several]
    total = _left_over(values, by_variant.T.astype(float))
    own = _left_over(values, np.concatenate([by_variant, by_replicate]).T.astype(float))
    if not own.freedom:
        own = total
    missing = max(0.0, _LEAST_FREEDOM - own.freedom)
    freedom = own.freedom + missing

    def filled(variance: float) -> float:
        return (own.freedom * variance + missing * DEFAULT_SEED_SD**2) / freedom

    return SeedVariance(
        shared=max(0.0, total.pure - own.pure),
        own=filled(own.pure),
        per_game=own.noise,
        observed=filled(own.observed),
        freedom=freedom,
        measured=own.freedom > 0,
    )


@dataclass(frozen=True)
class _LeftOver:
    freedom: float
    observed: float  # variance between runs
    noise: float  # part of it that is noise of these games; nan if unknown

    @property
    def pure(self) -> float:
        return max(0.0, self.observed - self.noise) if self.freedom else 0.0


def _left_over(values: Floats, design: Floats) -> _LeftOver:
    """Residual variance of runs, [T, 1 + G] means and influences, after fitting a design [T, D]."""
    if not len(values):
        return _LeftOver(0, 0.0, float("nan"))
    fitted, _, rank, _ = np.linalg.lstsq(design, values, rcond=None)
    freedom = len(values) - int(rank)
    if not freedom:
        return _LeftOver(0, 0.0, float("nan"))
    rest = values - design @ fitted
    noise = game_variance(rest[:, 1:]).sum() / freedom
    return _LeftOver(freedom, float(np.square(rest[:, 0]).sum() / freedom), float(noise))


def mean_variance(paired: PairedRuns, seed: SeedVariance) -> tuple[Floats, Floats]:
    """Variance [V] of variants' means over other games and seeds, and its freedom [V]."""
    over_games = np.diag(paired.game_covariance)
    return combine(over_games, len(paired.table.counts) - 1, 1.0 / paired.seeds, seed, seed.shared)


def difference_variance(
    paired: PairedRuns, seed: SeedVariance, leader: int
) -> tuple[Floats, Floats]:
    """Variance [V] of variants' means minus the leader's, paired by game and replicate.

    Returns:
        The variance, and its degrees of freedom [V].
    """
    over_games = paired.paired_game_variance(leader)
    share = 1.0 / paired.seeds + 1.0 / paired.seeds[leader]
    share[leader] = 0.0
    unshared = np.square(paired.seed_weights - paired.seed_weights[leader]).sum(axis=1)
    games = len(paired.table.counts) - 1
    variance, freedom = combine(over_games, games, share, seed, 0.0)
    return variance + unshared * seed.shared, freedom


def combine(
    over_games: Floats,
    games_freedom: float,
    share: Floats,
    seed: SeedVariance,
    shared: float,
) -> tuple[Floats, Floats]:
    """Sum of two independent variances and its degrees of freedom (Satterthwaite, 1946).

    Args:
        share: factor of the seed's variance, such as 1 over the number of seeds.
        shared: variance that is added to the seed's own; 0 if pairing cancels it.
    """
    over_seeds = share * (seed.own + shared)
    variance = over_games + over_seeds
    uncertain = (
        np.square(over_games) / games_freedom
        + np.square(share * (seed.observed + shared)) / seed.freedom
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        freedom = np.where(uncertain > 0, np.square(variance) / uncertain, np.inf)
    return variance, np.maximum(freedom, 1.0)
