"""The statements of a leaderboard are true as often as they claim, on studies with known truth.

Each study is drawn from a World and ranked by the code that ranks real studies. Then its leader is
evaluated again with fresh seeds on other games, as in a confirmation.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest

from hexsearch.statistics.intervals import Floats
from hexsearch.statistics.ranking import rank
from tests.statistics.simulated import World

MEASURED = World()
REPLICATED = {
    "measured": MEASURED,
    "seeds as far apart as measured": World(own=0.0015),
    "two seeds": World(seeds=2),
    "unequal seeds with a shared part": World(seeds=4, unequal=True, shared=0.002),
    "variants far apart": World(between=0.006),
}
# Nothing to find; no seed to learn from; few games: where more is covered than is promised.
HARD = {
    "variants alike": World(between=0.0),
    "one seed": World(seeds=1),
    "few games": World(games=100),
}


@dataclass(frozen=True)
class Found:
    """One figure for each of D studies.

    Attributes:
        of_losses, of_differences: share of a study's intervals that hold the truth, of value
            losses and of the others' differences to the leader.
        tied: whether the best is among the tied.
        optimism: how much too low the leader's search score is; predicted: how much lower it is
            than the expected one. Both against the mean of all, which selection does not move.
        confirmed: confirmed score of the leader less the true one; lead: of its difference to the
            first variant, the same. of_confirmed: whether the interval holds the truth.
    """

    of_losses: Floats
    of_differences: Floats
    tied: Floats
    optimism: Floats
    predicted: Floats
    confirmed: Floats
    lead: Floats
    of_confirmed: Floats


def simulate(world: World, studies: int, seed: int = 0) -> Found:
    rng = np.random.default_rng(seed)
    return Found(*np.array([study(world, rng) for _ in range(studies)]).T)


def study(world: World, rng: np.random.Generator) -> list[float]:
    truth, paired = world.draw(rng)
    ranking = rank(paired, rng)
    leader = ranking.leader
    others = np.arange(len(truth)) != leader
    behind, shown = truth - truth[leader], ranking.to_leader
    held = (shown.low <= behind) & (behind <= shown.high)
    seen = ranking.means[leader] - ranking.means.mean()
    again = truth[[leader, 0]]
    confirmation = rank(replace(world, seeds=3, unequal=False).judge(again, rng), rng)
    return [
        ((ranking.low <= truth) & (truth <= ranking.high)).mean(),
        held[others].mean(),
        ranking.tied[truth.argmin()],
        truth[leader] - truth.mean() - seen,
        ranking.expected_value_loss[leader] - ranking.expected_value_loss.mean() - seen,
        confirmation.means[0] - again[0],
        (confirmation.means[0] - confirmation.means[1]) - (again[0] - again[1]),
        confirmation.low[0] <= again[0] <= confirmation.high[0],
    ]


def error(figures: Floats) -> float:
    """Standard error of their mean: of the simulation, not of what is simulated."""
    return float(figures.std(ddof=1) / np.sqrt(len(figures)))


def check_intervals(found: Found, slack: float) -> None:
    """95% intervals hold the truth in 93 to 97%, give or take `slack` errors of the simulation."""
    for covered in (found.of_losses, found.of_differences, found.of_confirmed):
        room = slack * error(covered)
        assert 0.93 - room <= covered.mean() <= 0.97 + room


def check_scores(found: Found, world: World, slack: float) -> None:
    """The search score is optimistic by what is predicted, the confirmed one is not."""
    assert found.optimism.mean() > 4 * error(found.optimism)
    missed = found.optimism - found.predicted
    assert abs(missed.mean()) <= 0.1 * world.own + slack * error(missed)
    for off in (found.confirmed, found.lead):
        assert abs(off.mean()) <= 4 * error(off)
    # Against the optimism that it is to be free of, the confirmed lead is known well enough.
    assert error(found.lead) < 0.15 * found.optimism.mean()


@pytest.mark.slow
def test_a_leaderboard_is_as_sure_as_it_says() -> None:
    found = simulate(MEASURED, 400)
    check_intervals(found, slack=3.0)
    check_scores(found, MEASURED, slack=3.0)
    assert found.tied.mean() >= 0.95


@pytest.mark.slow
@pytest.mark.parametrize("world", REPLICATED.values(), ids=REPLICATED)
def test_intervals_ties_and_scores_hold_over_thousands_of_studies(world: World) -> None:
    found = simulate(world, 3000, seed=1)
    check_intervals(found, slack=0.0)
    check_scores(found, world, slack=2.0)
    assert found.tied.mean() >= 0.95


@pytest.mark.slow
@pytest.mark.parametrize("world", HARD.values(), ids=HARD)
def test_where_little_can_be_known_no_more_is_claimed(world: World) -> None:
    found = simulate(world, 2000, seed=2)
    assert found.of_losses.mean() >= 0.93 and found.of_differences.mean() >= 0.93
    assert found.tied.mean() >= 0.95
    assert abs(found.confirmed.mean()) <= 4 * error(found.confirmed)
    assert 0 < found.predicted.mean() <= found.optimism.mean() + 0.1 * world.own
