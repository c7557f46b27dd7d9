from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hexsearch.statistics.intervals import Floats, GameTable
from hexsearch.statistics.posterior import posterior
from hexsearch.statistics.ranking import Ranking, rank, seeds_to_separate, tie_groups
from hexsearch.statistics.variance import SeedVariance, seed_variance
from tests.statistics.simulated import World


def simulate(world: World, studies: int, seed: int = 0) -> list[tuple[Floats, Ranking]]:
    rng = np.random.default_rng(seed)
    results = []
    for _ in range(studies):
        truth, paired = world.draw(rng)
        results.append((truth, rank(paired, rng)))
    return results


@pytest.mark.parametrize("seeds", [1, 3])
def test_the_tied_hold_the_true_best_and_leave_the_poor_out(seeds: int) -> None:
    results = simulate(World(seeds=seeds, between=0.004), 200)
    assert np.mean([ranking.tied[truth.argmin()] for truth, ranking in results]) >= 0.95
    assert np.mean([ranking.tied.sum() for _, ranking in results]) < 9


def test_groups_follow_one_another_and_hold_everyone() -> None:
    _, paired = World(between=0.02).draw(np.random.default_rng(0))
    group = tie_groups(paired, seed_variance(paired))
    assert set(group) == set(range(group.max() + 1))
    assert group.max() >= 3
    best_of_each = [paired.means[group == number].min() for number in range(group.max() + 1)]
    assert best_of_each == sorted(best_of_each)


def test_games_that_move_all_variants_alike_move_no_expectation() -> None:
    _, paired = World(variants=5, seeds=3, between=0.0).draw(np.random.default_rng(0))
    table = paired.table
    common = table.sums.mean(axis=0)
    level = common.sum() / table.counts.sum() * table.counts
    # The same games, answered alike but for how far each variant goes from 0.5.
    boldness = np.repeat([1.0, 1.02, 1.04, 1.05, 1.06], 3)[:, None]
    sums = level + boldness * (common - level) + 0.01 * (table.sums - common)
    ranking = rank(replace(paired, table=GameTable(sums, table.counts)), np.random.default_rng(0))
    slack = 0.5 * np.ptp(ranking.means)
    assert ranking.means.min() - slack <= ranking.expected_value_loss.min()
    assert ranking.expected_value_loss.max() <= ranking.means.max() + slack


def test_a_probability_of_being_best_happens_as_often_as_it_says() -> None:
    results = simulate(World(variants=8, seeds=3), 500)
    said = np.concatenate([ranking.probability_best for _, ranking in results])
    was = np.concatenate([np.arange(8) == truth.argmin() for truth, _ in results])
    for low, high in ((0.0, 0.1), (0.1, 0.3), (0.3, 0.6), (0.6, 1.01)):
        inside = (said >= low) & (said < high)
        error = np.sqrt(said[inside].mean() / inside.sum())
        assert abs(said[inside].mean() - was[inside].mean()) < 0.02 + 3 * error


def test_what_is_certain_is_not_shrunk_and_diverged_runs_do_not_matter() -> None:
    scores = np.array([0.160, 0.162, 0.163, 0.165])
    certain = posterior(scores, 1e-12 * np.eye(4), np.random.default_rng(0))
    np.testing.assert_allclose(certain.expected_value_loss, scores, atol=1e-6)
    assert certain.probability_best[0] == 1.0
    noisy = 1e-6 * np.eye(6)
    alone = posterior(scores, noisy[:4, :4], np.random.default_rng(0))
    diverged = posterior(np.append(scores, [0.25, 0.9]), noisy, np.random.default_rng(0))
    np.testing.assert_allclose(diverged.expected_value_loss[:4], alone.expected_value_loss)
    assert diverged.expected_value_loss[4:].tolist() == [0.25, 0.9]
    assert not diverged.probability_best[4:].any()
    assert np.isnan(diverged.differences(0)[0]).tolist() == [False] * 4 + [True] * 2


def test_variants_that_answer_alike_share_the_chance_of_being_best() -> None:
    belief = posterior(np.full(4, 0.16), np.full((4, 4), 1e-6), np.random.default_rng(0))
    np.testing.assert_allclose(belief.probability_best, 0.25, atol=0.05)


def test_one_variant_alone_is_the_best() -> None:
    truth, paired = World(variants=1).draw(np.random.default_rng(0))
    ranking = rank(paired, np.random.default_rng(0))
    assert ranking.probability_best.tolist() == [1.0]
    assert (ranking.low < truth).all() and ranking.tied.all()


def test_a_ranking_is_a_function_of_its_generator() -> None:
    _, paired = World().draw(np.random.default_rng(0))
    once, again = (rank(paired, np.random.default_rng(7)) for _ in range(2))
    np.testing.assert_array_equal(once.probability_best, again.probability_best)


def test_the_seeds_that_are_asked_for_do_separate() -> None:
    world = World(variants=2, seeds=3, games=2000, between=0.0, variant_game=0.0)
    exact = SeedVariance(0.0, world.own**2, 1.1 * world.seed_game**2 / 2000, world.own**2, 1e9)
    _, paired = world.draw(np.random.default_rng(0))
    more = seeds_to_separate(paired, exact, delta=0.002)
    assert more is not None and 1 <= more <= 10
    rng = np.random.default_rng(1)
    seen = []
    for _ in range(300):
        _, paired = replace(world, seeds=3 + more).draw(rng)
        paired.table.sums[paired.variant == 1] += 0.002 * paired.table.counts
        seen.append(rank(paired, rng, exact).group[1] == 1)
    assert 0.7 <= np.mean(seen) <= 0.92


def test_more_seeds_are_no_remedy_for_too_few_games() -> None:
    world = World(games=50, variant_game=0.1, seed_game=0.001)
    _, paired = world.draw(np.random.default_rng(0))
    seed = seed_variance(paired)
    assert seeds_to_separate(paired, seed, delta=0.0005) is None
    assert seeds_to_separate(paired, seed, delta=0.5) == 0
