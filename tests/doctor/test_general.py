"""What no listed cause explains is located and measured: regions, sums, stones, maps, figures."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from hexsearch.data.archive import GameArchive
from hexsearch.doctor.checks.evaluation.metrics import metric_findings, own_slices
from hexsearch.doctor.hypotheses.boards.board_maps import described
from hexsearch.doctor.hypotheses.boards.board_readings import other_reading
from hexsearch.doctor.hypotheses.boards.stones import missing_stones
from hexsearch.doctor.hypotheses.formulas.figures import Answers, figures
from hexsearch.doctor.hypotheses.general.fits import short_sum
from hexsearch.doctor.hypotheses.general.regions import region, trend
from hexsearch.doctor.hypotheses.optimisation.directions import explain_directions
from hexsearch.doctor.hypotheses.optimisation.step_factors import explain_offsets
from hexsearch.doctor.hypotheses.truth import Planes, truth_of
from hexsearch.training import metrics
from hexsearch.training.metrics import Evaluation

_RNG = np.random.default_rng(0)
_COLUMNS: dict[str, NDArray[Any]] = {
    "ply": _RNG.integers(0, 20, 600),
    "row in the batch": np.arange(600) % 64,
    "where Red wins": _RNG.random(600) < 0.5,
}


def test_a_region_is_learnt_from_two_columns() -> None:
    wrong = (_COLUMNS["row in the batch"] >= 48) & _COLUMNS["where Red wins"]
    told = region(wrong, _COLUMNS)
    assert told.startswith("exactly")
    assert "row in the batch is at least 48" in told
    assert "where Red wins" in told


def test_samples_that_are_wrong_at_random_have_no_region() -> None:
    assert region(_RNG.random(600) < 0.3, _COLUMNS) == ""


def test_a_trend_names_the_number_on_which_a_share_depends() -> None:
    wrong = _RNG.random(600) < _COLUMNS["ply"] / 30
    assert "where the ply is at most" in trend(wrong, _COLUMNS)
    assert trend(_RNG.random(600) < 0.3, _COLUMNS) == ""


def test_a_sum_is_measured_with_its_factors_and_without_needless_terms() -> None:
    terms = {name: _RNG.normal(size=200) for name in "abcdef"} | {"1": np.ones(200)}
    fit = short_sum(2 * terms["c"] - 0.5 * terms["e"] + 3, terms)
    assert fit.left < 0.01
    assert {name: round(factor, 6) for name, factor in fit.terms.items()} == {
        "c": 2.0,
        "e": -0.5,
        "1": 3.0,
    }


def test_an_offset_is_named_as_the_multiple_of_the_number_that_it_follows() -> None:
    weights, policy = [4.0, 5.0, 7.0], [3.0, 2.9, 3.1]
    found = explain_offsets([0.04, 0.05, 0.07], {"the policy loss": policy, "the weights": weights})
    assert "0.01 times the weights" in found.cause
    assert "changes from step to step" in explain_offsets([1.0, 5.0, 2.0], {}).cause


def test_steps_of_another_optimiser_are_fitted_by_its_direction() -> None:
    generator = torch.Generator().manual_seed(0)
    weights = torch.randn(300, generator=generator, dtype=torch.float64).requires_grad_(True)
    optimiser = torch.optim.RMSprop([weights], lr=0.01)
    gradients, before, after = [], [], []
    for _ in range(4):
        gradients.append(torch.randn(300, generator=generator, dtype=torch.float64))
        before.append(weights.detach().clone())
        weights.grad = gradients[-1].clone()
        optimiser.step()
        after.append(weights.detach().clone())
    rates = [torch.full((300,), 0.01, dtype=torch.float64)] * 4
    found = explain_directions("adamw", gradients, before, after, rates, torch.zeros(300))
    assert found is not None
    assert "RMSprop" in found.cause


def _positions(archive: GameArchive) -> tuple[Planes, Planes]:
    """Planes of 300 positions, and a copy that can be changed."""
    games = np.arange(300, dtype=np.int64)
    plies = (archive.lengths[games] - 2).astype(np.int64)
    planes = truth_of(archive, games, plies).stone_planes(0)
    return planes, planes.copy()


def test_missing_stones_are_described_by_what_they_have_in_common(archive: GameArchive) -> None:
    games = np.arange(300, dtype=np.int64)
    truth = truth_of(archive, games, (archive.lengths[games] - 2).astype(np.int64))
    before = truth.moved(plies=-2).stone_planes(0)
    some = truth.stone_planes(0)
    some[:, 1] = before[:, 1]  # Red's last stone
    told = missing_stones(some, truth)
    assert "where it is a stone of Red" in told
    assert "number of later moves" in told


def test_planes_are_described_by_their_formula_or_as_a_blurred_board(archive: GameArchive) -> None:
    right, found = _positions(archive)
    found[:, 1] = 1.0 - right[:, 0] - right[:, 1]
    told = described(found, right)
    assert "plane 1 is" in told
    assert "the right plane 0" in told
    blurred = 0.4 * right + 0.3 * np.roll(right, 1, axis=2) + 0.3 * np.roll(right, 1, axis=3)
    assert "mean of its neighbourhood" in described(blurred.astype(np.float32), right)
    assert described(_RNG.random(right.shape).astype(np.float32), right) == ""


def test_games_that_lack_a_move_or_are_flipped_are_read_in_another_way(
    archive: GameArchive,
) -> None:
    every = np.arange(len(archive))
    assert other_reading(archive, every) == ""
    flipped = replace(archive, moves=(20 - archive.moves // 5 * 5 + archive.moves % 5).astype("u1"))
    assert "upside down" in other_reading(flipped, every)


def _evaluation() -> Evaluation:
    count = 400
    ply = np.arange(count) % 20
    return Evaluation(
        win_prob_red=_RNG.random(count),
        red_won=(np.arange(count) // 20 % 2).astype(np.float64),
        stage=(ply // 7).astype(np.int8),
        to_end=19 - ply,
        final=ply == 19,
        game=np.arange(count) // 20,
        ply=ply,
    )


def test_figures_of_sound_metrics_are_those_that_are_computed_again() -> None:
    assert list(metric_findings(_evaluation())) == []


def test_a_wrong_figure_is_named_by_what_gives_it(monkeypatch: pytest.MonkeyPatch) -> None:
    evaluation, sound = _evaluation(), metrics.slice_masks
    exchanged = [2, 1, 0, *range(3, 12)]
    monkeypatch.setattr(metrics, "slice_masks", lambda columns: sound(columns)[exchanged])
    (finding,) = metric_findings(evaluation)
    assert "those of 'early' are the figures of 'late'" in finding.cause
    assert set(own_slices(evaluation)) >= {"overall", "early", "final", "red"}


def test_the_standard_error_counts_games_and_not_positions() -> None:
    won = np.repeat([0.0, 1.0] * 10, 20)
    game = np.repeat(np.arange(20), 20)
    p = np.repeat(_RNG.random(20), 20)
    by_game = figures(Answers(p, won, game))["value_loss_se"]
    by_position = figures(Answers(p, won, np.arange(400)))["value_loss_se"]
    assert by_game > 3 * by_position
