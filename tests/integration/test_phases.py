"""A study from its comparison to a confirmed winner, with one command and real Ray."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path

import pytest

from hexsearch.ledger.ledger import read_ledger
from tests.integration.test_command_line import SMALL, SMOKE, command, essential, run, wait_for
from tests.integration.test_command_line import games as games

STAGES = {
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
    given = {**STAGES, **{key.replace("__", "."): value for key, value in settings.items()}}
    options = [part for key, value in given.items() for part in ("--set", f"{key}={value}")]
    return ["launch", SMOKE, *there, *SMALL, *options]


def test_one_command_leads_from_a_tournament_to_a_confirmed_winner(
    games: Path, tmp_path: Path
) -> None:
    done = run(*launch(games, tmp_path, "all"))
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr and "Warning" not in done.stderr
    assert "comparison: " in done.stderr and "the search begins with 512->" in done.stderr
    assert "race: 2 further trainings of at most 2" in done.stdout
    assert "confirmed: 512->" in done.stdout and "the search had said" in done.stdout
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


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["compare", "search", "confirm"])
@pytest.mark.parametrize("blow", [signal.SIGINT, signal.SIGKILL])
def test_a_study_stopped_in_any_stage_and_resumed_equals_one_never_stopped(
    games: Path, tmp_path: Path, stage: str, blow: signal.Signals
) -> None:
    longer = {"scheduler__max_t": 6912, "tournament__seeds": 2}
    straight = run(*launch(games, tmp_path, "straight", **longer))
    assert straight.returncode == 0, straight.stderr
    study = tmp_path / "stopped"
    stopped = subprocess.Popen(
        command(*launch(games, tmp_path, "stopped", **longer)),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    where = study if stage == "search" else study / stage
    wait_for(where / "ledger.jsonl", "reported", stopped, times=1)
    stopped.send_signal(blow)
    _, messages = stopped.communicate(timeout=120)
    if blow == signal.SIGINT:
        assert stopped.returncode == 130, messages
        assert f"resume {study}" in messages
    resumed = run("resume", study)
    assert resumed.returncode == 0, resumed.stderr
    for part in ("compare", ".", "confirm"):
        assert essential(study / part) == essential(tmp_path / "straight" / part), part
    events = [record["event"] for record in read_ledger(study / "confirm" / "ledger.jsonl")]
    assert events.count("chosen") == 1
