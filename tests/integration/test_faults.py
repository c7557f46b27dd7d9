"""Whole studies with faults, from the command line with real Ray."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from hexsearch.ledger.ledger import read_ledger
from tests.integration.test_command_line import (
    LONG,
    ROOT,
    command,
    essential,
    launch,
    run,
    wait_for,
)
from tests.integration.test_command_line import games as games

pytestmark = pytest.mark.slow
STRIKES = ("raise", "memory", "kill", "hang", "nan")
PLUGIN = '''
import os, signal, time
import torch


class Head(torch.nn.Module):
    """Comes to grief, in its own way, at its eighth training step."""

    def __init__(self, inputs, way):
        super().__init__()
        self.layer = torch.nn.Linear(inputs, 1)
        self.register_buffer("step", torch.zeros((), dtype=torch.int64))
        self.way = way

    def forward(self, features):
        out = self.layer(features.mean(dim=(2, 3))).squeeze(-1)
        if self.training and torch.is_grad_enabled():
            self.step += 1
            if int(self.step) >= 8:
                getattr(self, "_" + self.way)()
                out = out * float("nan")
        return out

    def _raise(self):
        raise ValueError("the head's own fault")

    def _memory(self):
        torch.empty(1 << 50)

    def _kill(self):
        os.kill(os.getpid(), signal.SIGKILL)

    def _hang(self):
        time.sleep(600)

    def _nan(self):
        pass
'''


@pytest.fixture
def plugins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "struck.py").write_text(PLUGIN)
    there = f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    monkeypatch.setenv("PYTHONPATH", there)
    return "struck:Head"


def test_every_way_to_fail_ends_its_trial_with_a_reason_and_never_the_study(
    games: Path, tmp_path: Path, plugins: str
) -> None:
    heads = [{"family": plugins, "options": {"way": way}} for way in STRIKES]
    choice = json.dumps({"choice": ["512->1", *heads]})
    space = tmp_path / "space.yaml"
    space.write_text(
        "question: Does one fault end the study?\n"
        "trial: {trunk: tiny, batch_size: 64}\n"
        f"search: {{value_head: {choice}}}\n"
        "scheduler: {name: none, grace_period: 256, max_t: 768, report_every: 256}\n"
        f"run: {{trials: {len(heads) + 1}, hang_timeout: 30s}}\n"
    )
    there = ["--games", games, "--results", tmp_path, "--name", "s", "--set", "data.board_size=5"]
    done = run("launch", space, "--no-doctor", *there, timeout=900.0)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    board = json.loads(run("leaderboard", tmp_path / "s", "--format", "json").stdout)
    rows = {way: row for row in board["rows"] for way in STRIKES if f"way={way}" in row["head"]}
    (sound,) = (row for row in board["rows"] if row["head"] == "512->1")
    assert sound["status"] == "completed" and len(rows) == len(STRIKES)
    failures = {way: row["failures"][0] for way, row in rows.items()}
    assert {row["status"] for row in rows.values()} == {"failed"}
    assert failures["raise"]["reason"] == "ValueError: the head's own fault"
    assert "in _raise" in failures["raise"]["log"]
    assert "lower batch_size" in failures["memory"]["reason"]
    assert failures["kill"]["reason"].startswith("its worker process died")
    assert failures["hang"]["reason"] == "no report within 30 s (run.hang_timeout)"
    assert failures["hang"]["log"].endswith("in _hang")
    assert failures["nan"]["reason"].startswith("nan: ")
    records = read_ledger(tmp_path / "s" / "ledger.jsonl")
    attempts = {r["trial"]: r["attempt"] for r in records if r["event"] == "started"}
    assert sorted(attempts.values()) == [1, 1, 2, 2, 2, 2]  # the sound one, and nan, once
    assert {row["positions_seen"] for row in rows.values()} == {256}  # the last checkpoint


OPTIONS = [*LONG, "run.max_concurrent=1", "--trials", "3", "--no-doctor"]


def interrupt(arguments: list[Any], ledger: Path, *signals: int) -> tuple[int, str]:
    """Signals to a driver and all that it started, as a terminal sends them, while it trains."""
    held = len(read_ledger(ledger)) if ledger.exists() else 0
    driver = subprocess.Popen(
        command(*arguments), stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    reports = sum(r["event"] == "reported" for r in read_ledger(ledger)[:held]) if held else 0
    wait_for(ledger, "reported", driver, times=reports + 1)
    assert driver.stderr is not None
    said = ""
    for number in signals:
        os.killpg(driver.pid, number)
        while "stopping:" not in said:  # the first has been heard
            said += driver.stderr.readline()
    rest = driver.communicate(timeout=120)[1]
    return driver.returncode, said + rest


def test_signals_during_launch_and_resume_drain_and_a_second_one_leaves_at_once(
    games: Path, tmp_path: Path
) -> None:
    straight = run(*launch(games, tmp_path, "straight", *OPTIONS))
    assert straight.returncode == 0, straight.stderr
    study, ledger = tmp_path / "stopped", tmp_path / "stopped" / "ledger.jsonl"
    status, said = interrupt(launch(games, tmp_path, "stopped", *OPTIONS), ledger, signal.SIGTERM)
    assert (status, read_ledger(ledger)[-1]["event"]) == (130, "interrupted"), said
    assert f"go on with: python {ROOT / 'run_search.py'} resume {study}" in said
    status, said = interrupt(["resume", study], ledger, signal.SIGINT)
    assert (status, read_ledger(ledger)[-1]["event"]) == (130, "interrupted"), said
    status, said = interrupt(["resume", study], ledger, signal.SIGINT, signal.SIGTERM)
    assert status == 130 and "Traceback" not in said
    assert f"go on with: python {ROOT / 'run_search.py'} resume {study}" in said
    board = json.loads(run("leaderboard", study, "--format", "json").stdout)
    assert board["state"] == "interrupted"
    resumed = run("resume", study)
    assert resumed.returncode == 0, resumed.stderr
    assert essential(study) == essential(tmp_path / "straight")


def test_a_study_whose_disk_fills_up_is_resumed_as_if_it_had_not(
    games: Path, tmp_path: Path
) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(small)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("no mounting here")
    try:
        straight = run(*launch(games, tmp_path, "straight", *OPTIONS))
        assert straight.returncode == 0, straight.stderr
        full = run(*launch(games, small, "full", *OPTIONS))
        assert full.returncode == 1, full.stderr
        error = full.stderr.splitlines()[-1]
        assert error.startswith(f"error: {small}/full/") and "No space left on device" in error
        assert "Traceback" not in full.stderr
        assert not list(small.rglob("*.partial"))
        subprocess.run(["mount", "-o", "remount,size=64m", str(small)], check=True)
        resumed = run("resume", small / "full")
        assert resumed.returncode == 0, resumed.stderr
        assert essential(small / "full") == essential(tmp_path / "straight")
    finally:
        subprocess.run(["umount", "--lazy", str(small)], check=True)
