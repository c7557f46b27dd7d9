"""Compared programs do the same work; unequal work gives no figures."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import engine_overhead
import overhead_bare
import overhead_plain
import pytest
from engine_overhead import measure, ratios, table, trials_of
from overhead_work import Work
from process_tree import ProcessTree, memory_of

from hexsearch.search.pruning import RungSchedule
from hexsearch.search.space import position_unit
from hexsearch.search.space_parsing import build_space
from hexsearch.training.report_points import report_points


@pytest.fixture
def work(tmp_path: Path) -> Work:
    return Work(
        games="starter",
        trials=1,
        positions=128,
        reports=2,
        validation_games=2,
        board_size=13,
        trunk="tiny",
        directory=str(tmp_path),
    )


def bare_trials(work: Work, monkeypatch: Any, capsys: Any) -> list[dict[str, Any]]:
    monkeypatch.setattr(sys, "argv", ["overhead_bare.py", work.to_argument(), "0"])
    assert overhead_bare.main() == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_a_bare_loop_and_the_plain_script_do_the_same_work(
    work: Work, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (bare,) = bare_trials(work, monkeypatch, capsys)
    reports: list[dict[str, Any]] = []
    monkeypatch.setattr("overhead_plain.tune.report", reports.append)
    overhead_plain.train({"lr": 3e-3}, work, *overhead_plain.dense_positions(work))
    same = ("positions", "evaluated", "parameters")
    assert {name: bare[name] for name in same} == {name: reports[-1][name] for name in same}
    assert [report["positions"] for report in reports] == list(work.points) == [64, 128]
    assert bare["positions"] == work.positions and bare["evaluated"] > 0
    assert all(report["value_loss"] < 0.5 for report in reports)


@pytest.mark.parametrize("positions", [128, 24_576, 30_720])
def test_the_engine_reports_where_the_others_do(work: Work, positions: int) -> None:
    work = replace(work, positions=positions)
    config = work.study
    schedule = RungSchedule.of(config.scheduler, position_unit(build_space(config)))
    assert schedule.max_positions == work.positions
    assert (
        report_points(schedule.max_positions, schedule.report_every, schedule.rungs) == work.points
    )


def test_a_ledger_tells_what_each_trial_did(work: Work) -> None:
    def reported(trial: str, positions: int, began: float) -> dict[str, Any]:
        timings = {"began_at": began}
        report = {"positions_seen": positions, "parameters": 7, "timings": timings}
        return {"event": "reported", "trial": trial, "report": report}

    records = [
        {"event": "study"},
        reported("t0000", 64, 10.0),
        reported("t0001", 64, 10.5),
        reported("t0000", 128, 10.0),
        {"event": "told", "trial": "t0000", "at": 12.0},
        reported("t0001", 128, 10.5),
        {"event": "told", "trial": "t0001", "at": 13.0},
    ]
    trials = trials_of(records, work)
    evaluated = 2 * len(work.dataset().validation)
    common = {"positions": 128, "parameters": 7, "evaluated": evaluated}
    assert trials == [
        {**common, "began_at": 10.0, "ended_at": 12.0},
        {**common, "began_at": 10.5, "ended_at": 13.0},
    ]
    side = measure(replace(work, trials=2), trials, started=1.0, clock_from=4.0, cpu_s=5.0)
    assert (side["seconds"], side["training_s"], side["first_step_s"]) == (9.0, 3.0, 9.0)


def test_unequal_work_gives_no_figures(work: Work) -> None:
    trial = {"positions": 128, "evaluated": 9, "parameters": 7, "began_at": 1.0, "ended_at": 2.0}
    whole = measure(work, [trial], 0.0, 0.0, 1.0)
    with pytest.raises(SystemExit, match="unequal positions"):
        measure(work, [{**trial, "positions": 64}], 0.0, 0.0, 1.0)
    with pytest.raises(SystemExit, match="0 trials instead of 1"):
        measure(work, [], 0.0, 0.0, 1.0)
    other = measure(work, [{**trial, "evaluated": 8}], 0.0, 0.0, 1.0)
    with pytest.raises(SystemExit, match="not do the same work"):
        table({"bare": whole, "plain": other})
    assert "| plain |" in table({"bare": whole, "plain": whole})


def test_ratios_are_taken_within_a_round(work: Work) -> None:
    """The machine may be slower in one round than in another."""

    def side(seconds: float) -> dict[str, float]:
        return dict.fromkeys(("seconds", "training_s", "cpu_s", "first_step_s"), seconds)

    rounds = [{"bare": side(base), "engine": side(1.1 * base)} for base in (10.0, 40.0, 20.0)]
    found = ratios(rounds)
    assert found["engine_over_bare"] == found["engine_over_bare_cpu"] == 1.1
    assert found["bare_s"] == 20.0 and found["first_step_s"] == 22.0


def test_the_cpu_time_of_a_grandchild_counts() -> None:
    burn = "import time\nwhile time.process_time() < 0.6: pass\nimport sys; sys.stdin.read()"
    nested = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {burn!r}])"
    child = subprocess.Popen([sys.executable, "-c", nested], stdin=subprocess.PIPE)
    tree = ProcessTree(child.pid, every_s=0.05)
    with tree:
        while tree.cpu_seconds()["ray"] < 0.4:
            assert child.poll() is None
            time.sleep(0.02)
    child.communicate()
    assert tree.cpu_seconds()["command"] < tree.cpu_seconds()["ray"]


def test_memory_of_a_process_is_read() -> None:
    before = memory_of(os.getpid())
    held = bytearray(os.urandom(64 * 2**20))
    after = memory_of(os.getpid())
    assert 0 < before["private_mib"] <= before["resident_mib"]
    assert after["private_mib"] - before["private_mib"] > 60 and len(held) > 0


@pytest.mark.slow
def test_the_whole_benchmark_on_tiny_trials() -> None:
    size = ["--trials", "2", "--positions", "128", "--reports", "2", "--validation-games", "2"]
    size += ["--trunk", "tiny", "--memory-trials", "4"]
    done = subprocess.run(
        [sys.executable, engine_overhead.__file__, *size], capture_output=True, text=True
    )
    outcome = json.loads(done.stdout.splitlines()[-1])
    assert {"engine_over_bare", "plain_over_bare", "first_step_s", "worker_growth"} <= set(outcome)
    assert min(outcome.values()) > 0
