from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from hexsearch.config.run import RunConfig
from hexsearch.ledger.events import Event, Record, Reported, Started
from hexsearch.ledger.history import StudyHistory
from hexsearch.ledger.ledger import read_ledger, without_times
from hexsearch.ledger.report import ReportSummary
from hexsearch.search.budget import Horizon, Pace
from tests.search.simulation import curve, make_engine, report, run_serially, study_config


def started(at: float, attempt: int = 1, trial: str = "t0000") -> Started:
    return Started(at=at, trial=trial, attempt=attempt)


def reported(at: float, positions: int, trial: str = "t0000") -> Reported:
    return Reported(at=at, trial=trial, report=report(positions, 0.2))


def pace_of(*events: Event) -> Pace:
    pace = Pace()
    for event in events:
        pace.apply(event)
    return pace


def test_a_training_takes_its_set_up_once_and_its_later_pace_for_the_rest() -> None:
    pace = pace_of(started(0.0), reported(30.0, 100), reported(40.0, 200), reported(60.0, 400))
    assert pace.seconds(1000, 0.5) == pytest.approx(30.0 + 900 * 0.1)


def test_the_first_report_is_all_there_is_to_go_by_until_the_second() -> None:
    assert Pace().seconds(1000, 0.5) == 0.0
    assert pace_of(started(5.0), reported(10.0, 100)).seconds(1000, 0.5) == pytest.approx(50.0)


def test_a_pause_before_a_trial_went_on_is_not_its_pace() -> None:
    steady = (started(0.0), reported(10.0, 100), reported(20.0, 200))
    paused = (started(9000.0, attempt=2), reported(9500.0, 300), reported(9510.0, 400))
    assert pace_of(*steady, *paused).seconds(1000, 0.5) == pytest.approx(100.0)


def test_where_trials_train_at_different_speeds_a_share_of_them_is_quick_enough() -> None:
    quick = (started(0.0), reported(10.0, 100), reported(20.0, 200))
    slow = (started(0.0, trial="t1"), reported(30.0, 100, "t1"), reported(60.0, 200, "t1"))
    pace = pace_of(*quick, *slow)
    assert pace.seconds(1000, 0.3) == pytest.approx(100.0)
    assert pace.seconds(1000, 1.0) == pytest.approx(300.0)


def left(pace: Pace, history: StudyHistory, seconds_left: float = math.inf, **run: Any) -> float:
    horizon = Horizon(RunConfig(**run), 1000, 0.5, lambda: seconds_left, pace)
    return horizon.trainings_left(history, workers=2)


def test_the_tightest_budget_counts_and_totals_are_shared_among_workers() -> None:
    pace = pace_of(started(0.0), reported(10.0, 100))  # a whole training takes 100 s
    history = StudyHistory(positions=4000, trial_seconds=1600.0)
    assert left(pace, history) == math.inf
    assert left(pace, history, seconds_left=50.0) == pytest.approx(0.5)
    assert left(pace, history, position_budget=10_000) == pytest.approx(3.0)
    hour = {"gpu_hours": 0.5, "gpus_per_trial": 0.5}  # an hour of trials, of which 2,000 s are left
    assert left(pace, history, **hour) == pytest.approx(10.0)
    assert left(pace, history, 50.0, position_budget=10_000, **hour) == pytest.approx(0.5)


def test_seconds_say_nothing_before_the_first_report() -> None:
    assert left(Pace(), StudyHistory(), seconds_left=1.0) == math.inf


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def timed(self, trial: Any, positions: int) -> ReportSummary:
        self.now += (positions - trial.positions_seen) / 64
        return curve(trial, positions)


def decisions(path: Path, seconds: float, **run: Any) -> list[tuple[str, float | None]]:
    """Of trials that each take 27 s, a second for 64 positions, and stop in so many seconds."""
    clock = Clock()
    engine = make_engine(
        path,
        study_config(run={"trials": 12, **run}),
        clock=clock,
        seconds_left=lambda: seconds - clock.now,
    )
    run_serially(engine, clock.timed)
    return [
        (record["decision"], record["trainings_left"])
        for record in read_ledger(path)
        if record["event"] == "decided"
    ]


def test_nothing_is_pruned_once_no_fresh_trial_could_come_to_its_end(tmp_path: Path) -> None:
    told = decisions(tmp_path / "told.jsonl", seconds=80.0)
    early = [decision for decision, share in told if share is not None and share >= 1.0]
    late = [decision for decision, share in told if share is not None and share < 1.0]
    assert "prune" in early and "prune" not in late and "complete" in late


@pytest.mark.parametrize("seconds, run", [(math.inf, {}), (10.0, {"stop_pruning_near_end": False})])
def test_pruning_goes_on_where_no_end_is_known_or_it_is_not_to_be_minded(
    tmp_path: Path, seconds: float, run: dict[str, Any]
) -> None:
    as_ever = decisions(tmp_path / "ledger.jsonl", seconds, **run)
    assert [share for _, share in as_ever] == [None] * len(as_ever)
    assert sum(decision == "prune" for decision, _ in as_ever) > 3


def test_the_last_trial_is_pruned_as_ever_since_nothing_waits_for_its_worker(
    tmp_path: Path,
) -> None:
    of_one = [decisions(tmp_path / f"{s}.jsonl", s, trials=2) for s in (10.0, math.inf)]
    assert [decision for decision, _ in of_one[0]] == [decision for decision, _ in of_one[1]]


def essential(records: list[Record]) -> list[Record]:
    kept = ("suggested", "reported", "decided", "told")
    return [without_times(record) for record in records if record["event"] in kept]


def test_near_the_end_of_a_position_budget_a_resumed_study_decides_as_never_stopped(
    tmp_path: Path,
) -> None:
    config = study_config(run={"trials": 12, "position_budget": 5000})
    engine = make_engine(tmp_path / "whole.jsonl", config)
    run_serially(engine)
    engine.ledger.close()
    whole = read_ledger(tmp_path / "whole.jsonl")
    assert any(r["value_loss"] > (r["cutoff"] or 1.0) for r in whole if _went_on(r))
    lines = (tmp_path / "whole.jsonl").read_bytes().splitlines(keepends=True)
    last = max(place for place, record in enumerate(whole) if record["event"] == "reported")
    for cut in range(1, last):  # with that one the budget is used up, and resuming is refused
        path = tmp_path / f"cut{cut}.jsonl"
        path.write_bytes(b"".join(lines[:cut]))
        engine = make_engine(path, config)
        run_serially(engine)
        engine.ledger.close()
        assert essential(read_ledger(path)) == essential(whole), f"cut after record {cut}"


def _went_on(record: Record) -> bool:
    return bool(record["event"] == "decided" and record["decision"] == "continue")
