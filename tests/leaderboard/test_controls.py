"""Negative controls are trained and listed, but decide nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hexsearch.ledger.events import Record
from hexsearch.ledger.history import StudyHistory, TrialHistory
from hexsearch.ledger.ledger import read_ledger
from hexsearch.ledger.report import ReportSummary
from tests.search.simulation import curve, make_engine, revalued, run_serially, study_config

SPACE: dict[str, Any] = {
    "search": {
        "value_head": {"choice": ["512->1", "512->32->1"]},
        "readout": {"choice": ["bce", "raw_mse"]},
        "optimiser.learning_rate": {"float": [1e-3, 1e-1], "log": True},
    },
    "searcher": {"name": "random"},
}


def with_splendid_controls(trial: TrialHistory, positions: int) -> ReportSummary:
    found = curve(trial, positions)
    return revalued(found, 0.001) if trial.is_control else found


def run(path: Path) -> tuple[list[Record], StudyHistory]:
    engine = make_engine(path, study_config(**SPACE))
    run_serially(engine, with_splendid_controls)
    engine.ledger.close()
    return read_ledger(path), engine.history


def test_a_control_runs_to_its_end_and_stands_at_no_rung(tmp_path: Path) -> None:
    records, history = run(tmp_path / "ledger.jsonl")
    controls = {name for name, trial in history.trials.items() if trial.is_control}
    assert 0 < len(controls) < len(history.trials)
    assert {history.trials[name].status for name in controls} == {"completed"}
    compared = {r["trial"] for r in records if r["event"] == "decided" and r["rung"] is not None}
    assert compared == set(history.trials) - controls


def test_the_searcher_learns_nothing_from_a_control(tmp_path: Path) -> None:
    records, history = run(tmp_path / "ledger.jsonl")
    told = {r["trial"]: r["state"] for r in records if r["event"] == "told"}
    for name, trial in history.trials.items():
        assert (told[name] == "FAIL") == trial.is_control


def test_a_study_with_controls_that_is_cut_and_resumed_equals_one_that_was_not(
    tmp_path: Path,
) -> None:
    whole = tmp_path / "whole.jsonl"
    records, _ = run(whole)
    lines = whole.read_bytes().splitlines(keepends=True)
    decided = [i for i, r in enumerate(records) if r["event"] in ("reported", "decided")]
    for cut in decided[:: len(decided) // 8]:
        path = tmp_path / f"cut{cut}.jsonl"
        path.write_bytes(b"".join(lines[: cut + 1]))
        resumed, _ = run(path)

        def essential(all_records: list[Record]) -> list[Any]:
            kept = ("reported", "decided", "told")
            return [(r["event"], r["trial"]) for r in all_records if r["event"] in kept]

        assert essential(resumed) == essential(records)
