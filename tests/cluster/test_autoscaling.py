"""A Ray cluster with an autoscaler, which begins without a CPU; its new nodes are real raylets."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import sys
from pathlib import Path

import pytest

from hexsearch.game.formats.trmph import format_trmph
from hexsearch.ledger.history import StudyHistory
from hexsearch.ledger.ledger import read_ledger
from tests.cluster.test_two_hosts import HEAD, RAY, ROOT, hosts, ray_status, start, wait_until
from tests.data.games import random_games

__all__ = ["hosts"]  # a fixture
pytestmark = pytest.mark.slow
MOST, PATIENCE_S = 3, 600.0
# After 3 s, the autoscaler ended a new node to which Ray was just sending a trial.
IDLE_S = 10.0
SETTINGS = {
    "phases": "[search, confirm]",
    "data.board_size": 5,
    "run.autoscale_to": MOST,
    "confirm.winners": 1,
    "confirm.seeds": 1,
    "scheduler.name": "none",
    "scheduler.max_t": 76800,  # longer than a node may be idle, on two free cores
    "scheduler.grace_period": 38400,
}


def autoscaling(folder: Path) -> Path:
    """The autoscaler's configuration: nodes of one CPU, ended when idle for some seconds."""
    kind = "ray.autoscaler._private.fake_multi_node.node_provider.FakeMultiNodeProvider"
    wanted = {
        "cluster_name": "growing",
        "max_workers": MOST,
        "upscaling_speed": 100.0,
        "idle_timeout_minutes": IDLE_S / 60,
        "provider": {
            "type": "external",
            "module": kind,
            "gcs_address": f"{HEAD}:6379",
            "use_node_id_as_ip": True,
            "disable_node_updaters": True,
            "disable_launch_config_check": True,
        },
        "auth": {},
        "available_node_types": {
            "ray.head.default": {"resources": {"CPU": 0}, "node_config": {}, "max_workers": 0},
            "one_cpu": {"resources": {"CPU": 1}, "node_config": {}, "max_workers": MOST},
        },
        "head_node_type": "ray.head.default",
        "file_mounts": {}, "cluster_synced_files": [], "initialization_commands": [],
        "setup_commands": [], "head_setup_commands": [], "worker_setup_commands": [],
        "head_start_ray_commands": [], "worker_start_ray_commands": [],
    }  # fmt: skip
    path = folder / "autoscaling.json"
    path.write_text(json.dumps(wanted))
    return path


def test_trials_wait_for_new_nodes_and_idle_nodes_are_released(
    hosts: tuple[str, str], tmp_path: Path
) -> None:
    games = tmp_path / "random.trmph"
    games.write_text("\n".join(format_trmph(game) for game in random_games(300, size=5)) + "\n")
    host, ledger = hosts[0], tmp_path / "growing" / "ledger.jsonl"
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
        "RAY_FAKE_CLUSTER": "1",
        "AUTOSCALER_UPDATE_INTERVAL_S": "1",
        "RAY_worker_niceness": "0",  # Ray's 15 would starve them where other tests run
    }
    settings = [part for key, value in SETTINGS.items() for part in ("--set", f"{key}={value}")]
    started = [
        start(
            host, environment, *RAY, "start", "--head", f"--node-ip-address={HEAD}",
            "--port=6379", "--include-dashboard=false", f"--temp-dir=/tmp/{host}", "--num-cpus=0",
            "--disable-usage-stats", "--block", f"--autoscaling-config={autoscaling(tmp_path)}",
        )
    ]  # fmt: skip

    def nodes() -> int:
        found = re.search(r"/([0-9.]+) CPU", ray_status(host, environment).stdout)
        return round(float(found[1])) if found else 0

    def phases() -> list[str]:
        records = read_ledger(ledger) if ledger.exists() else []
        return ["confirm" if r["trial"][0] == "c" else "search"
                for r in records if r["event"] == "started"]  # fmt: skip

    try:
        wait_until(lambda: ray_status(host, environment).returncode == 0, PATIENCE_S)
        assert nodes() == 0
        driver = start(
            host, environment, sys.executable, ROOT / "run_search.py", "launch",
            ROOT / "search_spaces" / "smoke.yaml", "--games", games, "--results", tmp_path,
            "--name", "growing", "--no-doctor", "--address", f"{HEAD}:6379", "--trials", "3",
            *settings,
        )  # fmt: skip
        started.append(driver)
        wait_until(lambda: len(phases()) == MOST, PATIENCE_S)
        assert nodes() == MOST
        wait_until(lambda: "confirm" in phases(), PATIENCE_S)
        # Of the confirmation's two trainings, at most two nodes are needed.
        wait_until(lambda: nodes() < MOST, PATIENCE_S)
        assert read_ledger(ledger)[-1]["event"] != "finished", "it kept a node to the end"
        assert driver.wait(PATIENCE_S) == 0
        wait_until(lambda: nodes() == 0, PATIENCE_S)
        history = StudyHistory.read(ledger)
        assert history.state == "finished"
        assert not any(trial.losses for trial in history.trials.values())
        assert {"completed"} >= {t.status for t in history.trials.values() if t.phase == "confirm"}
    finally:
        for process in started:
            process.kill()
            process.wait()
        shutil.rmtree(f"/tmp/{host}", ignore_errors=True)
