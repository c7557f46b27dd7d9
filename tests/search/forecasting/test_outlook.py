"""New configurations before any trial has ended."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hexsearch.ledger.history import TrialHistory
from tests.search.simulation import make_engine, next_trial, report, study_config

SCHEDULER = {"name": "evidence", "grace_period": 64, "max_t": 1728, "reduction_factor": 3}


def distances_from_best(path: Path, reaching: int, starts: int = 30) -> list[float]:
    """How far the learning rates of new trials lie from the best one, in powers of ten.

    Trials report up to `reaching` positions, and train on for ever then.
    """
    given = study_config(
        scheduler=SCHEDULER, searcher={"name": "forecast"}, run={"trials": 60, "seed": 1}
    )
    engine = make_engine(path, given, slots=lambda: 60)
    away: list[float] = []
    while len(away) < starts:
        trial = next_trial(engine)
        assert isinstance(trial, TrialHistory)
        engine.start(trial.trial)
        far = abs(float(np.log10(trial.values["optimiser.learning_rate"] / 0.01)))
        if trial.positions_seen == 0:
            away.append(far)
        for point in (64, 192, 576):
            if trial.positions_seen < point <= reaching:
                stops = engine.hear(trial.trial, {trial.trial: report(point, 0.15 + far / 20)})
                if stops == "stop":
                    engine.release(trial.trial)
                    break
    return away


def test_new_trials_follow_the_values_at_the_highest_rung_that_three_have_passed(
    tmp_path: Path,
) -> None:
    away = distances_from_best(tmp_path / "late.jsonl", reaching=192)
    assert np.mean(away[15:]) < 0.6 * np.mean(away[:6])


def test_values_before_a_ninth_of_the_training_choose_no_trial(tmp_path: Path) -> None:
    away = distances_from_best(tmp_path / "early.jsonl", reaching=64)
    random = distances_from_best(tmp_path / "none.jsonl", reaching=0)
    assert away == random
