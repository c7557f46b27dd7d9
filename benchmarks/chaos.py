"""Kills the driver, workers or nodes of a study at random times, and compares it with a calm run.

`python benchmarks/chaos.py [--victim driver|moment|worker|node|spot] [--rounds 50] [--seed 0]`. A
small study runs once undisturbed, and then again under kill -9. A killed driver is resumed. A
killed worker is replaced. With three nodes, the node that trains is killed (`spot`: gets SIGTERM)
and another one joins. `moment` makes many copies of the study and kills the driver of each once:
while the last report is written, between two phases, or while the final table is printed. With
one worker and one seed, the ledgers must hold the same suggestions, reports, decisions and ends,
apart from times. The exit status is 1 if they do not.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import Any

from chaos_moments import kill_at_moments
from chaos_processes import NODE, descendant, finish, raylet, three_nodes, wait_for
from chaos_study import CALM, FAULTS, Study

_START_S, _WORK_S = 12.0, 4.0  # longest random times after a start, and during the work


def main() -> int:
    """Run the calm study and the disturbed ones, and print the comparison."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--victim", choices=tuple(_DISTURB), default="driver")
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0, help="of the study and of the instants")
    parser.add_argument("--trials", type=int, default=18)
    parser.add_argument("--positions", type=int, default=17280, help="that a whole trial sees")
    arguments = parser.parse_args()
    nodes = three_nodes() if arguments.victim in ("node", "spot") else nullcontext()
    with tempfile.TemporaryDirectory(prefix="chaos-") as folder, nodes as cluster:
        study = Study(Path(folder), arguments, cluster)
        began = time.monotonic()
        study.launch(CALM).wait()
        calm_s = time.monotonic() - began
        instants = random.Random(arguments.seed)
        kills = 0
        for _ in _DISTURB[arguments.victim](study, instants, arguments.rounds, calm_s):
            kills += 1
            kept = len(study.story(study.copy))
            so_far = json.dumps(study.outcome)
            print(f"kill {kills}, {study.copy}: {kept} records kept; {so_far}", file=sys.stderr)
        if arguments.victim != "moment":
            study.settle()
        outcome = {"victim": arguments.victim, "kills": kills, **study.outcome}
    print(json.dumps(outcome))
    return 0 if kills and not any(study.outcome[fault] for fault in FAULTS) else 1


def _kill_drivers(
    study: Study, instants: random.Random, rounds: int, calm_s: float
) -> Iterator[None]:
    """Kill the driver (kill -9), in turn while trials run and while Ray and the study start."""
    for number in range(rounds):
        held = len(study.story(study.copy))
        process = study.go_on()
        works = number % 2 == 0
        if works:
            wait_for(partial(_has_grown, study, held), process)
        try:
            process.wait(instants.uniform(0.0, _WORK_S if works else min(calm_s, _START_S)))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            study.note_kill()
            yield
        else:
            return
    finish(study.go_on())


def _kill_workers(
    study: Study, instants: random.Random, rounds: int, calm_s: float
) -> Iterator[None]:
    """Kill the process that trains (kill -9). One driver lives from the first kill to the last."""
    driver, killed = study.go_on(), 0

    def training() -> int | None:
        return descendant(driver.pid)

    while killed < rounds and _has_worked(study, killed, training, driver, instants):
        with suppress(ProcessLookupError):  # another process may just have replaced it
            if (worker := training()) is not None:
                os.kill(worker, signal.SIGKILL)
                killed += 1
                study.note_kill()
                yield
    finish(driver)


def _kill_nodes(
    study: Study, instants: random.Random, rounds: int, calm_s: float, warned: bool = False
) -> Iterator[None]:
    """Kill the raylet of the node that trains, or send it SIGTERM. Then another node joins."""
    driver, cluster, killed = study.go_on(), study.cluster, 0

    def training() -> Any:
        return next((node for node in cluster.worker_nodes if descendant(raylet(node))), None)

    while killed < rounds and _has_worked(study, killed, training, driver, instants):
        if (node := training()) is not None:
            cluster.remove_node(node, allow_graceful=warned)
            killed += 1
            study.note_kill()
            cluster.add_node(**NODE)
            yield
    finish(driver)


def _has_worked(
    study: Study,
    killed: int,
    training: Callable[[], Any],
    driver: subprocess.Popen[bytes],
    instants: random.Random,
) -> bool:
    """Wait for a random time during the work. Returns False if the driver has ended before.

    Every second time it waits for a record first. Otherwise, if a start takes longer than the
    longest random time, the study would be killed at the same place again and again.
    """
    if killed % 2:
        wait_for(partial(_has_grown, study, len(study.story(study.copy))), driver)
    if wait_for(training, driver) is None:
        return False
    try:
        driver.wait(instants.uniform(0.0, _WORK_S))
    except subprocess.TimeoutExpired:
        return True
    return False


def _has_grown(study: Study, held: int) -> bool | None:
    return len(study.story(study.copy)) > held or None


Disturb = Callable[[Study, random.Random, int, float], Iterator[None]]
_DISTURB: dict[str, Disturb] = {
    "driver": _kill_drivers,
    "moment": kill_at_moments,
    "worker": _kill_workers,
    "node": _kill_nodes,
    "spot": partial(_kill_nodes, warned=True),
}


if __name__ == "__main__":
    sys.exit(main())
