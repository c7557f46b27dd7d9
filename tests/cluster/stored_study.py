"""A study of every phase whose files are in an S3 server behind a faulty proxy."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from hexsearch.game.formats.trmph import format_trmph
from hexsearch.ledger.events import Record
from hexsearch.ledger.ledger import read_ledger, without_times
from tests.cluster.faulty_proxy import FaultyProxy, faulty_proxy
from tests.data.games import random_games

ROOT = Path(__file__).parents[2]
SETTINGS = {
    "phases": "[compare, search, pruning_check, race, confirm, match]",
    "data.board_size": 5,
    "optimiser.learning_rate": "4e-3",
    "compare.seeds": 1,
    "pruning_check.share": 1.0,
    "race.runs": 2,
    "confirm.seeds": 1,
    "match.openings": 2,
    "run.max_concurrent": 1,  # so that two runs have equal ledgers
}
# What a driver records of its own starts and ends, and not of the study.
_SESSIONS = ("study", "resumed", "interrupted", "started", "retried")


@dataclass
class Driver:
    """A process that runs a study, and what it says."""

    process: subprocess.Popen[bytes]
    log: Path

    @property
    def said(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")

    @property
    def warnings(self) -> list[str]:
        return [line for line in self.said.splitlines() if "warning: " in line]

    def wait(self, patience_s: float = 3600.0) -> int:
        return self.process.wait(patience_s)

    def kill(self) -> None:
        """As a machine that loses its power: Ray and its workers end as well."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@dataclass(frozen=True)
class Store:
    """An S3 server behind a proxy, and games for studies in it."""

    proxy: FaultyProxy
    folder: Path

    def url(self, place: str) -> str:
        """The storage of studies, one for each test."""
        return (
            f"s3://studies/{place}?scheme=http&endpoint_override=127.0.0.1:{self.proxy.port}"
            "&allow_bucket_creation=true"
        )

    def study_url(self, place: str) -> str:
        base, _, options = self.url(place).partition("?")
        return f"{base}/study?{options}"

    def launch(self, place: str, results: Path, *more: str) -> Driver:
        settings = {**SETTINGS, "run.trial_files": self.url(place)}
        fixed = [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]
        return self.run(
            results,
            *("launch", str(ROOT / "search_spaces" / "smoke.yaml"), "--no-doctor"),
            *("--games", str(self.folder / "games.trmph"), "--name", "study"),
            *("--results", str(results), "--trials", "4", *fixed, *more),
        )

    def run(self, results: Path, *arguments: str) -> Driver:
        """Start a driver that has scratch space of its own, as on a host of its own."""
        results.mkdir(parents=True, exist_ok=True)
        log = results / f"said-{len(list(results.glob('said-*')))}.txt"
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "us-east-1",
            "HEXSEARCH_SCRATCH": str(results / "scratch"),
        }
        with open(log, "wb") as file:
            process = subprocess.Popen(
                [sys.executable, str(ROOT / "run_search.py"), *arguments],
                env=environment,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return Driver(process, log)


@contextmanager
def store_behind_proxy(folder: Path) -> Iterator[Store]:
    """Start a moto server and a proxy, and write games."""
    lines = (format_trmph(game) for game in random_games(300, size=5))
    (folder / "games.trmph").write_text("\n".join(lines) + "\n", encoding="utf-8")
    port, target = free_port(), free_port()
    server = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(target)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until(lambda: _answers(target), 60.0)
        with faulty_proxy(port, target) as proxy:
            yield Store(proxy, folder)
    finally:
        server.kill()
        server.wait()


def reports(ledger: Path) -> int:
    """How many reports a study has recorded."""
    return sum(record["event"] == "reported" for record in records(ledger))


def records(ledger: Path) -> list[Record]:
    return list(read_ledger(ledger)) if ledger.exists() else []


def of_the_study(ledger: Path) -> list[Record]:
    """The records that equal studies have equal, in their order."""
    return [without_times(record) for record in records(ledger) if record["event"] not in _SESSIONS]


def wait_until(condition: Callable[[], bool], patience_s: float = 1800.0) -> None:
    deadline = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < deadline, "the study did not get there in time"
        time.sleep(0.2)


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _answers(port: int) -> bool:
    with socket.socket() as tried:
        return tried.connect_ex(("127.0.0.1", port)) == 0
