"""The schedules and figures of the comparison of budgeted schedules."""

from __future__ import annotations

import numpy as np
import pytest
from budgeted_schedules import compared, decaying, rate, regret

from hexsearch.config.optimiser import OptimiserConfig
from hexsearch.training.optimisation import schedule


def test_the_rate_rises_stays_and_decays() -> None:
    config = OptimiserConfig(learning_rate=1.0, warmup=0.1)
    told = [decaying(0.8, 1.0)(config, at) for at in (0.0, 0.05, 0.1, 0.5, 0.8, 0.9, 1.0)]
    assert told == pytest.approx([0.0, 0.5, 1.0, 1.0, 1.0, 0.5, 0.0])
    assert decaying(0.3, 0.4)(config, 0.9) == 0.0


def test_trials_train_by_another_schedule_for_a_while() -> None:
    config = OptimiserConfig(learning_rate=1.0, warmup=0.1)
    kept = schedule.learning_rate(config, 0.9)
    with rate(decaying(0.8, 1.0)):
        assert schedule.learning_rate(config, 0.9) == pytest.approx(0.5)
    assert schedule.learning_rate(config, 0.9) == kept


def test_what_a_choice_by_early_values_loses() -> None:
    early, late = np.array([0.3, 0.2, 0.4]), np.array([0.1, 0.15, 0.2])
    assert regret(early, late) == pytest.approx(0.05)
    draws = np.zeros((10, 3), dtype=np.int64)
    pairs = [(early, late), (late, late)]
    assert compared(pairs, draws, regret) == "0.0500 | 0.0000 | -0.0500 (+0.0000 to +0.0000)"
