from __future__ import annotations

import json
import math
import os
from typing import Any

import numpy as np
import pytest

from hexsearch.ledger.report import Baseline, MetricsSummary, ReportSummary
from hexsearch.model.cost import NetworkCost
from hexsearch.training.metrics import Evaluation
from hexsearch.training.monitors.gradients import GradientHealth
from hexsearch.training.monitors.verdict import Verdict
from hexsearch.training.report import TrialReport


def evaluation(red_won: float | None = None) -> Evaluation:
    """Drawn answers on 400 positions of 40 games."""
    rng = np.random.default_rng(0)
    won = rng.integers(0, 2, 40).astype(np.float64)
    game = np.repeat(np.arange(40), 10)
    return Evaluation(
        win_prob_red=rng.random(400),
        red_won=won[game] if red_won is None else np.full(400, red_won),
        stage=rng.integers(0, 3, 400).astype(np.int8),
        to_end=np.tile(np.arange(9, -1, -1), 40),
        final=np.tile(np.arange(10) == 9, 40),
        game=game,
        ply=np.tile(np.arange(10), 40),
    )


def trial_report(answers: Evaluation) -> TrialReport:
    return TrialReport(
        positions_seen=1000,
        metrics=answers.metrics(),
        policy_loss=4.123456789,
        train_value_loss=0.2,
        train_policy_loss=4.2,
        gradients=GradientHealth(),
        activations={},
        evaluation_activations={},
        verdict=Verdict("healthy", ""),
        game_losses=answers.game_losses(),
        timings={"train_s": 1.0, "evaluate_s": 0.5, "positions_per_s": 1000.0},
        auxiliary_losses={"owner": 0.123456789},
    )


def through_text(summary: ReportSummary) -> dict[str, Any]:
    text: dict[str, Any] = json.loads(json.dumps(summary.to_json(), allow_nan=False))
    return text


def test_a_report_comes_back_from_the_ledger_as_it_was_written() -> None:
    written = ReportSummary.of(trial_report(evaluation()), NetworkCost(1000, 2.0, 3.0), 12.5)
    read = ReportSummary.from_json(through_text(written))
    assert read == written
    assert read.timings.began_at == 12.5 and read.timings.pid == os.getpid()


def test_the_ledger_keeps_every_overall_figure_and_three_of_each_slice() -> None:
    report = trial_report(evaluation())
    text = through_text(ReportSummary.of(report, NetworkCost(1000, 2.0, 3.0)))
    assert text["value_loss"] == pytest.approx(report.value_loss, abs=1e-7)
    assert text["auc"] == pytest.approx(report.metrics.overall.auc, abs=1e-7)
    assert set(text["stages"]) == {"early", "middle", "late", "penultimate", "final"}
    assert set(text["stages"]["final"]) == {"value_loss", "accuracy", "positions"}
    assert text["auxiliary_losses"] == {"owner": 0.123457}
    assert "began_at" not in text["timings"]


def test_an_undefined_figure_is_none_in_the_ledger_and_nan_when_read() -> None:
    one_sided = ReportSummary.of(trial_report(evaluation(red_won=1.0)), NetworkCost(1, 1.0, 1.0))
    text = through_text(one_sided)
    assert text["auc"] is None
    assert math.isnan(ReportSummary.from_json(text).metrics.overall.auc)


def test_a_baseline_has_the_figures_of_a_report() -> None:
    baseline = Baseline("prior", MetricsSummary.of(evaluation().metrics()))
    text = json.loads(json.dumps(baseline.to_json(), allow_nan=False))
    assert text["name"] == "prior"
    assert Baseline.from_json(text) == baseline
