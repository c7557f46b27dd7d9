"""Measures how the driver's time, memory and disk grow with the number of trials.

`python benchmarks/scale.py --output DIR` drives the engine with simulated workers, 10,000 trials
and reports of realistic size, and with what the driver does beside it: progress, checkpoints that
are kept, leaderboard. Every record is synced to the disk as in a study. `--workers 1000 --faults`
makes a cluster in which nodes are lost, some are slow, and the network parts once. DIR is then the
folder of a study, with scale.svg and scale.json: each term with its exponent, fitted on logarithms.
Points before a worker has had five trials on average are printed and stored, and neither drawn nor
fitted.
"""

from __future__ import annotations

import argparse
import contextlib
import heapq
import io
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from leaderboard_scale import SimulatedGames, example_report
from scale_cluster import REALISTIC, Faults, SimulatedCluster
from scale_figures import TERMS, Point, draw, exponents_of, without_the_start

from hexsearch.backend.remote.trial_files import TrialFiles
from hexsearch.cli.main import main as command_line
from hexsearch.config.section import build
from hexsearch.config.study import StudyConfig
from hexsearch.ledger.events import Discarded, Event, Finished, Promoted, StudyOpened, Told
from hexsearch.ledger.folder import StudyFolder
from hexsearch.ledger.game_losses import write_game_losses
from hexsearch.ledger.history import TrialHistory
from hexsearch.ledger.ledger import Ledger, steady_clock
from hexsearch.search.engine import Engine, EngineSetup
from hexsearch.search.space_parsing import build_space
from hexsearch.study.progress import ProgressMeter
from hexsearch.study.retention import CheckpointRetention
from hexsearch.training.report_points import report_points

BATCH = 64
GRACE = 11 * BATCH
SHARES = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0)  # of all trials, at which is measured
CHECKPOINT_BYTES = 2_000_000
READ_RUNS = 300  # the best trials, of which a leaderboard reads losses game by game


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--output", type=Path, required=True, metavar="DIR")
    parser.add_argument("--rules", nargs=2, default=["evidence", "forecast"],
                        metavar=("SCHEDULER", "SEARCHER"))  # fmt: skip
    parser.add_argument("--workers", type=int, default=64)
    parser.add_argument("--every", type=int, default=1, metavar="BATCHES",
                        help="batches between two reports; a whole training has 99")  # fmt: skip
    parser.add_argument("--faults", action="store_true",
                        help="lose a node an hour; slow nodes; a partition")  # fmt: skip
    parser.add_argument("--read", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.read:
        print(json.dumps(reading_seconds(StudyFolder(args.read), args.trials, args.rules)))
        return 0
    folder = StudyFolder(args.output)
    if folder.ledger.exists():
        parser.error(f"{folder.ledger} is there already; name another folder")
    simulated = SimulatedStudy(folder, args.trials, args.rules)
    points = simulated.run(args.workers, args.every, REALISTIC if args.faults else Faults())
    for point in points:
        measure_reading(folder, point, args.trials, args.rules)
        print(point)
    settled = without_the_start(points, args.workers)
    exponents = exponents_of(settled)
    said = {"points": [asdict(point) for point in points], "exponents": exponents}
    (folder.path / "scale.json").write_text(json.dumps(said, indent=2))
    (folder.path / "scale.svg").write_text(draw(settled, exponents))
    print(", ".join(f"{TERMS[name][0]} ~ n^{power:.2f}" for name, power in exponents.items()))
    print(simulated.happened)
    return 0


def study_config(trials: int, rules: list[str]) -> StudyConfig:
    """A space of one choice and two floats, and three levels of rungs."""
    raw = {
        "question": "How large may a study be?",
        "trial": {"trunk": "tiny", "batch_size": BATCH},
        "search": {
            "value_head": {"choice": ["512->1", "512->32->1", "512->64->1"]},
            "optimiser.learning_rate": {"float": [1e-3, 1e-1], "log": True},
            "optimiser.weight_decay": {"float": [1e-5, 1e-1], "log": True},
        },
        "scheduler": {
            "name": rules[0],
            "grace_period": GRACE,
            "max_t": 9 * GRACE,
            "reduction_factor": 3,
        },
        "searcher": {"name": rules[1]},
        "run": {"trials": trials, "retries": 5},
    }
    return build(StudyConfig, raw, "")


def open_engine(
    folder: StudyFolder,
    trials: int,
    rules: list[str],
    slots: Callable[[], int] = lambda: 1,
    observe: Callable[[Event], None] = lambda event: None,
    clock: Callable[[], float] | None = None,
) -> Engine:
    """An engine with a new or an existing ledger."""
    config = study_config(trials, rules)
    ledger = Ledger(folder.ledger, clock)
    if not len(ledger):
        dumped = config.model_dump(mode="json", by_alias=True, exclude_none=True)
        ledger.append(StudyOpened(trials=trials, config=dumped))
    setup = EngineSetup(config, build_space(config), trials, slots=slots, observe=observe)
    return Engine(setup, ledger).begin()


class NoFiles(TrialFiles):
    """Trials that have trained nothing: their checkpoints have a size and are not there."""

    def checkpoint_bytes(self, trial: str) -> int:
        """As many as a small network has."""
        return CHECKPOINT_BYTES

    def drop_checkpoint(self, trial: str) -> None:
        """There is nothing to remove."""


class SimulatedStudy:
    """The driver of a study: an engine, and what a session does with each of its records."""

    def __init__(self, folder: StudyFolder, trials: int, rules: list[str]) -> None:
        self.folder, self._trials = folder, trials
        self._rng = np.random.default_rng(0)
        self._example, self._games = example_report(self._rng), SimulatedGames(self._rng)
        self._cluster: SimulatedCluster | None = None
        began = steady_clock()()
        self.engine = open_engine(
            folder,
            trials,
            rules,
            slots=lambda: self._cluster.slots if self._cluster else 1,
            observe=self._observe,
            clock=lambda: began + (self._cluster.now if self._cluster else 0.0),
        )
        run, self._schedules = self.engine.config.run, self.engine.schedules
        self._meter = ProgressMeter(folder, self._schedules)
        self._retention = CheckpointRetention(
            NoFiles(folder, print),
            run.keep_checkpoints,
            run.paused_checkpoints_gb * 1e9,
            self.engine.history,
        )
        self._reports = 0
        self._best: list[float] = []  # a heap of the best losses at the end, negated
        self.happened = ""

    def run(self, workers: int, every: int, faults: Faults) -> list[Point]:
        """Run the whole search, and return the figures on the way."""
        engine, rungs = self.engine, self._schedules.rungs
        schedule = report_points(rungs.max_positions, every * BATCH, rungs.rungs)
        cluster = self._cluster = SimulatedCluster(workers, schedule, faults, self._rng)
        marks = [round(share * self._trials) for share in SHARES]
        points: list[Point] = []
        records, since = len(engine.ledger), time.process_time()
        for _ in cluster.run(engine, self._report):
            ended = len(engine.history.trials) - cluster.running
            if not marks or ended < marks[0]:
                continue
            now, count, asked = time.process_time(), len(engine.ledger), cluster.suggested_s
            point = Point(
                trials=marks.pop(0),
                records=count,
                reports=self._reports,
                ledger_bytes=self.folder.ledger.stat().st_size,
                events_ms=1000 * (now - since) / (count - records),
                suggestion_ms=1000 * statistics.median(asked or [0.0]),
                memory_mb=resident_mb(),
                cpu_s=now,
            )
            print(point, flush=True)
            points.append(point)
            asked.clear()
            records, since = count, time.process_time()
        engine.record(Finished())
        engine.ledger.close()
        self.happened = (
            f"{cluster.now / 3600:.1f} simulated hours; {cluster.lost} nodes lost with "
            f"{cluster.retried} trials; {cluster.burst} reports at once after the partition"
        )
        return points

    def _report(self, trial: TrialHistory, positions: int) -> dict[str, Any]:
        """A report of a noisy learning curve whose end depends on the learning rate."""
        self._reports += 1
        rate = float(trial.values["optimiser.learning_rate"])
        loss = 0.15 + 0.01 * abs(np.log10(rate / 0.01)) + 5.0 / positions
        loss = round(float(loss + self._rng.normal(0, 0.002)), 7)
        if positions == self._schedules.rungs.max_positions:
            heapq.heappush(self._best, -loss)
            if len(self._best) > READ_RUNS:
                heapq.heappop(self._best)
            if loss <= -self._best[0]:
                losses = self._games.losses(loss - self._games.mean)
                write_game_losses(self.folder.trial(trial.trial), positions, losses)
        return {**self._example, "positions_seen": positions, "value_loss": loss}

    def _observe(self, event: Event) -> None:
        """What `Session` does with each record."""
        self._meter.apply(event)
        if isinstance(event, Promoted):
            self._retention.leave(event.trial)
        if isinstance(event, Told):
            ended = self.engine.history.trials[event.trial]
            self._retention.ended(ended)
            if ended.status == "paused":
                for name in self._retention.surplus(self.engine.decisions.paused):
                    self.engine.record(Discarded(trial=name))
                    self._retention.discard(name)


def resident_mb() -> float:
    """Resident memory of this process now, in MB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1000
    raise RuntimeError("/proc/self/status has no VmRSS")


def measure_reading(folder: StudyFolder, point: Point, trials: int, rules: list[str]) -> None:
    """Time the replay and the leaderboard of the ledger as it was at a point."""
    part = StudyFolder(folder.path / "part")
    part.path.mkdir(exist_ok=True)
    if not (part.path / "trials").exists():
        (part.path / "trials").symlink_to(folder.path.resolve() / "trials")
    with open(folder.ledger, "rb") as whole:
        part.ledger.write_bytes(whole.read(point.ledger_bytes))
    command = [sys.executable, __file__, "--trials", str(trials), "--output", str(folder.path),
               "--rules", *rules, "--read", str(part.path)]  # fmt: skip
    done = subprocess.run(command, check=True, capture_output=True)
    point.replay_s, point.leaderboard_s = json.loads(done.stdout)
    part.ledger.unlink()


def reading_seconds(folder: StudyFolder, trials: int, rules: list[str]) -> tuple[float, float]:
    """CPU time to read a ledger into an engine, and of its leaderboard as JSON."""
    since = time.process_time()
    open_engine(folder, trials, rules).ledger.close()
    replay_s, since = time.process_time() - since, time.process_time()
    with contextlib.redirect_stdout(io.StringIO()):
        command_line(["leaderboard", str(folder.path), "--format", "json"])
    return replay_s, time.process_time() - since


if __name__ == "__main__":
    raise SystemExit(main())
