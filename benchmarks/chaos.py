"""Kills a study's driver, workers or nodes at random times, and compares it with a calm run.

`python benchmarks/chaos.py [--victim driver|worker|node|spot] [--rounds 50] [--seed 0]`. A small
study runs once undisturbed, and then again under kill -9. A killed driver is resumed. A killed
worker is replaced. With three nodes, the node that trains is killed (`spot`: gets SIGTERM) and
another one joins. With one worker and one seed, both ledgers must hold the same suggestions,
reports, decisions and ends, apart from times. The exit status is 1 if they are not.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import Any

from hexsearch.ledger.events import Record
from hexsearch.ledger.ledger import read_ledger, without_times

ROOT = Path(__file__).parents[1]
_STORY = frozenset({"suggested", "reported", "decided", "told", "failed"})
_START_S, _WORK_S = 12.0, 4.0  # how long into start and work the instants reach
# `with_resources` wraps the trainable in a class of Ray's, which titles its process.
_WORKER = (b"ray::TrialWorker", b"ray::ResourceTrainable")
_PATIENCE_S = 300.0  # for a study to come up and for its next report, on a busy machine


def main() -> int:
    """Run the calm study and the disturbed one; print the comparison."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--victim", choices=tuple(_DISTURB), default="driver")
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0, help="of the study and of the instants")
    parser.add_argument("--trials", type=int, default=18)
    parser.add_argument("--positions", type=int, default=17280, help="that a whole trial sees")
    arguments = parser.parse_args()
    nodes = _three_nodes() if arguments.victim in ("node", "spot") else nullcontext()
    with tempfile.TemporaryDirectory(prefix="chaos-") as folder, nodes as cluster:
        study = Study(Path(folder), arguments, cluster)
        began = time.monotonic()
        study.launch("calm").wait()
        calm_s = time.monotonic() - began
        instants = random.Random(arguments.seed)
        kills = 0
        for _ in _DISTURB[arguments.victim](study, instants, arguments.rounds, calm_s):
            kills += 1
            print(f"kill {kills}: {len(study.story('chaos'))} records kept", file=sys.stderr)
        outcome = {"victim": arguments.victim, "kills": kills, **study.compare()}
    print(json.dumps(outcome))
    return 0 if kills and outcome["equal"] and not any(outcome[fault] for fault in _FAULTS) else 1


_FAULTS = ("results_lost", "trained_twice_beyond_one_interval", "left_running_in_optuna")


class Study:
    """One small study by command line, in a calm and in a disturbed copy."""

    def __init__(self, results: Path, arguments: argparse.Namespace, cluster: Any) -> None:
        self.results, self.cluster = results, cluster
        self._options = ["--seed", arguments.seed, "--trials", arguments.trials]
        self._settings = {
            "run.max_concurrent": 1,
            "run.retries": arguments.rounds + 1,
            "scheduler.max_t": arguments.positions,
            "scheduler.grace_period": arguments.positions // 9,
            "scheduler.report_every": arguments.positions // 18,
        }
        self._address = ["--address", cluster.address] if cluster else []
        self.lost = 0
        self.kills_in_trial: Counter[str] = Counter()
        self._kept: list[Record] = []

    def launch(self, name: str) -> subprocess.Popen[bytes]:
        """Start a copy from nothing."""
        settings = [
            part for key, value in self._settings.items() for part in ("--set", f"{key}={value}")
        ]
        space = ROOT / "search_spaces" / "smoke.yaml"
        return self._run(
            "launch", space, "--no-doctor", "--results", self.results, "--name", name,
            *self._options, *settings, *self._address,
        )  # fmt: skip

    def go_on(self) -> subprocess.Popen[bytes]:
        """Start the disturbed copy, or resume it where there is something to resume."""
        if not self._ledger("chaos").exists() or not read_ledger(self._ledger("chaos")):
            return self.launch("chaos")
        return self._run("resume", self.results / "chaos", *self._address)

    def story(self, name: str) -> list[Record]:
        """What a copy decided and measured, without times."""
        path = self._ledger(name)
        if not path.exists():
            return []
        return [without_times(r) for r in read_ledger(path) if r["event"] in _STORY]

    def note_kill(self) -> None:
        """Compare the ledger with what it held at the kill before: nothing may have gone."""
        records = self.story("chaos")
        self.lost += sum(1 for a, b in zip(self._kept, records, strict=False) if a != b)
        self.lost += max(0, len(self._kept) - len(records))
        self._kept = records
        self.kills_in_trial.update([records[-1]["trial"]] if records else [])

    def compare(self) -> dict[str, Any]:
        """The disturbed copy against the calm one."""
        self.note_kill()
        calm, chaos = self.story("calm"), self.story("chaos")
        twice, beyond = self._trained_twice()
        return {
            "equal": calm == chaos and calm != [],
            "reports": sum(record["event"] == "reported" for record in chaos),
            "trials": sum(record["event"] == "told" for record in chaos),
            "results_lost": self.lost,
            "reports_trained_twice": twice,
            "trained_twice_beyond_one_interval": beyond,
            "left_running_in_optuna": self._running_in_optuna(),
        }

    def _trained_twice(self) -> tuple[int, int]:
        """Reports trained again, and those that one interval a kill does not account for.

        A trial's curve gets a line whenever an interval has been trained, before the
        checkpoint; a report handed out again from its checkpoint adds none.
        """
        twice = beyond = 0
        for curve in sorted((self.results / "chaos" / "trials").glob("*/curve.jsonl")):
            lines = curve.read_text().splitlines()
            seen = Counter(json.loads(line)["positions_seen"] for line in lines)
            again = sum(count - 1 for count in seen.values())
            twice += again
            beyond += max(0, again - self.kills_in_trial[curve.parent.name])
        return twice, beyond

    def _running_in_optuna(self) -> int | None:
        """Trials that Optuna's storage holds as running; None where the study keeps none."""
        from optuna.storages import JournalStorage
        from optuna.storages.journal import JournalFileBackend
        from optuna.trial import TrialState

        path = self.results / "chaos" / "optuna.journal"
        if not path.exists():
            return None
        storage = JournalStorage(JournalFileBackend(str(path)))
        (study,) = storage.get_all_studies()
        trials = storage.get_all_trials(study._study_id, deepcopy=False)
        return sum(trial.state == TrialState.RUNNING for trial in trials)

    def _ledger(self, name: str) -> Path:
        return self.results / name / "ledger.jsonl"

    def _run(self, *arguments: object) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, str(ROOT / "run_search.py"), *map(str, arguments)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )


def _kill_drivers(
    study: Study, instants: random.Random, rounds: int, calm_s: float
) -> Iterator[None]:
    """Kill -9 in turn while Ray and the study come up, and while trials run."""
    for number in range(rounds):
        held = len(study.story("chaos"))
        process = study.go_on()
        if number % 2:
            _wait_for(partial(_has_grown, study, held), process)
        try:
            process.wait(instants.uniform(0.0, _WORK_S if number % 2 else min(calm_s, _START_S)))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            study.note_kill()
            yield
        else:
            return
    _finish(study.go_on())


def _kill_workers(
    study: Study, instants: random.Random, rounds: int, calm_s: float
) -> Iterator[None]:
    """Kill -9 the process that trains, one driver living through it all."""
    driver, killed = study.go_on(), 0

    def training() -> int | None:
        return _descendant(driver.pid)

    while killed < rounds and _has_worked(study, killed, training, driver, instants):
        with suppress(ProcessLookupError):  # it may just have made way for another
            if (worker := training()) is not None:
                os.kill(worker, signal.SIGKILL)
                killed += 1
                study.note_kill()
                yield
    _finish(driver)


def _kill_nodes(
    study: Study, instants: random.Random, rounds: int, calm_s: float, warned: bool = False
) -> Iterator[None]:
    """Kill the raylet of the node that trains, perhaps by SIGTERM; another node joins."""
    driver, cluster, killed = study.go_on(), study.cluster, 0

    def training() -> Any:
        return next((node for node in cluster.worker_nodes if _descendant(_raylet(node))), None)

    while killed < rounds and _has_worked(study, killed, training, driver, instants):
        if (node := training()) is not None:
            cluster.remove_node(node, allow_graceful=warned)
            killed += 1
            study.note_kill()
            cluster.add_node(**_NODE)
            yield
    _finish(driver)


def _has_worked(
    study: Study,
    killed: int,
    training: Callable[[], Any],
    driver: subprocess.Popen[bytes],
    instants: random.Random,
) -> bool:
    """Wait for a random instant of the work; False when the driver has ended first.

    Every other time a record is waited for: where starting takes longer than the instants reach,
    the study would otherwise be killed in one place again and again.
    """
    if killed % 2:
        _wait_for(partial(_has_grown, study, len(study.story("chaos"))), driver)
    if _wait_for(training, driver) is None:
        return False
    try:
        driver.wait(instants.uniform(0.0, _WORK_S))
    except subprocess.TimeoutExpired:
        return True
    return False


Disturb = Callable[[Study, random.Random, int, float], Iterator[None]]
_DISTURB: dict[str, Disturb] = {
    "driver": _kill_drivers,
    "worker": _kill_workers,
    "node": _kill_nodes,
    "spot": partial(_kill_nodes, warned=True),
}
_NODE: dict[str, Any] = {"num_cpus": 1, "object_store_memory": 100 * 1024**2}


@contextmanager
def _three_nodes() -> Iterator[Any]:
    """A head without CPUs and two nodes to train on, on this machine, with a token."""
    os.environ.update(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=secrets.token_hex(32))
    from ray.cluster_utils import Cluster

    head = {**_NODE, "num_cpus": 0, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    try:
        for _ in range(2):
            cluster.add_node(**_NODE)
        yield cluster
    finally:
        cluster.shutdown()


def _raylet(node: Any) -> int:
    """Process id of a node's raylet."""
    (info,) = node.all_processes["raylet"]
    return int(info.process.pid)


def _has_grown(study: Study, held: int) -> bool | None:
    return len(study.story("chaos")) > held or None


def _finish(process: subprocess.Popen[bytes]) -> None:
    status = process.wait()
    if status:
        raise SystemExit(f"the study ended with status {status}")


def _wait_for(condition: Callable[[], Any], driver: subprocess.Popen[bytes]) -> Any:
    """What a condition answers once it does; None when the driver has ended."""
    deadline = time.monotonic() + _PATIENCE_S
    while driver.poll() is None:
        found = condition()
        if found is not None:
            return found
        if time.monotonic() > deadline:
            driver.kill()
            raise SystemExit(f"no worker within {_PATIENCE_S:g} s")
        time.sleep(0.05)
    return None


def _descendant(ancestor: int) -> int | None:
    """A trial's worker among the descendants of a process, by /proc."""
    parents: dict[int, int] = {}
    workers = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with suppress(OSError):
            parents[int(entry.name)] = int(
                (entry / "stat").read_text().rpartition(")")[2].split()[1]
            )
            if (entry / "cmdline").read_bytes().startswith(_WORKER):
                workers.append(int(entry.name))
    for worker in workers:
        process = worker
        while process > 1:
            process = parents.get(process, 0)
            if process == ancestor:
                return worker
    return None


if __name__ == "__main__":
    sys.exit(main())
