"""Compares the cost of the engine with plain Ray Tune and with bare loops.

`python benchmarks/engine_overhead.py [--rounds 1] [--games PATH]`. In each round the same work is
done three times, with two trials of one thread at the same time: by `run_search.py launch`, the
real command with its doctor, with TPE over a learning rate and an ASHA that prunes nothing; by a
plain Ray Tune script (`overhead_plain.py`); and by bare loops in two processes
(`overhead_bare.py`). In odd rounds the order is reversed.

The time of a bare loop is from the start of its process, including imports and games, to the end
of the last trial. The time of the engine and of the plain script is from the return of `ray.init`
to the end of the last trial. So the start of Ray itself is not included, but the start and the
imports of workers are, and so is any part of the engine's own start at that point. The wall clock
depends on other processes, so the CPU time of all processes is printed as well.

A further small study runs one trial at a time and measures its worker's memory after each.
The exit status is 1 if an aim is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from overhead_study import launch, ledger_of, require, worker_memory
from overhead_work import Work, shares
from process_tree import ProcessTree

from hexsearch.data.collection.importing import STARTER_GAMES
from hexsearch.ledger.events import Record
from hexsearch.ledger.ledger import read_ledger

HERE = Path(__file__).parent
PROCESSES = 2
AIMS = {"engine_over_bare": 1.10, "first_step_over_plain": 1.0, "worker_growth": 1.05}
_RAY_NICENESS = "15"  # Ray's default

Measured = dict[str, Any]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--games", default=STARTER_GAMES, help="default: those that come along")
    parser.add_argument("--board-size", type=int, default=13)
    parser.add_argument("--trunk", default="small")
    parser.add_argument("--trials", type=int, default=16)
    parser.add_argument("--positions", type=int, default=24_576, help="of each trial")
    parser.add_argument("--reports", type=int, default=3, help="of each trial")
    parser.add_argument("--validation-games", type=int, default=150)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--memory-trials", type=int, default=32, help="0 leaves memory out")
    parser.add_argument("--sides", default="bare,engine,plain", help="comma-separated")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="overhead-") as folder:
        work = Work(
            games=arguments.games,
            trials=arguments.trials,
            positions=arguments.positions,
            reports=arguments.reports,
            validation_games=arguments.validation_games,
            board_size=arguments.board_size,
            trunk=arguments.trunk,
            directory=folder,
        )
        rounds = []
        for number in range(arguments.rounds):
            sides = arguments.sides.split(",")
            measured = {
                name: SIDES[name](work, f"{name}{number}")
                for name in (reversed(sides) if number % 2 else sides)
            }
            rounds.append({name: measured[name] for name in sides})
            print(table(rounds[-1]), flush=True)
        memory = worker_memory(work, arguments.memory_trials) if arguments.memory_trials else {}
    outcome = {**ratios(rounds), **memory}
    print(json.dumps(outcome))
    missed = [name for name, aim in AIMS.items() if name in outcome and outcome[name] > aim]
    for name in missed:
        print(f"missed: {name} is {outcome[name]}, wanted at most {AIMS[name]}", file=sys.stderr)
    return 1 if missed else 0


def bare(work: Work, name: str) -> Measured:
    """Bare loops, in one process for each concurrent trial."""
    started = time.time()
    commands = [
        [sys.executable, str(HERE / "overhead_bare.py"), work.to_argument(), *map(str, seeds)]
        for seeds in shares(range(work.trials), PROCESSES)
    ]
    # Ray gives its workers a low priority, which would matter on a busy machine.
    give_way = os.environ.get("RAY_worker_niceness", _RAY_NICENESS)
    processes = [
        subprocess.Popen(["nice", "-n", give_way, *command], stdout=subprocess.PIPE)
        for command in commands
    ]
    with ProcessTree(os.getpid()) as tree:
        answers = [process.communicate()[0] for process in processes]
    trials = [json.loads(line) for answer in answers for line in answer.splitlines()]
    require(all(process.returncode == 0 for process in processes), "a bare loop failed")
    cpu = sum(tree.cpu_seconds().values()) - tree.cpu_seconds()["command"]
    return measure(work, trials, started, started, cpu)


def plain(work: Work, name: str) -> Measured:
    """The plain Ray Tune script."""
    place = replace(work, directory=str(Path(work.directory) / name))
    Path(place.directory).mkdir()
    started = time.time()
    command = [sys.executable, str(HERE / "overhead_plain.py"), place.to_argument()]
    log = Path(place.directory) / "log"
    with open(log, "wb") as file:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=file)
        with ProcessTree(process.pid) as tree:
            answer, _ = process.communicate()
    require(process.returncode == 0, f"the plain script failed: {log.read_text()[-2000:]}")
    said = json.loads(answer.splitlines()[-1])
    return measure(work, said["trials"], started, said["up_at"], sum(tree.cpu_seconds().values()))


def engine(work: Work, name: str) -> Measured:
    """The real command. Its work is read from its ledger."""
    started = time.time()
    process = launch(work, name)
    with ProcessTree(process.pid) as tree:
        _, said = process.communicate()
    require(process.returncode == 0, f"the engine failed: {said.decode()[-2000:]}")
    records = read_ledger(ledger_of(work, name))
    cpu = tree.cpu_seconds()
    up_at = records[0]["timings"]["ray_up_at"]
    return {
        **measure(work, trials_of(records, work), started, up_at, sum(cpu.values())),
        "cpu_of": {kind: round(seconds, 1) for kind, seconds in cpu.items()},
    }


def trials_of(records: list[Record], work: Work) -> list[Measured]:
    """The work of each trial from the ledger, in the form of the other two sides."""
    validation = len(work.dataset().validation)
    trials: dict[str, Measured] = {}
    for record in records:
        if record["event"] == "reported":
            report = record["report"]
            trial = trials.setdefault(record["trial"], {"evaluated": 0})
            trial["evaluated"] += validation
            trial["positions"] = report["positions_seen"]
            trial["parameters"] = report["parameters"]
            trial.setdefault("began_at", report["timings"]["began_at"])
        elif record["event"] == "told":
            trials[record["trial"]]["ended_at"] = record["at"]
    return list(trials.values())


def measure(
    work: Work, trials: list[Measured], started: float, clock_from: float, cpu_s: float
) -> Measured:
    """The figures of one side, after a check that it has done the work."""
    require(len(trials) == work.trials, f"{len(trials)} trials instead of {work.trials}")
    require(all(trial["positions"] == work.positions for trial in trials), "unequal positions")
    seconds = sorted(trial["ended_at"] - trial["began_at"] for trial in trials)
    ended = max(trial["ended_at"] for trial in trials)
    first = min(trial["began_at"] for trial in trials)
    return {
        "seconds": ended - clock_from,
        "training_s": ended - first,
        "first_step_s": first - started,
        "cpu_s": cpu_s,
        "trial_s": [seconds[0], statistics.median(seconds)],
        "evaluated": {trial["evaluated"] for trial in trials},
        "parameters": {trial["parameters"] for trial in trials},
    }


def table(sides: dict[str, Measured]) -> str:
    """The sides of one round, as Markdown."""
    lines = [
        "| | s | s from the first step on | first step after s | CPU s | a trial, s (least) |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for name, side in sides.items():
        least, median = side["trial_s"]
        figures = [side[key] for key in ("seconds", "training_s", "first_step_s", "cpu_s")]
        cells = [f"{figure:.1f}" for figure in figures]
        lines.append(f"| {name} | {' | '.join(cells)} | {median:.1f} ({least:.1f}) |")
    work = {(tuple(side["evaluated"]), tuple(side["parameters"])) for side in sides.values()}
    require(len(work) == 1, f"the sides did not do the same work: {work}")
    if "engine" in sides:
        lines.append(f"CPU s of the engine: {sides['engine']['cpu_of']}")
    return "\n".join(lines)


def ratios(rounds: list[dict[str, Measured]]) -> Measured:
    """Medians over the rounds of the ratios within each round."""

    def over(side: str, base: str, figure: str) -> float:
        return middle([sides[side][figure] / sides[base][figure] for sides in rounds])

    outcome: Measured = {}
    for side in rounds[0]:
        outcome[f"{side}_s"] = middle([sides[side]["seconds"] for sides in rounds])
        if side != "bare" and "bare" in rounds[0]:
            outcome[f"{side}_over_bare"] = over(side, "bare", "seconds")
            outcome[f"{side}_over_bare_from_first_step"] = over(side, "bare", "training_s")
            outcome[f"{side}_over_bare_cpu"] = over(side, "bare", "cpu_s")
    if "engine" in rounds[0]:
        outcome["first_step_s"] = middle([sides["engine"]["first_step_s"] for sides in rounds])
    if {"engine", "plain"} <= set(rounds[0]):
        outcome["first_step_over_plain"] = over("engine", "plain", "first_step_s")
    return outcome


def middle(figures: list[float]) -> float:
    return round(statistics.median(figures), 3)


SIDES: dict[str, Callable[[Work, str], Measured]] = {
    "bare": bare,
    "engine": engine,
    "plain": plain,
}

if __name__ == "__main__":
    sys.exit(main())
