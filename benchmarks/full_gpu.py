"""Measures how far a whole study fills the GPUs of this machine.

`python benchmarks/full_gpu.py [--games PATH] [--trunk small] [--trunk resnet18]` runs, by trunk:

* the real command with one trial, alone on one GPU;
* the real command with 16 trials for each GPU, placed by `run.gpus_per_trial: auto`;
* bare loops (network, optimiser, clipping, random tensors that exist already) in as many processes
  as the study ran trials at once, over as many GPUs.

Rates are positions per second of wall clock. Those of a study are counted from its first report to
its last, with evaluation, checkpoints and the set-up of later trials. Without a GPU nothing is
measured; `--device cpu` only tries the script.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from trial_throughput import BUDGET, POOL, SIZE, bare_loop, random_batches

from hexsearch.config.data import DataConfig
from hexsearch.config.run import RunConfig
from hexsearch.config.section import build
from hexsearch.config.trial import TrialConfig
from hexsearch.data.collection.importing import STARTER_GAMES, import_games
from hexsearch.data.dataset import Dataset
from hexsearch.ledger.ledger import read_ledger
from hexsearch.search.placement import Machine, slots_on
from hexsearch.training.machine import usable_cpus
from hexsearch.training.trial import Trial

RUN_SEARCH = Path(__file__).parents[1] / "run_search.py"
REPORTS = 5  # of each trial
EACH = 16  # trials for each GPU: a whole number of waves of 1, 2, 4, 8 or 16
WARM_UP = 20  # steps of a bare loop that are not counted


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--games", default=STARTER_GAMES, help="13x13 games")
    parser.add_argument("--trunk", action="append", choices=("small", "resnet18", "tiny"))
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--positions", type=int, default=512_000, help="of each trial")
    parser.add_argument("--seconds", type=float, default=20.0, help="of the bare loops")
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"))
    args = parser.parse_args()
    gpus = torch.cuda.device_count() if args.device == "cuda" else 0
    if args.device == "cuda" and not gpus:
        print("torch finds no GPU on this machine: nothing was measured", file=sys.stderr)
        return 1
    machine = Machine(usable_cpus(), gpus)
    print("| trunk | what | at once | positions/s | times one trial |")
    print("|---|---|---:|---:|---:|")
    with tempfile.TemporaryDirectory() as folder:
        for trunk in args.trunk or ["small", "resnet18"]:
            measure(args, trunk, machine, Path(folder))
    return 0


def measure(args: argparse.Namespace, trunk: str, machine: Machine, folder: Path) -> None:
    alone = study(args, trunk, 1, folder, "1" if machine.gpus else "0")
    one = rate_of(alone)
    row(trunk, "one trial alone", 1, one, one)
    trials = EACH * machine.gpus or 2 * machine.cpus
    whole = study(args, trunk, trials, folder, "auto" if machine.gpus else "0")
    placed = build(RunConfig, read_ledger(whole)[0]["config"]["run"], "run")
    slots = min(trials, slots_on(machine, placed))
    row(trunk, f"a study of {trials} trials", slots, rate_of(whole), one)
    row(trunk, "bare loops", slots, bare_rate(args, trunk, slots, machine.gpus), one)


def row(trunk: str, what: str, at_once: int, rate: float, one: float) -> None:
    print(f"| {trunk} | {what} | {at_once} | {rate:,.0f} | {rate / one:.2f} |", flush=True)


def study(args: argparse.Namespace, trunk: str, trials: int, folder: Path, gpus: str) -> Path:
    """Run a study of equal trials with the real command. Returns its ledger."""
    space = folder / "space.yaml"
    space.write_text(
        "question: How many positions does a study train on in a second?\n"
        f"trial: {{trunk: {trunk}, batch_size: {args.batch}}}\n"
        f"scheduler: {{name: none, grace_period: {args.positions}, max_t: {args.positions}, "
        f"report_every: {args.positions // REPORTS}}}\n"
        f"run: {{trials: {trials}, gpus_per_trial: {gpus}, keep_checkpoints: 0}}\n"
    )
    name = f"{trunk}-{trials}"
    command = [sys.executable, str(RUN_SEARCH), "launch", str(space), "--no-doctor"]
    command += ["--games", args.games, "--results", str(folder), "--name", name]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"the study {name} failed:\n{done.stderr}")
    return folder / name / "ledger.jsonl"


def rate_of(ledger: Path) -> float:
    """Positions per second of a study, from its first report to its last.

    A trial's positions at a time between two of its reports, or before its first one, are
    interpolated.
    """
    curves: dict[str, list[tuple[float, int]]] = {}
    for record in read_ledger(ledger):
        if record["event"] == "started":
            curves[record["trial"]] = [(record["at"], 0)]
        elif record["event"] == "reported":
            curves[record["trial"]].append((record["at"], record["report"]["positions_seen"]))
    first = min(curve[1][0] for curve in curves.values())
    last = max(curve[-1][0] for curve in curves.values())
    seen = 0.0
    for curve in curves.values():
        times, positions = zip(*curve, strict=True)
        seen += positions[-1] - float(np.interp(first, times, positions))
    return seen / (last - first)


def bare_rate(args: argparse.Namespace, trunk: str, processes: int, gpus: int) -> float:
    """Positions per second of bare loops in so many processes together."""
    context: Any = multiprocessing.get_context("spawn")
    barrier, rates = context.Barrier(processes), context.Queue()
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = visible.split(",") if visible else [str(number) for number in range(gpus)]
    started = []
    for number in range(processes):
        os.environ["CUDA_VISIBLE_DEVICES"] = names[number % gpus] if gpus else ""
        started.append(context.Process(target=bare_process, args=(args, trunk, barrier, rates)))
        started[-1].start()
    total = sum(rates.get() for _ in started)
    for process in started:
        process.join()
    return float(total)


def bare_process(args: argparse.Namespace, trunk: str, barrier: Any, rates: Any) -> None:
    torch.set_num_threads(1)
    archive, _ = import_games([args.games], SIZE)
    dataset = Dataset(archive, DataConfig(board_size=SIZE, validation_games=20))
    config = build(TrialConfig, {"trunk": trunk, "batch_size": args.batch}, "trial")
    trial = Trial.of(config, dataset, BUDGET, seed=0, device=torch.device(args.device))
    step, pool = bare_loop(config, trial), random_batches(trial, args.batch)
    for number in range(WARM_UP):
        step(*pool[number % POOL])
    if args.device == "cuda":
        torch.cuda.synchronize()
    barrier.wait()
    began, steps = time.perf_counter(), 0
    while time.perf_counter() - began < args.seconds:
        step(*pool[steps % POOL])
        steps += 1
    if args.device == "cuda":
        torch.cuda.synchronize()
    rates.put(steps * args.batch / (time.perf_counter() - began))


if __name__ == "__main__":
    raise SystemExit(main())
