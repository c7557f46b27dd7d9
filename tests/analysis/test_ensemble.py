from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hexsearch.analysis.ensemble import (
    Ensemble,
    choose_ensembles,
    error_products,
    greedy_weights,
    mix,
)
from hexsearch.training.metrics import Evaluation


def answers(win_prob_red: np.ndarray, seed: int = 0) -> Evaluation:
    count = len(win_prob_red)
    game = np.arange(count) // 10
    won = np.random.default_rng(seed).random(count // 10 + 1) < 0.5
    return Evaluation(
        win_prob_red=win_prob_red,
        red_won=won[game].astype(np.float64),
        stage=np.zeros(count, dtype=np.int8),
        to_end=np.arange(count) % 10,
        final=np.zeros(count, dtype=bool),
        game=game,
        ply=np.arange(count) % 10,
    )


def networks(count: int, noise: float = 0.3, positions: int = 400) -> list[Evaluation]:
    """Equally good, with mistakes of their own."""
    rng = np.random.default_rng(1)
    won = answers(np.zeros(positions)).red_won
    guess = 0.5 + 0.3 * (won - 0.5)
    spread = noise * rng.standard_normal((count, positions))
    return [answers(np.clip(guess + own, 0.0, 1.0)) for own in spread]


def brier(evaluation: Evaluation) -> float:
    return float(np.square(evaluation.win_prob_red - evaluation.red_won).mean())


@given(st.integers(1, 6), st.integers(0, 1000))
def test_the_quadratic_form_is_the_brier_score_of_the_mixture(count: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    members = [answers(rng.random(40)) for _ in range(count)]
    weights = rng.dirichlet(np.ones(count))
    expected = brier(mix(Ensemble("any", weights), members))
    assert weights @ error_products(members) @ weights == pytest.approx(expected)


@given(st.integers(1, 8), st.integers(0, 1000))
def test_greedy_selection_is_never_worse_than_the_best_or_than_any_pair(
    count: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    products = error_products([answers(rng.random(30) ** 2) for _ in range(count)])
    weights = greedy_weights(products)
    loss = weights @ products @ weights
    assert weights.sum() == pytest.approx(1.0) and (weights >= 0).all()
    assert loss <= products.diagonal().min() + 1e-12
    best = int(np.argmin(products.diagonal()))
    for other in range(count):
        pair = np.zeros(count)
        pair[best] += 0.5
        pair[other] += 0.5
        assert loss <= pair @ products @ pair + 1e-12


def test_greedy_selection_step_by_step() -> None:
    # By hand: the first network (loss 1) is taken, then the second, whose errors are opposite to
    # a half; then twice the first to each second is best, with errors 2*1 - 2 = 0.
    errors = np.array([[1.0, -1.0], [-2.0, 2.0], [3.0, 0.0]])
    weights = greedy_weights(errors @ errors.T / 2)
    np.testing.assert_allclose(weights, [2 / 3, 1 / 3, 0.0])


def test_networks_with_mistakes_of_their_own_are_better_together() -> None:
    members = networks(6)
    single, average, greedy = choose_ensembles(members, ("average", "greedy"))
    assert (single.networks, average.networks) == (1, 6) and greedy.networks > 1
    assert brier(mix(greedy, members)) < brier(mix(single, members))
    assert brier(mix(average, members)) < brier(mix(single, members))


def test_copies_gain_nothing_and_a_poor_network_is_left_out() -> None:
    good = networks(1, noise=0.1)[0]
    poor = replace(good, win_prob_red=np.clip(1.0 - good.win_prob_red, 0.0, 1.0))
    weights = greedy_weights(error_products([good, good, poor]))
    assert weights[2] == 0.0
    assert brier(mix(Ensemble("greedy", weights), [good, good, poor])) == pytest.approx(brier(good))


def test_groups_are_averaged_among_themselves() -> None:
    *_, heads = choose_ensembles(networks(4), (), [("heads of seed 1", [1, 3])])
    assert heads.name == "heads of seed 1"
    assert heads.weights.tolist() == [0.0, 0.5, 0.0, 0.5]


def test_answers_to_other_positions_are_not_mixed() -> None:
    one = answers(np.full(40, 0.5))
    with pytest.raises(ValueError, match="different positions"):
        error_products([one, replace(one, ply=one.ply + 1)])
