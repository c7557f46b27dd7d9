"""Forecasts while some trials fail."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hexsearch.ledger.history import TrialHistory
from hexsearch.search.forecasting.forecast_fit import ForecastFit, Row
from hexsearch.search.forecasting.learned import Learned
from hexsearch.search.forecasting.trend import Trend
from hexsearch.search.space_parsing import build_space
from tests.search.simulation import make_engine, next_trial, report, study_config

SCHEDULER = {"name": "evidence", "grace_period": 64, "max_t": 1728, "reduction_factor": 3}


def test_a_trial_that_is_stopped_before_its_first_rung_is_awaited_no_longer(
    tmp_path: Path,
) -> None:
    scheduler = {**SCHEDULER, "grace_period": 65, "report_every": 16}
    given = study_config(
        trial={"trunk": "tiny", "batch_size": 16},
        scheduler=scheduler,
        searcher={"name": "forecast"},
    )
    engine = make_engine(tmp_path / "ledger.jsonl", given)
    trial = next_trial(engine)
    assert isinstance(trial, TrialHistory)
    engine.start(trial.trial)
    outlook = engine.decisions._outlook
    assert outlook is not None and outlook.forecast.state[2] == 1
    for point in (64, 72):
        dead = replace(report(point, 0.25), verdict="dead")
        verdict = engine.hear(trial.trial, {trial.trial: dead})
    assert verdict == "stop" and engine.schedules.rungs.rungs[0] > 72
    assert outlook.forecast.state[2] == 0


def test_what_a_rung_leaves_open_is_that_of_its_trials_that_have_not_failed() -> None:
    space = build_space(study_config())
    rng = np.random.default_rng(0)
    losses, at = 0.2 + 0.02 * rng.random((12, 3)), rng.random((12, 2))
    rows = [Row(n, at[n], list(losses[n][: 3 if n < 4 else 2]), broken=n >= 8) for n in range(12)]
    fit = ForecastFit(space, rows, 3, Learned(space), Trend((1.0, 1.0)))
    _, variances = fit.at_level(1, losses[4:8, :2], at[4:8])
    assert fit.later[1] == pytest.approx(variances.mean())


def test_a_trial_that_recovers_from_one_very_high_value_is_not_expected_to_win() -> None:
    space = build_space(study_config())
    rng = np.random.default_rng(0)
    at, ends = rng.random((12, 2)), 0.18 + 0.02 * rng.random(12)
    curves = [[end + 0.04 + 0.002 * rng.random(), end + 0.02, end] for end in ends]
    rows = [Row(n, at[n], curves[n][: 3 if n < 4 else 2], broken=False) for n in range(12)]
    fit = ForecastFit(space, rows, 3, Learned(space), Trend((1.0, 1.0)))
    best, recovered = np.array([[0.221, 0.20]]), np.array([[0.90, 0.25]])
    (mean_of_best,), _ = fit.at_level(1, best, at[:1])
    (mean,), _ = fit.at_level(1, recovered, at[:1])
    assert mean > mean_of_best
