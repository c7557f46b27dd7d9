"""Posterior of the true scores of variants, given all observed scores.

The best of many observed scores is partly luck, since it was selected for being low. Its expected
value with fresh seeds is higher. How much higher follows from the spread of the scores and from
their noise.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve, cholesky

from hexsearch.statistics.intervals import Floats
from hexsearch.statistics.variance import PairedRuns, SeedVariance

_OUTLIER = 3.0  # deviations from the median beyond which a poor variant is not modelled
_GRID = 21  # number of spreads between variants that are averaged over
_DRAWS = 4000  # draws of true scores for the probability of being best


@dataclass(frozen=True)
class Posterior:
    """Posterior of V variants.

    Attributes:
        expected_value_loss: [V] expected true score.
        probability_best: [V] probability of having the lowest true score.
        modelled: [K] indices of the variants in the model; the others are far behind.
        centre, covariance: [K] and [K, K] mean and covariance of the true scores, under the prior
            that is used for intervals.
    """

    expected_value_loss: Floats
    probability_best: Floats
    modelled: NDArray[np.int64]
    centre: Floats
    covariance: Floats

    def differences(self, to: int) -> tuple[Floats, Floats]:
        """Mean and variance, [V] each, of true scores minus the true score of variant `to`.

        Both are nan if one of the two variants is not modelled, or if there is no model.
        """
        mean = np.full(len(self.expected_value_loss), np.nan)
        variance = mean.copy()
        if to in self.modelled and len(self.modelled) > 1:
            place = int(np.flatnonzero(self.modelled == to)[0])
            own, shared = np.diag(self.covariance), self.covariance[place]
            mean[self.modelled] = self.centre - self.centre[place]
            variance[self.modelled] = np.maximum(0.0, own + own[place] - 2.0 * shared)
        return mean, variance


def posterior(scores: Floats, noise: Floats, rng: np.random.Generator) -> Posterior:
    """Posterior of the true scores, and the probability that each is the lowest.

    The true scores are assumed to be normal around an unknown mean with an unknown spread. The
    spread is averaged over a grid, weighted by its likelihood (empirical Bayes with integrated
    hyper-parameters; Efron & Morris, 1975; Gelman et al., Bayesian Data Analysis, section 5.4).
    For expected scores the prior of the spread is uniform, so the leader's expected score is
    nearly unbiased. For intervals the prior of the *variance* is uniform. They shrink less, and
    cover at least 95% whatever the spread is (Morris & Lysy, Statistical Science 27, 2012). With
    the first prior they would cover 91% if variants differ as much as their noise.

    Very poor scores, such as those of diverged learning rates, are not modelled: they would make
    the good variants look more different than they are.

    Args:
        scores: [V] observed scores; lower is better.
        noise: [V, V] their sampling covariance.
    """
    kept = _without_outliers(scores, noise)
    y, covariance = scores[kept], noise[np.ix_(kept, kept)]
    expected, best = scores.copy(), np.zeros(len(scores))
    if len(y) == 1:
        best[kept] = 1.0
        return Posterior(expected, best, kept, y, covariance)
    fits = [_fit(y, covariance, spread) for spread in _spreads(y, covariance)]
    likelihood = np.exp([fit.log_likelihood - max(f.log_likelihood for f in fits) for fit in fits])
    weights = likelihood / likelihood.sum()
    expected[kept] = weights @ np.stack([fit.expected for fit in fits])
    wins = np.zeros(len(y))
    for fit, count in zip(fits, rng.multinomial(_DRAWS, weights), strict=True):
        if count:
            draws = fit.expected + rng.standard_normal((count, len(y))) @ fit.root().T
            wins += np.bincount(draws.argmin(axis=1), minlength=len(y))
    best[kept] = wins / _DRAWS
    careful = likelihood * np.array(
        [fit.spread for fit in fits]
    )  # d(variance) = 2 spread d(spread)
    return Posterior(expected, best, kept, *_moments(fits, careful / careful.sum()))


def differing_noise(paired: PairedRuns, seed: SeedVariance) -> Floats:
    """[V, V] sampling covariance of the variants' means, over games and seeds.

    The influence of games on the average of all variants is removed. It is common to all variants
    and does not affect their order. If it were kept, it would enter the variants with slightly
    different weights, and would move their expected scores far outside the observed range.
    """
    games = paired.game_covariance
    over_games = games - games.mean(axis=0) - games.mean(axis=1)[:, None] + games.mean()
    over_seeds = seed.own * np.diag(1.0 / paired.seeds)
    shared = seed.shared * paired.seed_weights @ paired.seed_weights.T
    noise: Floats = over_games + over_seeds + shared
    return noise


@dataclass(frozen=True)
class _Fit:
    """True scores for one given spread between them and an unknown mean."""

    spread: float
    expected: Floats
    log_likelihood: float
    marginal: tuple[Floats, bool]  # Cholesky factor of the scores' covariance
    inverse_one: Floats

    @cached_property
    def covariance(self) -> Floats:
        """[K, K] of the true scores."""
        one = np.ones(len(self.expected))
        pull = one - self.spread**2 * self.inverse_one  # weight of the unknown mean in each score
        shrinking = cho_solve(self.marginal, np.eye(len(one)))
        covariance: Floats = self.spread**2 * (np.eye(len(one)) - self.spread**2 * shrinking)
        covariance += np.outer(pull, pull) / self.inverse_one.sum()
        return covariance

    def root(self) -> Floats:
        """Cholesky factor of the true scores' covariance."""
        jitter = _jitter(self.covariance) * np.eye(len(self.covariance))
        factor: Floats = cholesky(self.covariance + jitter, lower=True)
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


def _moments(fits: Sequence[_Fit], weights: Floats) -> tuple[Floats, Floats]:
    """Mean and covariance of the true scores over all fits."""
    expected = np.stack([fit.expected for fit in fits])
    centre: Floats = weights @ expected
    gap = expected - centre
    covariance: Floats = np.einsum("f,fi,fj->ij", weights, gap, gap)
    for fit, weight in zip(fits, weights, strict=True):
        if weight:
            covariance += weight * fit.covariance
    return centre, covariance


def _without_outliers(scores: Floats, noise: Floats) -> NDArray[np.int64]:
    """Indices of the scores that are not far behind the median."""
    middle = float(np.median(scores))
    deviation = 1.4826 * float(np.median(np.abs(scores - middle)))
    typical = math.sqrt(max(0.0, float(np.median(np.diag(noise)) - np.median(noise))))
    return np.flatnonzero(scores <= middle + _OUTLIER * max(deviation, typical))


def _spreads(scores: Floats, noise: Floats) -> Floats:
    """Standard deviations between true scores to average over, from 0 to more than observed."""
    seen = float(scores.std(ddof=1))
    noisy = math.sqrt(max(0.0, float(np.trace(noise) - noise.mean() * len(scores))) / len(scores))
    spreads: Floats = np.linspace(0.0, 4.0 * max(seen, noisy, 1e-9), _GRID)
    return spreads


def _jitter(noise: Floats) -> float:
    """A small variance that keeps a covariance invertible if two variants have equal answers."""
    return 1e-12 + 1e-9 * float(np.diag(noise).max())
