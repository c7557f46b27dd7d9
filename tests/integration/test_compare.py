"""Comparisons in separate processes, with real Ray."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path

import pytest

from tests.integration.test_command_line import SMALL, SMOKE, command, essential, run, wait_for
from tests.integration.test_command_line import games as games

HEADS = ["--set", "optimiser.learning_rate=4e-3", "--seeds", 2, "--no-doctor", *SMALL]


def comparison(games: Path, results: Path, name: str, *more: object) -> list[object]:
    there = ["--games", games, "--results", results, "--name", name]
    return ["compare", SMOKE, *there, *HEADS, *more]


@pytest.mark.slow
def test_a_comparison_ends_in_a_paired_leaderboard(games: Path, tmp_path: Path) -> None:
    done = run(*comparison(games, tmp_path, "cup", "--format", "json"))
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr and "Warning" not in done.stderr
    board = json.loads(done.stdout)
    assert board["state"] == "finished"
    assert {row["head"] for row in board["rows"]} == {"512->1", "512->32->1"}
    assert [row["is_leader"] for row in board["rows"]].count(True) == 1
    for row in board["rows"]:
        assert row["seeds"] == row["completed"] == 2
        assert row["difference_low"] <= row["difference"] <= row["difference_high"]
    again = run("resume", tmp_path / "cup")
    assert again.returncode == 0 and "cup is finished: 4 trials" in again.stderr
    extended = run("resume", tmp_path / "cup", "--trials", 2)
    assert extended.returncode == 2 and "leave it out" in extended.stderr


@pytest.mark.slow
def test_a_comparison_stopped_by_ctrl_c_and_resumed_equals_one_never_stopped(
    games: Path, tmp_path: Path
) -> None:
    options = ["--set", "scheduler.max_t=23040", "--set", "scheduler.report_every=1280"]
    options += ["--set", "run.max_concurrent=1"]
    straight = run(*comparison(games, tmp_path, "straight", *options))
    assert straight.returncode == 0, straight.stderr
    stopped = subprocess.Popen(
        command(*comparison(games, tmp_path, "stopped", *options)),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_for(tmp_path / "stopped" / "ledger.jsonl", "reported", stopped, times=3)
    stopped.send_signal(signal.SIGINT)
    _, messages = stopped.communicate(timeout=120)
    assert stopped.returncode == 130, messages
    assert f"resume {tmp_path / 'stopped'}" in messages
    resumed = run("resume", tmp_path / "stopped")
    assert resumed.returncode == 0, resumed.stderr
    assert essential(tmp_path / "stopped") == essential(tmp_path / "straight")


@pytest.mark.slow
def test_a_comparison_on_a_frozen_trunk_is_resumed_without_the_original(
    games: Path, tmp_path: Path
) -> None:
    fixed = ["--set", "value_head=512->1", "--set", "optimiser.learning_rate=4e-3"]
    trained = run("train", SMOKE, "--games", games, "--output", tmp_path / "net", *fixed, *SMALL)
    assert trained.returncode == 0, trained.stderr
    model = tmp_path / "net" / "model.pt"
    options: list[object] = ["--set", "scheduler.max_t=11520", "--seeds", 1]
    options += ["--set", "scheduler.report_every=1280"]
    options += ["--set", "run.max_concurrent=1", "--mode", "probe", "--trunk", model]
    straight = run(*comparison(games, tmp_path, "straight", *options, "--format", "json"))
    assert straight.returncode == 0, straight.stderr
    assert "on the frozen trunk of" in straight.stderr
    assert len(json.loads(straight.stdout)["rows"]) == 2
    stopped = subprocess.Popen(
        command(*comparison(games, tmp_path, "stopped", *options)),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_for(tmp_path / "stopped" / "ledger.jsonl", "reported", stopped, times=3)
    stopped.send_signal(signal.SIGINT)
    _, messages = stopped.communicate(timeout=120)
    assert stopped.returncode == 130, messages
    model.unlink()
    resumed = run("resume", tmp_path / "stopped")
    assert resumed.returncode == 0, resumed.stderr
    assert essential(tmp_path / "stopped") == essential(tmp_path / "straight")
    refused = run(*comparison(games, tmp_path, "again", *options))
    assert refused.returncode == 2
    assert refused.stderr.strip() == f"error: {model}: no such checkpoint"
