"""Where ranks at rungs do not agree, a study waits for an end before it begins more trials."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from hexsearch.ledger.events import Decided
from hexsearch.ledger.history import TrialHistory
from hexsearch.ledger.report import ReportSummary
from hexsearch.search.engine import Engine
from tests.search.pruners.test_evidence import config, telling
from tests.search.simulation import make_engine, next_trial, report

_WORKERS, _MOST, _TRIALS = 4, 20, 200
Curves = Callable[[TrialHistory, int], ReportSummary]


def unrelated(trial: TrialHistory, positions: int) -> ReportSummary:
    """The values at each rung have nothing to do with those at another one."""
    rng = np.random.default_rng([trial.number, positions])
    return report(positions, 0.15 + 0.05 * float(rng.random()))


def train_until_an_end(engine: Engine, curves: Curves) -> None:
    """Four workers train in turn, each to the next rung, until a trial has ended."""
    running: list[TrialHistory] = []
    while True:
        while len(running) < _WORKERS and isinstance(trial := next_trial(engine), TrialHistory):
            engine.start(trial.trial)
            running.append(trial)
        trial = running.pop(0)
        seen = engine.history.trials[trial.trial].positions_seen
        point = next(at for at in engine.schedules.points("search") if at > seen)
        stops = engine.hear(trial.trial, {trial.trial: curves(trial, point)}) == "stop"
        if point == engine.schedules.points("search")[-1]:
            return
        if stops:
            engine.release(trial.trial)
        else:
            running.append(trial)


def trained(path: Path, curves: Curves) -> Engine:
    engine = make_engine(path, config(_TRIALS, "random"), slots=lambda: _WORKERS)
    train_until_an_end(engine, curves)
    return engine


def test_no_more_than_twenty_begin_where_ranks_do_not_agree(tmp_path: Path) -> None:
    engine = trained(tmp_path / "unrelated.jsonl", unrelated)
    # Those that the other workers train when there is no paused one to go on with may be beyond.
    assert _MOST <= len(engine.history.trials) < _MOST + _WORKERS


def test_more_begin_where_they_agree(tmp_path: Path) -> None:
    engine = trained(tmp_path / "telling.jsonl", telling)
    assert len(engine.history.trials) > _MOST + _WORKERS


@pytest.mark.parametrize("share", [0.5, 0.8, 0.95])
def test_a_study_that_was_cut_off_waits_as_if_it_was_not(tmp_path: Path, share: float) -> None:
    whole = trained(tmp_path / "whole.jsonl", unrelated)
    whole.ledger.close()
    events = list(whole.ledger)
    decided = [n for n, event in enumerate(events) if isinstance(event, Decided)]
    number = decided[int(share * len(decided))]
    lines = (tmp_path / "whole.jsonl").read_bytes().splitlines(True)
    path = tmp_path / "cut.jsonl"
    path.write_bytes(b"".join(lines[:number]))
    resumed = make_engine(path, config(_TRIALS, "random"), slots=lambda: _WORKERS)
    resumed.ledger.close()
    assert list(resumed.ledger)[number] == events[number]
