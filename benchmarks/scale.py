"""Measures how time, memory and disk of the search engine grow with the number of trials.

`python benchmarks/scale.py --output DIR` drives the engine with simulated workers, 10,000 trials
and about 250,000 reports of realistic size. Every record is synced to the disk as in a study. It
writes scale.svg and scale.json with the exponent of each term, fitted on logarithms.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import subprocess
import sys
import time
from bisect import bisect_right
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from leaderboard_scale import example_report

from hexsearch.config.section import build
from hexsearch.config.study import StudyConfig
from hexsearch.ledger.events import StudyOpened
from hexsearch.ledger.history import TrialHistory
from hexsearch.ledger.ledger import Ledger
from hexsearch.ledger.report import ReportSummary
from hexsearch.report.drawing import ACCENT, FAINT, INK, Axes, Drawing
from hexsearch.search.engine import Engine, EngineSetup, Job
from hexsearch.search.space_parsing import build_space
from hexsearch.training.report_points import report_points

BATCH = 64
GRACE = 11 * BATCH  # with a report a batch, a trial of an ASHA search has 25 reports or so
WORKERS = 64
SHARES = (0.1, 0.25, 0.5, 1.0)  # of all trials, at which is measured
TERMS = {  # name of a figure -> title and unit
    "events_ms": ("time per record", "ms"),
    "suggestion_ms": ("median suggestion", "ms"),
    "memory_mb": ("driver memory", "MB"),
    "ledger_mb": ("ledger", "MB"),
    "replay_s": ("replay", "s"),
}


@dataclass
class Point:
    """Figures after a number of suggested trials.

    Attributes:
        events_ms: time of a record since the last point, without suggestions.
        suggestion_ms: time of a suggestion since the last point.
        memory_mb: resident memory of the driver.
        replay_s: time to read the ledger in a new process, without the start of the process.
    """

    trials: int
    records: int
    reports: int
    ledger_bytes: int
    events_ms: float
    suggestion_ms: float
    memory_mb: float
    replay_s: float = 0.0

    @property
    def ledger_mb(self) -> float:
        return self.ledger_bytes / 1e6


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--output", type=Path, required=True, metavar="DIR")
    parser.add_argument("--rules", nargs=2, default=["evidence", "forecast"],
                        metavar=("SCHEDULER", "SEARCHER"))  # fmt: skip
    parser.add_argument("--replay", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.replay:
        started = time.perf_counter()
        engine = open_engine(args.replay, args.trials, args.rules)
        print(time.perf_counter() - started)
        engine.ledger.close()
        return 0
    args.output.mkdir(parents=True, exist_ok=True)
    path = args.output / "ledger.jsonl"
    if path.exists():
        parser.error(f"{path} is there already; name another folder")
    points = drive(path, args.trials, args.rules)
    for point in points:
        point.replay_s = replay_seconds(path, point, args.trials, args.rules)
    exponents = {name: exponent(points, name) for name in TERMS}
    said = {"points": [asdict(point) for point in points], "exponents": exponents}
    (args.output / "scale.json").write_text(json.dumps(said, indent=2))
    (args.output / "scale.svg").write_text(draw(points, exponents))
    for point in points:
        print(
            f"{point.trials:,} trials, {point.reports:,} reports: "
            f"{1000 / point.events_ms:,.0f} events/s, suggestion {point.suggestion_ms:.1f} ms, "
            f"memory {point.memory_mb:.0f} MB, ledger {point.ledger_mb:.0f} MB, "
            f"replay {point.replay_s:.2f} s"
        )
    print(", ".join(f"{TERMS[name][0]} ~ n^{power:.2f}" for name, power in exponents.items()))
    return 0


def open_engine(path: Path, trials: int, rules: list[str]) -> Engine:
    """An engine with a new or an existing ledger."""
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
        "run": {"trials": trials},
    }
    config = build(StudyConfig, raw, "")
    ledger = Ledger(path)
    if not len(ledger):
        ledger.append(StudyOpened(trials=trials))
    setup = EngineSetup(config, build_space(config), trials, slots=lambda: WORKERS)
    return Engine(setup, ledger).begin()


def drive(path: Path, trials: int, rules: list[str]) -> list[Point]:
    """Run the whole search. The workers report in turn."""
    engine = open_engine(path, trials, rules)
    rng = np.random.default_rng(0)
    example = example_report(rng)
    schedule = report_points(
        engine.schedules.rungs.max_positions, BATCH, engine.schedules.rungs.rungs
    )
    running: list[tuple[TrialHistory, int]] = []
    marks = [round(share * trials) for share in SHARES]
    points: list[Point] = []
    asked: list[float] = []
    reports, records = 0, len(engine.ledger)
    since = time.perf_counter()
    while True:
        before = time.perf_counter()
        while isinstance(job := engine.next_job(), Job):
            (trial,) = job.trials
            asked.append(time.perf_counter() - before)
            engine.start(trial.trial)
            running.append((trial, bisect_right(schedule, trial.positions_seen)))
            before = time.perf_counter()
        ended = len(engine.history.trials) - len(running)
        if marks and ended >= marks[0]:
            now, count = time.perf_counter(), len(engine.ledger)
            passed = now - since - sum(asked)
            points.append(
                Point(
                    trials=marks.pop(0),
                    records=count,
                    reports=reports,
                    ledger_bytes=path.stat().st_size,
                    events_ms=1000 * passed / (count - records),
                    suggestion_ms=1000 * statistics.median(asked or [0.0]),
                    memory_mb=resident_mb(),
                )
            )
            records, asked, since = count, [], time.perf_counter()
        if not running:
            engine.ledger.close()
            return points
        still = []
        for trial, step in running:
            reports += 1
            said = report(example, trial, schedule[step], rng)
            if engine.report(trial.trial, ReportSummary.from_json(said)) == "continue":
                still.append((trial, step + 1))
            else:
                engine.release(trial.trial)
        running = still


def report(
    example: dict[str, Any], trial: TrialHistory, positions: int, rng: np.random.Generator
) -> dict[str, Any]:
    """A report of a noisy learning curve whose end depends on the learning rate."""
    rate = float(trial.values["optimiser.learning_rate"])
    loss = 0.15 + 0.01 * abs(np.log10(rate / 0.01)) + 5.0 / positions + rng.normal(0, 0.002)
    return {**example, "positions_seen": positions, "value_loss": round(float(loss), 7)}


def resident_mb() -> float:
    """Resident memory of this process now, in MB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1000
    raise RuntimeError("/proc/self/status has no VmRSS")


def replay_seconds(path: Path, point: Point, trials: int, rules: list[str]) -> float:
    """Time to read the ledger as it was at a point."""
    part = path.with_name("part.jsonl")
    with open(path, "rb") as whole:
        part.write_bytes(whole.read(point.ledger_bytes))
    command = [sys.executable, __file__, "--trials", str(trials), "--output", str(path.parent),
               "--rules", *rules]  # fmt: skip
    done = subprocess.run([*command, "--replay", str(part)], check=True, capture_output=True)
    part.unlink()
    return float(done.stdout)


def exponent(points: list[Point], name: str) -> float:
    """Exponent b of the power law a * trials**b, fitted on logarithms."""
    x = np.log([point.trials for point in points])
    y = np.log([getattr(point, name) for point in points])
    return float(np.polyfit(x, y, 1)[0])


def round_above(value: float) -> float:
    """The next round number for an axis, whose half is round as well."""
    power = 10.0 ** math.floor(math.log10(value))
    return next(first * power for first in (1, 2, 4, 6, 8, 10) if first * power >= value)


def draw(points: list[Point], exponents: dict[str, float]) -> str:
    """Draw a panel for each term, with both scales from 0."""
    side, gap = 180.0, 70.0
    picture = Drawing(gap + len(TERMS) * (side + gap), side + 110)
    most = max(point.trials for point in points)
    for place, (name, (title, unit)) in enumerate(TERMS.items()):
        top = round_above(max(getattr(point, name) for point in points))
        left = gap + place * (side + gap)
        axes = Axes(picture, left, 50, side, side, (0, 1.05 * most), (0, top))
        axes.ticks([0, most / 2, most], [0, top / 2, top], "{:,.0f}", "{:.3g}")
        picture.text((left, 22), f"{title}, {unit}", 13, INK, bold=True)
        picture.text((left, 40), f"grows as trials^{exponents[name]:.2f}", 11, FAINT)
        found = [axes.at(point.trials, getattr(point, name)) for point in points]
        picture.path(found, ACCENT)
        for at in found:
            picture.dot(at, 3.5, ACCENT)
        picture.text((left + side / 2, side + 90), "trials", 11, FAINT, "middle")
    return picture.to_svg()


if __name__ == "__main__":
    raise SystemExit(main())
