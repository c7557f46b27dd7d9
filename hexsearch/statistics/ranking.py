"""Who leads, who cannot be told from the leader, and how far behind the others truly are."""

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

POWER = 0.8  # chance of seeing a difference that a number of seeds is meant to show
MOST_SEEDS = 1000  # beyond which more seeds are no advice


@dataclass(frozen=True)
class Versus:
    """V variants against one of them, each figure [V].

    Attributes:
        difference: of value loss to that one, as seen; low, high: 95% interval of the true one,
            one by one, not centred on what was seen where selection is allowed for.
        p_adjusted: chance of such a difference where there is none, by Holm over all of them;
            1 for that one itself.
    """

    difference: Floats
    low: Floats
    high: Floats
    p_adjusted: Floats


@dataclass(frozen=True)
class Ranking:
    """V variants evaluated at equal positions seen, in the order of the paired runs.

    Attributes:
        means: value loss over seeds; low, high: its 95% interval over games and future seeds.
        leader: index of the lowest mean. to_leader: everyone's difference to it.
        group: 0 for the leader and those that cannot be told from it, 1 for the next best and
            those that cannot be told from that one, and so on.
        expected_value_loss: on these games with fresh seeds, selection allowed for.
        probability_best: of having the lowest true value loss of these variants.
        seed: what another seed changes.
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
        """[V] the leader and those that cannot be told from it."""
        first: NDArray[np.bool_] = self.group == 0
        return first


def rank(paired: PairedRuns, rng: np.random.Generator, seed: SeedVariance | None = None) -> Ranking:
    """Compare variants that were evaluated on the same games.

    Args:
        rng: for the probability of being best, which is drawn.
        seed: spread between seeds, where it is known from elsewhere.
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

    Its intervals hold for one that was named beforehand, or chosen by other games.
    """
    difference, variance, freedom = _differences(paired, seed, leader)
    low, high = interval(difference, variance, freedom)
    everyone = np.arange(len(paired.means))
    return Versus(difference, low, high, _against(paired, seed, leader, everyone))


def _behind_the_chosen(
    paired: PairedRuns, seed: SeedVariance, leader: int, belief: Posterior
) -> Versus:
    """Every variant's difference to the leader, which is the leader partly by luck.

    An interval round the difference as seen is too far up: of twelve variants as unlike as their
    noise it holds the truth in 91% of cases. What is believed once all scores are seen does not
    depend on which of them was picked for being the lowest (Dawid, Selection paradoxes of Bayesian
    inference, 1994), so the interval is the belief's, with Student's quantile for a noise that is
    itself estimated. Variants too poor for the model keep the plain interval.
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
    """[V] number of the group of each variant, best first.

    A group is the best of the variants that are left, and those whose paired difference to it
    is not significant at 5% after Holm's correction over all that are left. To be tied is not
    transitive, so a group says what cannot be told from its first member, and no more.
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
    """Further seeds for each of two variants until a difference of `delta` shows.

    Shows means: is significant at 5% with 80% probability (two-sided normal approximation,
    Cohen, 1988), between typical variants that start from its fewest seeds.
    Without replicates all noise is taken to shrink with more seeds: a lower bound.

    Returns:
        None if no number of seeds does it, because the games are too few.
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
    """Holm's adjusted p of `among`, which holds the leader, against the leader."""
    p = p_values(*_differences(paired, seed, leader))[among]
    others = among != leader
    adjusted = np.ones(len(among))
    adjusted[others] = holm(p[others])
    return adjusted
