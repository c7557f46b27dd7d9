from __future__ import annotations

import math

import numpy as np
import pytest

from hexsearch.statistics.intervals import interval
from hexsearch.statistics.variance import (
    DEFAULT_SEED_SD,
    PairedRuns,
    SeedVariance,
    difference_variance,
    mean_variance,
    seed_variance,
)
from tests.statistics.simulated import World

EXACT = SeedVariance(shared=0.0, own=1e-6, per_game=0.0, observed=1e-6, freedom=1e9)


def test_the_seeds_share_is_told_from_the_noise_of_the_games() -> None:
    world = World(variants=40, seeds=5, own=0.0011, shared=0.002, seed_game=0.05)
    found = [seed_variance(world.draw(np.random.default_rng(seed))[1]) for seed in range(20)]
    assert np.mean([seen.own for seen in found]) == pytest.approx(0.0011**2, rel=0.2)
    assert np.mean([seen.shared for seen in found]) == pytest.approx(0.002**2, rel=0.5)
    # Between two such runs on these games the spread is far larger than the seed's own.
    expected = 0.05**2 / 600 * 1.12  # games of unequal length weigh unequally
    assert np.mean([seen.per_game for seen in found]) == pytest.approx(expected, rel=0.1)
    assert found[0].freedom == 4 * 39


def test_without_replicates_the_measured_spread_stands_in() -> None:
    _, paired = World(seeds=1).draw(np.random.default_rng(0))
    seen = seed_variance(paired)
    assert seen.deviation == pytest.approx(DEFAULT_SEED_SD)
    assert math.isnan(seen.per_game)


def test_a_single_pair_of_seeds_is_not_believed_alone() -> None:
    _, paired = World(variants=1, seeds=2, own=0.0).draw(np.random.default_rng(0))
    assert seed_variance(paired).own >= 2 / 3 * DEFAULT_SEED_SD**2


def test_what_replicates_share_cancels_between_variants_that_have_the_same() -> None:
    _, paired = World(variants=2, seeds=2).draw(np.random.default_rng(0))
    shared = SeedVariance(shared=1.0, own=1e-6, per_game=0.0, observed=1e-6, freedom=1e9)
    variance, _ = difference_variance(paired, shared, leader=0)
    assert variance[1] < 0.01
    assert mean_variance(paired, shared)[0][1] > 0.4
    apart = PairedRuns(paired.table, paired.variant, np.arange(4))
    assert difference_variance(apart, shared, leader=0)[0][1] == pytest.approx(1.0, rel=0.01)


def test_the_leader_does_not_differ_from_itself() -> None:
    _, paired = World().draw(np.random.default_rng(0))
    assert difference_variance(paired, EXACT, leader=3)[0][3] == 0.0


@pytest.mark.parametrize(
    "world",
    [World(), World(seeds=1), World(seeds=4, unequal=True, shared=0.002), World(own=0.0)],
    ids=["three seeds", "one seed", "unequal", "no seed effect"],
)
def test_intervals_cover_the_truth_about_as_often_as_they_say(world: World) -> None:
    rng = np.random.default_rng(1)
    of_means, of_differences = [], []
    for _ in range(400):
        truth, paired = world.draw(rng)
        seed = seed_variance(paired)
        low, high = interval(paired.means, *mean_variance(paired, seed))
        of_means.append((low <= truth) & (truth <= high))
        gap = paired.means - paired.means[0]
        low, high = interval(gap, *difference_variance(paired, seed, leader=0))
        inside = (low <= truth - truth[0]) & (truth - truth[0] <= high)
        of_differences.append(inside[1:])
    for covered in (np.mean(of_means), np.mean(of_differences)):
        assert 0.925 <= covered <= 0.985
