"""Who leads, who cannot be told from the leader, and what the leader's score is worth.

The best of many scores is partly luck: it is chosen for being low. Its expected value on fresh
seeds and games is higher, by an amount that the spread of the scores and their noise tell.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve, cholesky
from scipy.special import ndtri

from hexsearch.reporting.statistics import LEVEL, Floats, holm, interval, p_values
from hexsearch.reporting.variance import (
    Panel,
    SeedVariance,
    difference_variance,
    mean_variance,
    seed_variance,
)

POWER = 0.8  # chance of seeing a difference that a number of seeds is meant to show
MOST_SEEDS = 1000  # beyond which more seeds are no advice
_OUTLIER = 3.0  # deviations beyond which a poor variant says nothing about the good ones
_GRID = 21  # spreads between variants that are averaged over
_DRAWS = 4000  # of true scores, for the probability of being best


@dataclass(frozen=True)
class Versus:
    """V variants against one of them, each figure [V].

    Attributes:
        difference: of value loss to that one; low, high: its 95% interval, one by one.
        p_adjusted: chance of such a difference where there is none, by Holm over all of them;
            1 for that one itself.
    """

    difference: Floats
    low: Floats
    high: Floats
    p_adjusted: Floats


@dataclass(frozen=True)
class Ranking:
    """V variants judged on equal positions seen, in the order of the panel.

    Attributes:
        means: value loss over seeds; low, high: its 95% interval over games and future seeds.
        leader: index of the lowest mean. to_leader: everyone's difference to it.
        group: 0 for the leader and those that cannot be told from it, 1 for the next best and
            those that cannot be told from that one, and so on.
        shrunk: expected value loss on these games and fresh seeds, selection allowed for.
        probability_best: of having the lowest true value loss of these variants.
        seed: what another seed changes.
    """

    means: Floats
    low: Floats
    high: Floats
    leader: int
    to_leader: Versus
    group: NDArray[np.int64]
    shrunk: Floats
    probability_best: Floats
    seed: SeedVariance

    @property
    def tied(self) -> NDArray[np.bool_]:
        """[V] the leader and those that cannot be told from it."""
        first: NDArray[np.bool_] = self.group == 0
        return first


def rank(panel: Panel, rng: np.random.Generator, seed: SeedVariance | None = None) -> Ranking:
    """Compare the variants of a panel.

    Args:
        rng: for the probability of being best, which is drawn.
        seed: spread between seeds, where it is known from elsewhere.
    """
    seed = seed_variance(panel) if seed is None else seed
    low, high = interval(panel.means, *mean_variance(panel, seed))
    leader = int(np.argmin(panel.means))
    shrunk, probability_best = posterior(panel.means, differing_noise(panel, seed), rng)
    return Ranking(
        means=panel.means,
        low=np.maximum(low, 0.0),
        high=high,
        leader=leader,
        to_leader=versus(panel, seed, leader),
        group=tie_groups(panel, seed),
        shrunk=shrunk,
        probability_best=probability_best,
        seed=seed,
    )


def versus(panel: Panel, seed: SeedVariance, leader: int) -> Versus:
    """Every variant's difference to one of them, paired by game and replicate."""
    difference, variance, freedom = _differences(panel, seed, leader)
    low, high = interval(difference, variance, freedom)
    everyone = np.arange(len(panel.means))
    return Versus(difference, low, high, _against(panel, seed, leader, everyone))


def tie_groups(panel: Panel, seed: SeedVariance) -> NDArray[np.int64]:
    """[V] number of the group of each variant, best first.

    A group is the best of the variants that are left, and those whose paired difference to it
    is not significant at 5% after Holm's correction over all that are left. To be tied is not
    transitive, so a group says what cannot be told from its first member, and no more.
    """
    group = np.full(len(panel.means), -1, dtype=np.int64)
    left = np.argsort(panel.means, kind="stable")
    number = 0
    while len(left):
        tied = _against(panel, seed, int(left[0]), left) > 1 - LEVEL
        group[left[tied]] = number
        left = left[~tied]
        number += 1
    return group


def differing_noise(panel: Panel, seed: SeedVariance) -> Floats:
    """[V, V] sampling covariance of the variants' means, over games and seeds.

    What games do to the average of all variants is taken out. It is the same for all, so it
    decides nothing between them; left in, the slightly different weights with which it enters
    each variant would move everybody's expected score far outside of what was seen.
    """
    games = panel.game_covariance
    over_games = games - games.mean(axis=0) - games.mean(axis=1)[:, None] + games.mean()
    over_seeds = seed.own * np.diag(1.0 / panel.seeds)
    shared = seed.shared * panel.seed_weights @ panel.seed_weights.T
    noise: Floats = over_games + over_seeds + shared
    return noise


def posterior(scores: Floats, noise: Floats, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """What the true scores are likely to be, and how likely each is the lowest.

    True scores are taken as normal around an unknown mean with an unknown spread, for which a
    grid is averaged over by its likelihood (empirical Bayes with the hyper-parameters integrated
    out; Efron & Morris, 1975; Gelman et al., Bayesian Data Analysis, section 5.4). Scores far on
    the losing side, such as diverged learning rates, are left as they are: they would make the
    good ones look more different than they are.

    Args:
        scores: [V], lower is better. noise: [V, V] their sampling covariance.
    Returns:
        Expected true scores [V], and probabilities of being the lowest [V].
    """
    kept = _without_outliers(scores, noise)
    y, covariance = scores[kept], noise[np.ix_(kept, kept)]
    expected, best = scores.copy(), np.zeros(len(scores))
    if len(y) == 1:
        best[kept] = 1.0
        return expected, best
    spreads = _spreads(y, covariance)
    fits = [_fit(y, covariance, spread) for spread in spreads]
    weights = np.exp([fit.log_likelihood - max(fit.log_likelihood for fit in fits) for fit in fits])
    weights /= weights.sum()
    expected[kept] = weights @ np.stack([fit.expected for fit in fits])
    wins = np.zeros(len(y))
    for fit, count in zip(fits, rng.multinomial(_DRAWS, weights), strict=True):
        if count:
            draws = fit.expected + rng.standard_normal((count, len(y))) @ fit.root().T
            wins += np.bincount(draws.argmin(axis=1), minlength=len(y))
    best[kept] = wins / _DRAWS
    return expected, best


@dataclass(frozen=True)
class _Fit:
    """True scores given one spread between them, their mean unknown."""

    spread: float
    expected: Floats
    log_likelihood: float
    marginal: tuple[Floats, bool]  # Cholesky factor of the scores' covariance
    inverse_one: Floats

    def root(self) -> Floats:
        """Cholesky factor of the true scores' covariance."""
        one = np.ones(len(self.expected))
        pull = one - self.spread**2 * self.inverse_one  # the unknown mean's, on each score
        shrinking = cho_solve(self.marginal, np.eye(len(one)))
        covariance = self.spread**2 * (np.eye(len(one)) - self.spread**2 * shrinking)
        covariance += np.outer(pull, pull) / self.inverse_one.sum()
        factor: Floats = cholesky(covariance + _jitter(covariance) * np.eye(len(one)), lower=True)
        return factor


def _fit(scores: Floats, noise: Floats, spread: float) -> _Fit:
    ridge = spread**2 + _jitter(noise)
    marginal = cho_factor(noise + ridge * np.eye(len(scores)))
    inverse_one = cho_solve(marginal, np.ones(len(scores)))
    precision = float(inverse_one.sum())
    centre = float(inverse_one @ scores) / precision
    weighed = cho_solve(marginal, scores - centre)
    determinant = 2.0 * float(np.log(np.diag(marginal[0])).sum())
    misfit = float((scores - centre) @ weighed)
    return _Fit(
        spread=spread,
        expected=centre + spread**2 * weighed,
        log_likelihood=-0.5 * (determinant + math.log(precision) + misfit),
        marginal=marginal,
        inverse_one=inverse_one,
    )


def seeds_to_separate(panel: Panel, seed: SeedVariance, delta: float) -> int | None:
    """Further seeds for each of two variants until a difference of `delta` shows.

    Shows means: is significant at 5% with 80% probability (two-sided normal approximation,
    Cohen, 1988), between typical variants of the panel that start from its fewest seeds.
    Without replicates all noise is taken to shrink with more seeds: a lower bound.

    Returns:
        None if no number of seeds does it, because the games are too few.
    """
    fewest = int(panel.seeds.min())
    variants = len(panel.means)
    if variants < 2:
        return None
    first = int(np.argmin(panel.means))
    others = np.arange(variants) != first
    over_games = panel.paired_game_variance(first)[others]
    share = (1.0 / panel.seeds + 1.0 / panel.seeds[first])[others]
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


def _differences(panel: Panel, seed: SeedVariance, leader: int) -> tuple[Floats, Floats, Floats]:
    variance, freedom = difference_variance(panel, seed, leader)
    return panel.means - panel.means[leader], variance, freedom


def _against(panel: Panel, seed: SeedVariance, leader: int, among: NDArray[np.int64]) -> Floats:
    """Holm's adjusted p of `among`, which holds the leader, against the leader."""
    p = p_values(*_differences(panel, seed, leader))[among]
    others = among != leader
    adjusted = np.ones(len(among))
    adjusted[others] = holm(p[others])
    return adjusted


def _without_outliers(scores: Floats, noise: Floats) -> NDArray[np.int64]:
    """Indices of the scores that are not far behind the middle one."""
    middle = float(np.median(scores))
    deviation = 1.4826 * float(np.median(np.abs(scores - middle)))
    typical = math.sqrt(max(0.0, float(np.median(np.diag(noise)) - np.median(noise))))
    return np.flatnonzero(scores <= middle + _OUTLIER * max(deviation, typical))


def _spreads(scores: Floats, noise: Floats) -> Floats:
    """Standard deviations between true scores to average over, from none to more than is seen."""
    seen = float(scores.std(ddof=1))
    noisy = math.sqrt(max(0.0, float(np.trace(noise) - noise.mean() * len(scores))) / len(scores))
    spreads: Floats = np.linspace(0.0, 4.0 * max(seen, noisy, 1e-9), _GRID)
    return spreads


def _jitter(noise: Floats) -> float:
    """Keeps a covariance invertible where two variants answer alike."""
    return 1e-12 + 1e-9 * float(np.diag(noise).max())
