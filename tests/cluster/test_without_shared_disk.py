"""Every phase of a study on two hosts without a shared disk; files go to a local S3 server."""

from __future__ import annotations

import os
import secrets
import shutil
import sys
from pathlib import Path

import pytest

from hexsearch.game.formats.trmph import format_trmph
from hexsearch.ledger.history import StudyHistory
from tests.cluster.test_two_hosts import (
    HEAD,
    OTHER,
    RAY,
    ROOT,
    hosts,
    ray_status,
    start,
    wait_until,
)
from tests.data.games import random_games

__all__ = ["hosts"]  # a fixture
pytest.importorskip("moto.server", reason="wants the extra `s3test`, without constraints.txt")
pytestmark = pytest.mark.slow
PORT = 5555
STORE = f"s3://studies/all?scheme=http&endpoint_override={HEAD}:{PORT}&allow_bucket_creation=true"
SETTINGS = {
    "phases": "[compare, search, pruning_check, race, confirm]",
    "data.board_size": 5,
    "optimiser.learning_rate": "4e-3",
    "compare.seeds": 1,
    "pruning_check.share": 1.0,
    "race.runs": 2,
    "confirm.seeds": 1,
    "run.trial_files": STORE,
}


def _environments(results: Path, scratch: Path) -> tuple[dict[str, str], dict[str, str]]:
    """The environments of both hosts, which differ in their scratch folders."""
    first = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "HEXSEARCH_SCRATCH": str(results / "scratch"),
    }
    second = {**first, "HEXSEARCH_SCRATCH": str(scratch)}
    return first, second


def _launch(hosts: tuple[str, str], games: Path, results: Path, scratch: Path) -> int:
    """Start an object store, Ray on both hosts and a study on the first; its exit status."""
    first, second = _environments(results, scratch)
    common = ["--disable-usage-stats", "--block"]
    settings = [part for key, value in SETTINGS.items() for part in ("--set", f"{key}={value}")]
    started = [
        start(hosts[0], first, sys.executable, "-m", "moto.server", "-H", HEAD, "-p", PORT),
        start(
            hosts[0], first, *RAY, "start", "--head", f"--node-ip-address={HEAD}", "--port=6379",
            "--include-dashboard=false", f"--temp-dir=/tmp/{hosts[0]}", "--num-cpus=0", *common,
        ),
    ]  # fmt: skip
    try:
        wait_until(lambda: ray_status(hosts[0], first).returncode == 0)
        # An empty file system of its own lies over the folder of results on the other host.
        own_disk = [
            "unshare",
            "--mount",
            "sh",
            "-c",
            f'mount -t tmpfs tmpfs {results} && exec "$@"',
        ]
        started.append(
            start(
                hosts[1], second, *own_disk, "sh", *RAY, "start", f"--address={HEAD}:6379",
                f"--node-ip-address={OTHER}", "--num-cpus=1", *common,
            )
        )  # fmt: skip
        wait_until(lambda: "0.0/1.0 CPU" in ray_status(hosts[0], first).stdout)
        driver = start(
            hosts[0], first, sys.executable, ROOT / "run_search.py", "launch",
            ROOT / "search_spaces" / "smoke.yaml", "--games", games, "--results", results,
            "--name", "apart", "--no-doctor", "--address", f"{HEAD}:6379", "--trials", "4",
            *settings,
        )  # fmt: skip
        started.append(driver)
        return driver.wait(900)
    finally:
        for process in started:
            process.kill()
            process.wait()
        shutil.rmtree(f"/tmp/{hosts[0]}", ignore_errors=True)


def test_a_study_of_every_phase_ends_with_a_confirmed_winner_without_a_shared_disk(
    hosts: tuple[str, str], tmp_path: Path
) -> None:
    results, scratch = tmp_path / "results", tmp_path.parent / f"{hosts[1]}-scratch"
    for folder in (results, scratch):
        folder.mkdir()
    games = tmp_path / "random.trmph"
    games.write_text("\n".join(format_trmph(game) for game in random_games(300, size=5)) + "\n")
    assert _launch(hosts, games, results, scratch) == 0
    history = StudyHistory.read(results / "apart" / "ledger.jsonl")
    assert history.state == "finished"
    assert {"compare", "search", "confirm"} <= {trial.phase for trial in history.trials.values()}
    assert {trial.status for trial in history.trials.values()} <= {"completed", "paused", "pruned"}
    # The driver's host has no CPU to offer: every trial ran where its disk is not seen.
    assert list((scratch / "games").glob("*.archive")), "games were not shipped to the other host"
    (chosen,) = history.chosen
    confirmed = history.only({"confirm"}).trials.values()
    winner = chosen.places[0].variant
    assert any(trial.variant == winner and trial.status == "completed" for trial in confirmed)
