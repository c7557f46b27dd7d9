from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hexsearch.ledger.events import Record, Reported
from hexsearch.ledger.history import ENDED, StudyHistory, TrialHistory
from hexsearch.ledger.ledger import read_ledger, without_times
from hexsearch.ledger.report import ReportSummary
from hexsearch.search.engine import Engine
from tests.search.simulation import (
    curve,
    make_engine,
    next_trial,
    report,
    run_serially,
    study_config,
)


def finished_ledger(path: Path, **sections: Any) -> list[Record]:
    engine = make_engine(path, study_config(**sections))
    run_serially(engine)
    engine.ledger.close()
    return read_ledger(path)


def test_every_trial_ends_and_is_told_once(tmp_path: Path) -> None:
    records = finished_ledger(tmp_path / "ledger.jsonl")
    history = StudyHistory.read(tmp_path / "ledger.jsonl")
    assert len(history.trials) == 12
    assert {trial.status for trial in history.trials.values()} == {"completed", "pruned"}
    told = [record["trial"] for record in records if record["event"] == "told"]
    assert sorted(told) == sorted(history.trials)


def test_the_same_seed_writes_the_same_ledger(tmp_path: Path) -> None:
    one = finished_ledger(tmp_path / "one" / "ledger.jsonl")
    other = finished_ledger(tmp_path / "other" / "ledger.jsonl")
    assert [without_times(record) for record in one] == [without_times(r) for r in other]


def test_another_seed_tries_other_values(tmp_path: Path) -> None:
    one = finished_ledger(tmp_path / "one" / "ledger.jsonl")
    other = finished_ledger(tmp_path / "other" / "ledger.jsonl", run={"trials": 12, "seed": 1})
    assert [r.get("values") for r in one] != [r.get("values") for r in other]


def essential(records: list[Record]) -> list[Record]:
    kept = ("suggested", "reported", "decided", "told", "failed")
    return [without_times(record) for record in records if record["event"] in kept]


def test_cut_after_any_record_and_resumed_equals_never_stopped(tmp_path: Path) -> None:
    whole = tmp_path / "whole.jsonl"
    expected = essential(finished_ledger(whole))
    lines = whole.read_bytes().splitlines(keepends=True)
    for cut in range(1, len(lines)):
        path = tmp_path / f"cut{cut}.jsonl"
        torn = lines[cut][: len(lines[cut]) // 2]
        path.write_bytes(b"".join(lines[:cut]) + torn)
        engine = make_engine(path, study_config())
        run_serially(engine)
        engine.ledger.close()
        assert essential(read_ledger(path)) == expected, f"cut after record {cut}"


def test_unfinished_trials_come_first_on_resume(tmp_path: Path) -> None:
    engine = make_engine(tmp_path / "ledger.jsonl", study_config(), slots=lambda: 3)
    started = [next_trial(engine) for _ in range(3)]
    assert next_trial(engine) == "wait"
    for trial in started[1:]:
        assert isinstance(trial, TrialHistory)
        engine.start(trial.trial)
        engine.report(trial.trial, curve(trial, 64))
    engine.ledger.close()
    again = make_engine(tmp_path / "ledger.jsonl", study_config())
    first = next_trial(again)
    assert isinstance(first, TrialHistory)
    unfinished = [t.trial for t in again.history.trials.values() if t.status not in ENDED]
    assert first.trial == unfinished[0]
    assert first.positions_seen in (0, 64)


def test_a_report_that_is_held_already_changes_nothing(tmp_path: Path) -> None:
    engine = make_engine(tmp_path / "ledger.jsonl", study_config())
    trial = next_trial(engine)
    assert isinstance(trial, TrialHistory)
    engine.start(trial.trial)
    engine.report(trial.trial, report(64, 0.2))
    count = len(engine.ledger.records)
    assert engine.report(trial.trial, report(64, 0.9)) == "continue"
    assert len(engine.ledger.records) == count


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_fails_its_trial_and_not_the_study(
    tmp_path: Path, value: float
) -> None:
    def reports(trial: TrialHistory, positions: int) -> ReportSummary:
        return report(positions, value) if trial.number == 2 else curve(trial, positions)

    engine = make_engine(tmp_path / "ledger.jsonl", study_config())
    run_serially(engine, reports)
    third = engine.history.trials["t0002"]
    assert third.status == "failed"
    assert "value_loss is" in third.reason and "at 64 positions" in third.reason
    assert len(engine.history.trials) == 12
    states = {r["trial"]: r["state"] for r in engine.ledger.records if r["event"] == "told"}
    assert states["t0002"] == "FAIL"


def test_draining_starts_nothing_and_lets_trials_go_at_their_next_report(tmp_path: Path) -> None:
    engine = make_engine(tmp_path / "ledger.jsonl", study_config())
    trial = next_trial(engine)
    assert isinstance(trial, TrialHistory)
    engine.start(trial.trial)
    engine.drain()
    assert engine.report(trial.trial, report(64, 0.2)) == "stop"
    engine.release(trial.trial)
    assert next_trial(engine) == "finished"
    assert engine.history.trials[trial.trial].status == "running"


def test_a_configuration_that_comes_up_again_is_a_further_seed(tmp_path: Path) -> None:
    config = study_config(search={"value_head": {"choice": ["512->1", "512->32->1"]}})
    engine = make_engine(tmp_path / "ledger.jsonl", config)
    run_serially(engine)
    groups: dict[str, list[TrialHistory]] = {}
    for trial in engine.history.trials.values():
        groups.setdefault(trial.variant, []).append(trial)
    assert len(groups) == 2
    for trials in groups.values():
        assert [trial.replicate for trial in trials] == list(range(len(trials)))
        assert len({trial.seed for trial in trials}) == len(trials)
    first_seeds = {trials[0].seed for trials in groups.values()}
    assert len(first_seeds) == 1  # equal replicates share their seed across variants


def test_enqueued_configurations_come_first(tmp_path: Path) -> None:
    config = study_config(enqueue=[{"value_head": "512->32->1", "optimiser.learning_rate": 0.05}])
    engine = make_engine(tmp_path / "ledger.jsonl", config)
    trial = next_trial(engine)
    assert isinstance(trial, TrialHistory)
    assert trial.values == {"value_head": "512->32->1", "optimiser.learning_rate": 0.05}
    assert engine.ledger.records[-1]["origin"] == "enqueued"


def test_a_pruned_trial_records_rung_rank_and_cut_off(tmp_path: Path) -> None:
    records = finished_ledger(tmp_path / "ledger.jsonl")
    pruned = [record for record in records if record.get("decision") == "prune"]
    assert pruned
    for record in pruned:
        assert record["rung"] in (64, 192, 576)
        assert record["rank"] > max(1, record["of"] // 3)
        assert record["cutoff"] <= record["value_loss"]


def test_the_searcher_moves_towards_better_values(tmp_path: Path) -> None:
    engine: Engine = make_engine(tmp_path / "ledger.jsonl", study_config(run={"trials": 40}))
    run_serially(engine)
    gaps = [
        abs(trial.values["optimiser.learning_rate"] - 0.01)
        for trial in engine.history.trials.values()
    ]
    assert sum(gaps[-15:]) / 15 < sum(gaps[:10]) / 10


def test_the_target_can_be_raised_on_resume(tmp_path: Path) -> None:
    finished_ledger(tmp_path / "ledger.jsonl")
    engine = make_engine(tmp_path / "ledger.jsonl", study_config(run={"trials": 15}))
    run_serially(engine)
    assert len(engine.history.trials) == 15


@pytest.mark.parametrize("name", ["hyperband", "median", "none"])
def test_every_scheduler_cut_and_resumed_decides_as_never_stopped(
    tmp_path: Path, name: str
) -> None:
    scheduler = {"name": name, "grace_period": 64, "max_t": 576}
    sections = {"scheduler": scheduler, "searcher": {"name": "random"}, "run": {"trials": 14}}
    expected = essential(finished_ledger(tmp_path / "whole.jsonl", **sections))
    lines = (tmp_path / "whole.jsonl").read_bytes().splitlines(keepends=True)
    for cut in range(1, len(lines), 7):
        path = tmp_path / f"cut{cut}.jsonl"
        path.write_bytes(b"".join(lines[:cut]))
        engine = make_engine(path, study_config(**sections))
        run_serially(engine)
        engine.ledger.close()
        assert essential(read_ledger(path)) == expected, f"cut after record {cut}"


def unhealthy(trial: TrialHistory, positions: int) -> ReportSummary:
    dead: dict[str, Any] = {"verdict": "dead", "evidence": "95% of the trunk features are 0"}
    return replace(curve(trial, positions), **(dead if trial.number == 1 else {}))


def test_a_verdict_that_the_study_stops_on_ends_the_trial_with_its_evidence(
    tmp_path: Path,
) -> None:
    engine = make_engine(tmp_path / "ledger.jsonl", study_config())
    run_serially(engine, unhealthy)
    trial = engine.history.trials["t0001"]
    assert (trial.status, trial.positions_seen) == ("stopped", 64)
    assert trial.reason == "dead at 64 positions: 95% of the trunk features are 0"
    assert trial.told
    scheduler = {"name": "asha", "grace_period": 64, "max_t": 576, "stop_on": []}
    lenient = study_config(scheduler=scheduler)
    engine = make_engine(tmp_path / "lenient.jsonl", lenient)
    run_serially(engine, unhealthy)
    assert engine.history.trials["t0001"].status != "stopped"


def test_a_position_budget_drains_the_study_and_can_be_raised(tmp_path: Path) -> None:
    run = {"trials": 12, "position_budget": 4000, "stop_pruning_near_end": False}
    engine = make_engine(tmp_path / "ledger.jsonl", study_config(run=run))
    run_serially(engine)
    assert engine.halted == "position budget of 4,000"
    assert 4000 <= engine.history.positions < 4000 + 1152
    assert len(engine.history.trials) < 12
    engine.ledger.close()
    run["position_budget"] = 10**9
    engine = make_engine(tmp_path / "ledger.jsonl", study_config(run=run))
    run_serially(engine)
    straight = make_engine(tmp_path / "straight.jsonl", study_config(run={"trials": 12}))
    run_serially(straight)
    assert essential(engine.ledger.records) == essential(straight.ledger.records)


def test_gpu_hours_are_those_of_trials_on_their_share_of_a_gpu(tmp_path: Path) -> None:
    now = iter(range(0, 10**6, 600))  # ten minutes a record
    run = {"trials": 12, "gpus_per_trial": 0.5, "gpu_hours": 1.0}
    engine = make_engine(
        tmp_path / "ledger.jsonl", study_config(run=run), clock=lambda: float(next(now))
    )
    run_serially(engine)
    assert engine.halted == "budget of 1 GPU hours"
    assert engine.history.trial_seconds * 0.5 / 3600 >= 1.0


def test_of_superseded_reports_only_the_learning_curve_stays_in_memory(tmp_path: Path) -> None:
    engine = make_engine(tmp_path / "ledger.jsonl", study_config(run={"trials": 1}))
    run_serially(engine)
    (trial,) = engine.history.trials.values()
    written = [event.report for event in engine.ledger if isinstance(event, Reported)]
    assert len(trial.curve) == len(written) > 2
    assert repr(trial.last_report) == repr(written[-1])  # a figure may be nan
    for kept, whole in zip(trial.curve, written, strict=True):
        assert kept == whole.point
