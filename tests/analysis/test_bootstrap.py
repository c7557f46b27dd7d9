from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest

from hexsearch.analysis.bootstrap import metric_intervals
from hexsearch.training.metrics import Evaluation


def made_up(games: int, plies: int, seed: int) -> Evaluation:
    """Answers that are better than chance, each game with a quality of its own."""
    rng = np.random.default_rng(seed)
    game = np.repeat(np.arange(games), plies)
    won = rng.integers(0, 2, games)[game].astype(float)
    skill = rng.normal(0.8, 1.0, games)[game] + rng.normal(0.0, 0.7, len(game))
    to_end = np.tile(np.arange(plies)[::-1], games)
    return Evaluation(
        win_prob_red=1 / (1 + np.exp(-skill * (2 * won - 1))),
        red_won=won,
        stage=np.zeros(len(game), dtype=np.int8),
        to_end=to_end,
        final=to_end == 0,
        game=game,
        ply=plies - 1 - to_end,
    )


def overall(evaluation: Evaluation, seed: int = 0) -> dict[str, tuple[float, float]]:
    return metric_intervals(evaluation, np.random.default_rng(seed))["overall"]["all"]


def test_the_interval_of_the_value_loss_is_that_of_its_clustered_standard_error() -> None:
    evaluation = made_up(400, 12, seed=1)
    metrics = evaluation.metrics().overall
    low, high = overall(evaluation)["value_loss"]
    assert (high - low) / 2 == pytest.approx(1.96 * metrics.value_loss_se, rel=0.15)


def test_every_metric_lies_in_its_interval_and_every_slice_has_some() -> None:
    evaluation = made_up(300, 12, seed=2)
    metrics = evaluation.metrics()
    found = metric_intervals(evaluation, np.random.default_rng(0))
    assert set(found["overall"]["all"]) == {
        name for name in metrics.overall.__dict__ if name[-3:] not in ("ons", "mes", "_se")
    }
    for name, (low, high) in found["overall"]["all"].items():
        assert low <= getattr(metrics.overall, name) <= high, name
    for cut in ("stages", "to_end", "to_move"):
        assert set(found[cut]) == set(getattr(metrics, cut))


@pytest.mark.slow
def test_intervals_cover_what_more_games_would_show_about_as_often_as_they_say() -> None:
    truth = made_up(20_000, 6, seed=3).metrics().overall
    names = ("accuracy", "log_loss", "auc", "calibration_error", "calibration_slope")
    inside = dict.fromkeys(names, 0)
    for seed in range(40):
        intervals = overall(made_up(150, 6, seed=100 + seed))
        for name in names:
            low, high = intervals[name]
            inside[name] += low <= getattr(truth, name) <= high
    # 38 of 40 are expected; below 33 lies less than one seed in a hundred.
    assert min(inside.values()) >= 33, inside


def test_copies_of_positions_make_no_figure_surer() -> None:
    evaluation = made_up(200, 5, seed=4)
    columns = {
        each.name: np.repeat(getattr(evaluation, each.name), 4)
        for each in fields(Evaluation)
        if each.init
    }
    once, often = overall(evaluation), overall(Evaluation(**columns))
    for name in ("value_loss", "accuracy", "auc", "log_loss"):
        assert often[name] == pytest.approx(once[name], abs=2e-3)


def test_the_same_seed_gives_the_same_intervals() -> None:
    evaluation = made_up(60, 8, seed=5)
    assert overall(evaluation, seed=7) == overall(evaluation, seed=7)
    assert overall(evaluation, seed=7) != overall(evaluation, seed=8)
