"""The real command line in separate processes, with real Ray."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from hexsearch.game.formats.trmph import format_trmph
from hexsearch.ledger.events import Record
from hexsearch.ledger.history import StudyHistory
from hexsearch.ledger.ledger import read_ledger, without_times
from tests.data.games import random_games

ROOT = Path(__file__).parents[2]
SMOKE = ROOT / "search_spaces" / "smoke.yaml"
SMALL = ["--set", "data.board_size=5"]


@pytest.fixture(scope="module")
def games(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("games") / "random.trmph"
    path.write_text("\n".join(format_trmph(game) for game in random_games(300, size=5)) + "\n")
    return path


def command(*arguments: object) -> list[str]:
    return [sys.executable, str(ROOT / "run_search.py"), *map(str, arguments)]


def run(
    *arguments: object, timeout: float = 240.0, **options: Any
) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONWARNINGS": "default"}
    return subprocess.run(
        command(*arguments),
        capture_output=True,
        text=True,
        timeout=timeout,
        env=environment,
        **options,
    )


def launch(games: Path, results: Path, name: str, *more: object) -> list[object]:
    return ["launch", SMOKE, "--games", games, "--results", results, "--name", name, *SMALL, *more]


def essential(path: Path) -> list[Record]:
    kept = ("suggested", "reported", "decided", "told", "failed")
    return [without_times(r) for r in read_ledger(path / "ledger.jsonl") if r["event"] in kept]


@pytest.fixture(scope="module")
def study(games: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    results = tmp_path_factory.mktemp("results")
    done = run(*launch(games, results, "smoke", "--seed", 3, "--set", "run.max_concurrent=1"))
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert "shortest-path table" in done.stdout
    assert "t0004 suggested by" in done.stderr
    assert f"the study begins, in {results / 'smoke'}" in done.stderr
    return results / "smoke"


def test_a_study_runs_from_games_to_leaderboard(study: Path) -> None:
    done = run("leaderboard", study, "--format", "json")
    assert done.returncode == 0
    board = json.loads(done.stdout)
    assert board["state"] == "finished"
    assert sum(row["seeds"] for row in board["rows"]) == 5
    statuses = [row["status"] for row in board["rows"]]
    # Of five trials, each may still be the best, so that none need stay paused to the end.
    assert "completed" in statuses and set(statuses) <= {"completed", "paused"}
    decided = [record["decision"] for record in essential(study) if record["event"] == "decided"]
    assert "pause" in decided
    assert [baseline["name"] for baseline in board["baselines"]] == ["prior", "shortest-path table"]
    best = board["rows"][0]
    assert 0.0 < best["value_loss"] < 0.5
    assert set(best["stages"]) == {"early", "middle", "late", "penultimate", "final"}


def test_losers_lose_their_checkpoints_and_winners_and_paused_trials_keep_them(study: Path) -> None:
    trials = StudyHistory.read(study / "ledger.jsonl").trials.values()
    completed = [trial for trial in trials if trial.status == "completed"]
    best = sorted(completed, key=lambda trial: trial.value_loss or 0.0)[:3]
    kept = {trial.trial for trial in trials if trial.status == "paused" or trial in best}
    assert {path.parent.name for path in study.glob("trials/*/checkpoint.pt")} == kept


@pytest.mark.slow
def test_the_same_seed_and_one_worker_write_the_same_ledger(study: Path, games: Path) -> None:
    again = run(*launch(games, study.parent, "again", "--seed", 3, "--set", "run.max_concurrent=1"))
    assert again.returncode == 0, again.stderr
    one = [without_times(record) for record in read_ledger(study / "ledger.jsonl")]
    other = [without_times(r) for r in read_ledger(study.parent / "again" / "ledger.jsonl")]
    assert one.pop(0).pop("name") == "smoke" and other.pop(0).pop("name") == "again"
    assert one == other


@pytest.mark.slow
def test_a_finished_study_says_so_and_can_be_extended(study: Path) -> None:
    done = run("resume", study)
    assert done.returncode == 0
    assert "smoke is finished: 5 trials. Extend it with --trials +N." in done.stderr
    before = essential(study)
    extended = run("resume", study, "--trials", "+1")
    assert extended.returncode == 0, extended.stderr
    after = essential(study)
    assert after[: len(before)] == before
    assert sum(record["event"] == "suggested" for record in after) == 6


def test_an_existing_study_is_never_started_over(study: Path, games: Path) -> None:
    before = (study / "ledger.jsonl").read_bytes()
    done = run(*launch(games, study.parent, "smoke"))
    assert done.returncode == 2
    assert "a study of this name exists; continue it with 'resume" in done.stderr
    assert (study / "ledger.jsonl").read_bytes() == before


def wait_for(path: Path, event: str, process: subprocess.Popen[str], times: int = 1) -> None:
    """Until the ledger holds an event so many times, or its writer is gone."""
    for _ in range(1200):
        if path.exists():
            found = sum(record["event"] == event for record in read_ledger(path))
            if found >= times:
                return
        assert process.poll() is None, "the study ended early"
        time.sleep(0.1)
    raise AssertionError(f"no {event} within two minutes")


LONG = ["--set", "scheduler.max_t=11520", "--set", "scheduler.grace_period=1280", "--set"]


def test_stopped_by_ctrl_c_then_killed_outright_and_resumed_equals_never_stopped(
    games: Path, tmp_path: Path
) -> None:
    options = [*LONG, "run.max_concurrent=1", "--trials", "2"]
    straight = run(*launch(games, tmp_path, "straight", *options))
    assert straight.returncode == 0, straight.stderr
    ledger = tmp_path / "stopped" / "ledger.jsonl"
    stopped = subprocess.Popen(
        command(*launch(games, tmp_path, "stopped", *options)),
        stderr=subprocess.PIPE,
        text=True,
        # A job of a script that runs in the background would ignore it, as nohup asks for.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    wait_for(ledger, "reported", stopped, times=1)
    stopped.send_signal(signal.SIGINT)
    _, messages = stopped.communicate(timeout=120)
    assert stopped.returncode == 130, messages
    assert f"resume {tmp_path / 'stopped'}" in messages
    held = essential(tmp_path / "stopped")
    board = json.loads(run("leaderboard", tmp_path / "stopped", "--format", "json").stdout)
    assert board["state"] == "interrupted"
    known = sum(record["event"] == "reported" for record in held)
    killed = subprocess.Popen(
        command("resume", tmp_path / "stopped"), stderr=subprocess.DEVNULL, text=True
    )
    wait_for(ledger, "reported", killed, times=known + 1)
    killed.kill()
    killed.wait()
    resumed = run("resume", tmp_path / "stopped")
    assert resumed.returncode == 0, resumed.stderr
    records = essential(tmp_path / "stopped")
    assert records[: len(held)] == held
    assert records == essential(tmp_path / "straight")


@pytest.mark.slow
def test_a_trial_that_fails_stands_on_the_leaderboard_and_ends_nothing(
    tmp_path: Path,
) -> None:
    wild = ["--set", "optimiser.name=sgd", "--set", "optimiser.clip=1e9"]
    wild += ["--set", "trunk.norm=none", "--set", "optimiser.learning_rate=100"]
    wild += ["--set", "value_weight=1000", "--set", "policy_head.weight=1000"]
    wild += ["--set", "value_head=512->128->64->1", "--set", "optimiser.momentum=0.999"]
    study = ["launch", SMOKE, "--results", tmp_path, "--name", "wild", *wild, "--trials", 2]
    refused = run(*study)
    assert refused.returncode == 1
    assert "error: doctor, finite numbers: " in refused.stderr
    assert "learning rate is far too high" in refused.stderr
    assert not (tmp_path / "wild").exists()
    done = run(*study, "--no-doctor")
    assert done.returncode == 1 and "every trial failed" in done.stderr
    board = json.loads(run("leaderboard", tmp_path / "wild", "--format", "json").stdout)
    assert {row["status"] for row in board["rows"]} == {"failed"}
    assert all(row["reason"].startswith("nan: ") for row in board["rows"])


def test_train_writes_a_model_and_goes_on_from_an_unfinished_one(
    games: Path, tmp_path: Path
) -> None:
    arguments = ["train", SMOKE, "--games", games, "--output", tmp_path / "model", *SMALL]
    done = run(*arguments)
    assert done.returncode == 0, done.stderr
    assert "1,152  value loss 0." in done.stderr
    assert (tmp_path / "model" / "model.pt").exists()
    again = run(*arguments)
    assert again.returncode == 2
    assert "this training is finished; give another --output" in again.stderr


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["leaderboard", "no/such/study"], 2, "no such study folder"),
        (["resume", "no/such/study"], 2, "no such study folder"),
        (["launch", "no.yaml"], 2, "no.yaml: cannot be read"),
        (["launch", SMOKE, "--games", "no.trmph"], 2, "no.trmph: no such file"),
        (["launch", SMOKE, "--set", "trunk.presett=tiny"], 2, "did you mean 'preset'?"),
        (["launch", SMOKE, "--time-budget", "soon"], 2, "'soon' is not a duration"),
        (["launch", SMOKE, "--name", "a/b"], 2, "give a plain name"),
        (["lunch"], 2, "did you mean 'launch'?"),
    ],
)
def test_bad_input_is_one_line_and_status_two(
    arguments: list[object], status: int, message: str, tmp_path: Path
) -> None:
    done = run(*arguments, cwd=tmp_path)
    assert done.returncode == status
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []
