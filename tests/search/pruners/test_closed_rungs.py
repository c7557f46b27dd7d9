"""Rungs that predict nothing: who goes on there, tested through the engine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from hexsearch.ledger.events import Decided
from hexsearch.ledger.history import TrialHistory
from hexsearch.ledger.report import ReportSummary
from tests.search.pruners.test_evidence import config, telling
from tests.search.simulation import make_engine, next_trial, report, run_serially, study_config

DISAGREE = "do not agree"


@pytest.mark.parametrize("spread, goes_on", [(0.01, True), (0.5, False)])
def test_an_error_spares_a_trial_only_where_the_rung_may_differ_by_chance(
    tmp_path: Path, spread: float, goes_on: bool
) -> None:
    losses = {
        f"t{n:04}": 0.2 + spread * place for n, place in enumerate((3, 0, 1, 8, 7, 6, 5, 1.1))
    }

    def paired(first: str, second: str, positions: int) -> tuple[float, float]:
        return losses[first] - losses[second], 0.1

    engine = make_engine(tmp_path / "ledger.jsonl", config(searcher="random"), paired=paired)
    for loss in losses.values():
        trial = next_trial(engine)
        while isinstance(trial, TrialHistory) and trial.positions_seen:  # it was spared
            engine.start(trial.trial)
            engine.fail(trial.trial, "not looked at")
            engine.release(trial.trial)
            trial = next_trial(engine)
        assert isinstance(trial, TrialHistory)
        engine.start(trial.trial)
        engine.hear(trial.trial, {trial.trial: report(64, loss)})
        engine.release(trial.trial)
    decided = [e for e in engine.ledger if isinstance(e, Decided) and e.rung == 64]
    expected = "continue" if goes_on else "pause"
    assert (decided[-1].trial, decided[-1].decision) == ("t0007", expected)


def reversing(trial: TrialHistory, positions: int) -> ReportSummary:
    """Order at the first rung is the reverse of that at the second."""
    rate = float(trial.values["optimiser.learning_rate"])
    end = abs(np.log10(rate / 0.01)) / 20
    return report(positions, 0.2 - 0.01 * end if positions == 64 else 0.15 + end)


@pytest.mark.parametrize("curves, cuts", [(telling, True), (reversing, False)])
def test_a_study_finds_its_first_rung_itself(
    tmp_path: Path, curves: Callable[[TrialHistory, int], ReportSummary], cuts: bool
) -> None:
    scheduler = {"name": "evidence", "max_t": 1728}
    given = study_config(
        scheduler=scheduler, searcher={"name": "random"}, run={"trials": 80, "seed": 1}
    )
    engine = make_engine(tmp_path / "ledger.jsonl", given)
    run_serially(engine, curves)
    first = [e for e in engine.ledger if isinstance(e, Decided) and e.rung == 64]
    assert {event.decision for event in first[:12]} == {"continue", "pause"}  # it is open at first
    paused = [event for event in first[40:] if event.decision == "pause"]
    closed = [event for event in first if "do not agree" in event.reason]
    assert bool(closed) != cuts
    assert bool(paused) == cuts
    assert engine.history.trials  # the study has ended by itself
