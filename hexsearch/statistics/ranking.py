"""Ranks variants: the leader, those tied with it, and the differences of the others to it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from hexsearch.statistics.intervals import LEVEL, Floats, holm, interval, p_values
from hexsearch.statistics.posterior import Posterior, differing_noise, posterior
from hexsearch.statistics.variance import (
    PairedRuns,
    SeedVariance,
    difference_variance,
    mean_variance,
    seed_variance,
)

POWER = 0.8  # probability of finding a difference with the advised number of seeds
MOST_SEEDS = 1000  # a larger number of seeds is not advised


@dataclass(frozen=True)
class Versus:
    """V variants compared with one of them, the reference. Each figure is [V].

    Attributes:
        difference: observed value loss minus that of the reference.
        low, high: 95% interval of the true difference, for each variant alone. If it allows for
            selection, its centre is not the observed difference.
        p_adjusted: p-value of the difference, adjusted by Holm's method over all variants; 1 for
            the reference itself.
    """

    difference: Floats
    low: Floats
    high: Floats
    p_adjusted: Floats


@dataclass(frozen=True)
class Ranking:
    """V variants evaluated at equal positions seen, in the order of the paired runs.

    Attributes:
        means: mean value loss over seeds.
        low, high: its 95% interval over games and future seeds.
        leader: index of the lowest mean.
        to_leader: every variant's difference to the leader.
        group: 0 for the leader and the variants tied with it, 1 for the next best variant and
            those tied with that one, and so on.
        expected_value_loss: expected value loss on these games with fresh seeds, which allows for
            selection.
        probability_best: probability of having the lowest true value loss of these variants.
        seed: variance between seeds.
    """

    means: Floats
    low: Floats
    high: Floats
    leader: int
    to_leader: Versus
    group: NDArray[np.int64]
    expected_value_loss: Floats
    probability_best: Floats
    seed: SeedVariance

    @property
    def tied(self) -> NDArray[np.bool_]:
        """[V] whether a variant is the leader or tied with it."""
        first: NDArray[np.bool_] = self.group == 0
        return first


def rank(paired: PairedRuns, rng: np.random.Generator, seed: SeedVariance | None = None) -> Ranking:
    """Compare variants that were evaluated on the same games.

    Args:
        rng: generator for the probability of being best.
        seed: variance between seeds, if it is known from elsewhere.
    """
    seed = seed_variance(paired) if seed is None else seed
    low, high = interval(paired.means, *mean_variance(paired, seed))
    leader = int(np.argmin(paired.means))
    belief = posterior(paired.means, differing_noise(paired, seed), rng)
    return Ranking(
        means=paired.means,
        low=np.maximum(low, 0.0),
        high=high,
        leader=leader,
        to_leader=_behind_the_chosen(paired, seed, leader, belief),
        group=tie_groups(paired, seed),
        expected_value_loss=belief.expected_value_loss,
        probability_best=belief.probability_best,
        seed=seed,
    )


def versus(paired: PairedRuns, seed: SeedVariance, leader: int) -> Versus:
    """Every variant's difference to one of them, paired by game and replicate.

    The intervals are valid if that variant was chosen beforehand, or by other games.
    """
    difference, variance, freedom = _differences(paired, seed, leader)
    low, high = interval(difference, variance, freedom)
    everyone = np.arange(len(paired.means))
    return Versus(difference, low, high, _against(paired, seed, leader, everyone))


def _behind_the_chosen(
    paired: PairedRuns, seed: SeedVariance, leader: int, belief: Posterior
) -> Versus:
    """Every variant's difference to the leader, with intervals that allow for its selection.

    The leader is the lowest score partly by luck, so an interval around the observed difference
    is biased upwards: for twelve variants that differ as much as their noise, it covers 91%. The
    posterior of the scores does not depend on the selection (Dawid, Selection paradoxes of
    Bayesian inference, 1994). So the interval is that of the posterior, with Student's quantile
    since the noise is estimated. Variants that are not modelled keep the plain interval.
    """
    plain = versus(paired, seed, leader)
    expected, variance = belief.differences(leader)
    _, freedom = difference_variance(paired, seed, leader)
    low, high = interval(expected, variance, freedom)
    modelled = np.isfinite(expected)
    return replace(
        plain,
        low=np.where(modelled, low, plain.low),
        high=np.where(modelled, high, plain.high),
    )


def tie_groups(paired: PairedRuns, seed: SeedVariance) -> NDArray[np.int64]:
    """[V] number of the group of each variant; the best group has number 0.

    A group holds the best of the remaining variants, and those whose paired difference to it is
    not significant at 5% after Holm's correction over all remaining variants. Ties are not
    transitive: the members of a group are tied with its best variant, not always with each other.
    """
    group = np.full(len(paired.means), -1, dtype=np.int64)
    left = np.argsort(paired.means, kind="stable")
    number = 0
    while len(left):
        tied = _against(paired, seed, int(left[0]), left) > 1 - LEVEL
        group[left[tied]] = number
        left = left[~tied]
        number += 1
    return group


def seeds_to_separate(paired: PairedRuns, seed: SeedVariance, delta: float) -> int | None:
    """Further seeds that each of two variants needs to show a difference of `delta`.

    The difference must be significant at 5% with a probability of 80% (two-sided normal
    approximation, Cohen, 1988), between typical variants that start from the fewest seeds.
    Without replicates all noise is assumed to shrink with more seeds, so the result is a lower
    bound.

    Returns:
        None if no number of seeds is enough, because there are too few games.
    """
    fewest = int(paired.seeds.min())
    variants = len(paired.means)
    if variants < 2:
        return None
    first = int(np.argmin(paired.means))
    others = np.arange(variants) != first
    over_games = paired.paired_game_variance(first)[others]
    share = (1.0 / paired.seeds + 1.0 / paired.seeds[first])[others]
    if math.isnan(seed.per_game):
        per_seed = float(np.median(over_games / share))
        fixed = 0.0
    else:
        per_seed = seed.per_game
        fixed = float(np.median(np.maximum(0.0, over_games - share * per_seed)))
    wanted = (delta / float(ndtri(0.5 + LEVEL / 2) + ndtri(POWER))) ** 2 - fixed
    if wanted <= 0.0:
        return None
    needed = math.ceil(2.0 * (per_seed + seed.own) / wanted)
    return max(0, needed - fewest) if needed <= MOST_SEEDS else None


def _differences(
    paired: PairedRuns, seed: SeedVariance, leader: int
) -> tuple[Floats, Floats, Floats]:
    variance, freedom = difference_variance(paired, seed, leader)
    return paired.means - paired.means[leader], variance, freedom


def _against(
    paired: PairedRuns, seed: SeedVariance, leader: int, among: NDArray[np.int64]
) -> Floats:
    """p-values of the variants `among` against the leader, adjusted by Holm's method."""
    p = p_values(*_differences(paired, seed, leader))[among]
    others = among != leader
    adjusted = np.ones(len(among))
    adjusted[others] = holm(p[others])
    return adjusted
