"""Two hosts in network namespaces: one real Ray cluster, one study, one host that is cut off."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from hexsearch.game.formats.trmph import format_trmph
from hexsearch.ledger.ledger import read_ledger
from tests.data.games import random_games

ROOT = Path(__file__).parents[2]
HEAD, OTHER = "10.77.0.1", "10.77.0.2"
RAY = [sys.executable, "-m", "ray.scripts.scripts"]
pytestmark = pytest.mark.slow


def ip(*arguments: str, check: bool = True) -> str:
    done = subprocess.run(["ip", *arguments], check=check, capture_output=True, text=True)
    return done.stdout


@pytest.fixture
def hosts() -> Iterator[tuple[str, str]]:
    """Two namespaces joined by a veth pair; all that runs in them is ended afterwards."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("wants root and iproute2")
    tag = f"{os.getpid() % 100_000}"
    names = f"hexa{tag}", f"hexb{tag}"
    try:
        for name in names:
            ip("netns", "add", name)
        ip("link", "add", names[0], "type", "veth", "peer", "name", names[1])
    except subprocess.CalledProcessError as error:
        for name in names:
            ip("netns", "del", name, check=False)
        pytest.skip(f"no network namespaces here: {error.stderr.strip()}")
    for name, address in zip(names, (HEAD, OTHER), strict=True):
        ip("link", "set", name, "netns", name)
        ip("-n", name, "addr", "add", f"{address}/24", "dev", name)
        for device in ("lo", name):
            ip("-n", name, "link", "set", device, "up")
    try:
        yield names
    finally:
        for name in names:
            for process in ip("netns", "pids", name).split():
                with suppress(ProcessLookupError):
                    os.kill(int(process), signal.SIGKILL)
            ip("netns", "del", name, check=False)


def start(host: str, environment: dict[str, str], *command: object) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        ["ip", "netns", "exec", host, *map(str, command)],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def test_a_study_survives_the_loss_of_one_of_two_hosts(
    hosts: tuple[str, str], tmp_path: Path
) -> None:
    games = tmp_path / "random.trmph"
    games.write_text("\n".join(format_trmph(game) for game in random_games(300, size=5)) + "\n")
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
        "RAY_health_check_period_ms": "1000",
        "RAY_health_check_timeout_ms": "1000",
        "RAY_health_check_initial_delay_ms": "1000",
        "RAY_health_check_failure_threshold": "3",
    }
    common = ["--num-cpus=1", "--disable-usage-stats", "--block"]
    started = [
        start(
            hosts[0], environment, *RAY, "start", "--head", f"--node-ip-address={HEAD}",
            "--port=6379", "--include-dashboard=false", f"--temp-dir=/tmp/{hosts[0]}", *common,
        )
    ]  # fmt: skip
    study = tmp_path / "two-hosts"
    try:
        wait_until(lambda: ray_status(hosts[0], environment).returncode == 0)
        refused = ray_status(hosts[1], {**environment, "RAY_AUTH_TOKEN": secrets.token_hex(32)})
        assert refused.returncode != 0
        started.append(
            start(
                hosts[1], environment, *RAY, "start", f"--address={HEAD}:6379",
                f"--node-ip-address={OTHER}", *common,
            )
        )  # fmt: skip
        wait_until(lambda: "0.0/2.0 CPU" in ray_status(hosts[0], environment).stdout)
        driver = start(
            hosts[0], environment, sys.executable, ROOT / "run_search.py", "launch",
            ROOT / "search_spaces" / "smoke.yaml", "--games", games, "--results", tmp_path,
            "--name", study.name, "--no-doctor", "--address", f"{HEAD}:6379", "--trials", "8",
            "--set", "data.board_size=5", "--set", "run.retries=3",
            "--set", "scheduler.max_t=11520", "--set", "scheduler.grace_period=1280",
        )  # fmt: skip
        started.append(driver)
        ledger = study / "ledger.jsonl"
        wait_until(lambda: workers_seen(ledger) >= 2)
        ip("-n", hosts[1], "link", "set", hosts[1], "down")
        assert driver.wait(300) == 0
        records = read_ledger(ledger)
        assert records[-1]["event"] == "finished"
        # A trial that was paused at a rung and went on later is told more than once.
        assert len({record["trial"] for record in records if record["event"] == "told"}) == 8
        assert not any(record["event"] == "failed" for record in records)
    finally:
        for process in started:
            process.kill()
            process.wait()
        shutil.rmtree(f"/tmp/{hosts[0]}", ignore_errors=True)


def workers_seen(ledger: Path) -> int:
    """Worker processes that have reported; with one CPU a host, each is on its own host."""
    if not ledger.exists():
        return 0
    reported = [r["report"]["timings"] for r in read_ledger(ledger) if r["event"] == "reported"]
    return len({timings["pid"] for timings in reported})


def ray_status(host: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["ip", "netns", "exec", host, *RAY, "status", f"--address={HEAD}:6379"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )


def wait_until(condition: Callable[[], bool], patience_s: float = 150.0) -> None:
    deadline = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < deadline, "the cluster did not get there in time"
        time.sleep(0.5)
