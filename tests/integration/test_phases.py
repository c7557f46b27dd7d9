"""A study from its comparison to a confirmed winner, with one command and real Ray."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from hexsearch.ledger.history import StudyHistory
from hexsearch.ledger.ledger import read_events
from tests.integration.test_command_line import SMALL, SMOKE, command, essential, run
from tests.integration.test_command_line import games as games

PHASES = {
    "phases": "[compare, search, pruning_check, race, confirm]",
    "optimiser.learning_rate": "4e-3",  # what is left are two heads, each tried once
    "run.trials": 2,
    "run.max_concurrent": 1,
    "compare.seeds": 1,
    "pruning_check.share": 1.0,
    "race.runs": 2,
    "confirm.seeds": 2,
}


def launch(games: Path, results: Path, name: str, **settings: object) -> list[object]:
    there = ["--games", games, "--results", results, "--name", name, "--no-doctor"]
    given = {**PHASES, **{key.replace("__", "."): value for key, value in settings.items()}}
    options = [part for key, value in given.items() for part in ("--set", f"{key}={value}")]
    return ["launch", SMOKE, *there, *SMALL, *options]


def test_one_command_leads_from_a_comparison_to_a_confirmed_winner(
    games: Path, tmp_path: Path
) -> None:
    done = run(*launch(games, tmp_path, "all"))
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr and "Warning" not in done.stderr
    assert "comparison: " in done.stderr and "the search begins with 512->" in done.stderr
    assert "race: 2 further trainings of at most 2" in done.stdout
    assert "confirmed: 512->" in done.stdout and "in the search it had" in done.stdout
    board = json.loads(run("leaderboard", tmp_path / "all", "--format", "json").stdout)
    assert board["state"] == "finished"
    assert {row["head"] for row in board["rows"]} == {"512->1", "512->32->1"}
    confirmation = board["confirmation"]
    assert confirmation["looks"] == 1 and confirmation["done"] == confirmation["planned"]
    assert {row["seeds"] for row in confirmation["rows"]} == {2}
    assert any(row["name"].startswith("512->1") for row in confirmation["rows"])
    before = essential(tmp_path / "all")
    again = run("resume", tmp_path / "all")
    assert again.returncode == 0 and "all is finished" in again.stderr
    assert essential(tmp_path / "all") == before


LONGER = {"scheduler__max_t": 6912, "compare__seeds": 2}


@pytest.fixture(scope="module")
def straight(games: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same study, never stopped."""
    results = tmp_path_factory.mktemp("straight")
    done = run(*launch(games, results, "straight", **LONGER))
    assert done.returncode == 0, done.stderr
    return results / "straight"


def has_begun(ledger: Path, phase: str) -> bool:
    """Whether a worker has started on a trial of a phase."""
    if not ledger.exists():
        return False
    trials = StudyHistory.of(read_events(ledger)).trials.values()
    return any(trial.phase == phase and trial.attempts for trial in trials)


def wait_until(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    """Until something holds, while a process lives."""
    for _ in range(6000):
        if condition():
            return
        assert process.poll() is None, "the study ended early"
        time.sleep(0.05)
    raise AssertionError("not within five minutes")


@pytest.mark.slow
@pytest.mark.parametrize("blow", [signal.SIGINT, signal.SIGKILL])
@pytest.mark.parametrize("phase", ["compare", "search", "race", "confirm"])
def test_a_study_stopped_in_any_phase_and_resumed_equals_one_never_stopped(
    games: Path, straight: Path, tmp_path: Path, phase: str, blow: signal.Signals
) -> None:
    study = tmp_path / "stopped"
    stopped = subprocess.Popen(
        command(*launch(games, tmp_path, "stopped", **LONGER)),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_until(lambda: has_begun(study / "ledger.jsonl", phase), stopped)
    stopped.send_signal(blow)
    _, messages = stopped.communicate(timeout=120)
    if blow == signal.SIGINT:
        assert stopped.returncode == 130, messages
        assert f"resume {study}" in messages
    resumed = run("resume", study)
    assert resumed.returncode == 0, resumed.stderr
    assert essential(study) == essential(straight)
    assert len(StudyHistory.read(study / "ledger.jsonl").chosen) == 1
