from __future__ import annotations

import math

import numpy as np
import pytest

from hexsearch.training.metrics import Evaluation, slice_metrics


def games_of(count: int, each: int = 1) -> np.ndarray:
    return np.repeat(np.arange(count), each)


def test_half_everywhere_scores_a_quarter() -> None:
    won = np.array([0.0, 1.0, 1.0, 0.0])
    figures = slice_metrics(np.full(4, 0.5), won, games_of(4))
    assert figures.value_loss == 0.25
    assert figures.accuracy == 0.5
    assert figures.log_loss == pytest.approx(math.log(2))
    assert figures.auc == 0.5


def test_figures_of_a_hand_made_example() -> None:
    p = np.array([0.9, 0.2, 0.6, 0.45])
    won = np.array([1.0, 0.0, 0.0, 1.0])
    figures = slice_metrics(p, won, games_of(4))
    assert figures.value_loss == pytest.approx((0.01 + 0.04 + 0.36 + 0.3025) / 4)
    assert figures.accuracy == 0.5
    assert figures.strict_accuracy == 0.5
    assert figures.confident_share == 0.5
    assert figures.confident_accuracy == 1.0
    assert figures.auc == 0.75  # of the four pairs only 0.45 against 0.6 is the wrong way round
    assert figures.bias == pytest.approx(0.0375)
    # Each answer is alone in its bin, so the error is the mean absolute gap.
    assert figures.calibration_error == pytest.approx((0.1 + 0.2 + 0.6 + 0.55) / 4)


def test_auc_counts_pairs_as_a_double_loop_does() -> None:
    rng = np.random.default_rng(0)
    p, won = rng.integers(0, 6, 60) / 5, rng.integers(0, 2, 60).astype(float)
    pairs = [
        1.0 if high > low else 0.5 if high == low else 0.0
        for high in p[won == 1]
        for low in p[won == 0]
    ]
    assert slice_metrics(p, won, games_of(60)).auc == pytest.approx(np.mean(pairs))


@pytest.mark.parametrize("factor", [0.5, 1.0, 2.0])
def test_the_slope_is_the_factor_that_mends_the_log_odds(factor: float) -> None:
    rng = np.random.default_rng(4)
    log_odds = rng.normal(size=40_000)
    won = (rng.random(40_000) < 1 / (1 + np.exp(-log_odds))).astype(float)
    stated = 1 / (1 + np.exp(-log_odds / factor))
    figures = slice_metrics(stated, won, games_of(40_000))
    assert figures.calibration_slope == pytest.approx(factor, rel=0.05)
    assert figures.correlation == pytest.approx(np.corrcoef(stated, won)[0, 1])


def test_a_slope_that_does_not_exist_is_nan() -> None:
    won = np.array([0.0, 1.0, 1.0, 0.0])
    separated = slice_metrics(np.array([0.1, 0.8, 0.9, 0.2]), won, games_of(4))
    constant = slice_metrics(np.full(4, 0.3), won, games_of(4))
    one_sided = slice_metrics(np.array([0.1, 0.9]), np.ones(2), games_of(2))
    for figures in (separated, constant, one_sided):
        assert math.isnan(figures.calibration_slope)
    assert math.isnan(constant.correlation) and math.isnan(one_sided.correlation)


def test_the_standard_error_counts_games_and_not_positions() -> None:
    rng = np.random.default_rng(1)
    p, won = rng.random(50), rng.integers(0, 2, 50).astype(float)
    alone = slice_metrics(p, won, games_of(50))
    repeated = slice_metrics(np.repeat(p, 9), np.repeat(won, 9), games_of(50, 9))
    assert repeated.value_loss == pytest.approx(alone.value_loss)
    assert repeated.value_loss_se == pytest.approx(alone.value_loss_se)


def test_with_one_position_a_game_it_is_the_usual_standard_error() -> None:
    rng = np.random.default_rng(2)
    p, won = rng.random(40), rng.integers(0, 2, 40).astype(float)
    expected = np.square(p - won).std(ddof=1) / math.sqrt(40)
    assert slice_metrics(p, won, games_of(40)).value_loss_se == pytest.approx(expected)


def test_a_confident_error_costs_a_finite_log_loss() -> None:
    figures = slice_metrics(np.array([0.0]), np.array([1.0]), games_of(1))
    assert math.isfinite(figures.log_loss)


def test_shapes_that_would_broadcast_are_refused() -> None:
    with pytest.raises(ValueError, match="shapes differ"):
        slice_metrics(np.zeros((3, 1)), np.zeros(3), games_of(3))


def evaluation() -> Evaluation:
    return Evaluation(
        win_prob_red=np.array([0.5, 0.6, 0.9, 0.1, 0.2]),
        red_won=np.array([1.0, 1.0, 1.0, 0.0, 0.0]),
        stage=np.array([0, 1, 2, 0, 2], dtype=np.int8),
        to_end=np.array([2, 1, 0, 40, 0]),
        final=np.array([False, False, True, False, True]),
        game=np.array([7, 7, 7, 9, 9]),
        ply=np.array([4, 5, 6, 1, 41]),
    )


def test_positions_fall_into_their_stages_and_bands() -> None:
    metrics = evaluation().metrics()
    counts = {name: part.positions for name, part in metrics.stages.items()}
    assert counts == {"early": 2, "middle": 1, "late": 2, "penultimate": 1, "final": 2}
    assert {name: part.positions for name, part in metrics.to_end.items()} == {"0-5": 4, ">30": 1}
    by_mover = {name: part.positions for name, part in metrics.to_move.items()}
    assert by_mover == {"blue": 1, "red": 2, "nobody": 2}


def test_losses_by_game_add_up_to_the_overall_loss() -> None:
    losses = evaluation().game_losses()
    assert losses.games.tolist() == [7, 9]
    assert losses.counts.tolist() == [[1, 1, 1], [1, 0, 1]]
    overall = evaluation().metrics().overall.value_loss
    assert losses.sums.sum() / losses.counts.sum() == pytest.approx(overall)


def test_a_slice_with_one_outcome_has_no_auc_and_json_says_null() -> None:
    stages = evaluation().metrics().to_json()["stages"]
    assert stages["penultimate"]["auc"] is None
    assert stages["late"]["auc"] == 1.0


def test_an_evaluation_without_positions_has_no_slices() -> None:
    columns = {
        name: getattr(evaluation(), name)[:0]
        for name in ("win_prob_red", "red_won", "stage", "to_end", "final", "game", "ply")
    }
    metrics = Evaluation(**columns).metrics()
    assert metrics.overall.positions == 0 and not metrics.stages
