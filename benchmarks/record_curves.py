"""Records learning curves of every configuration of a finite space, for replays on virtual clocks.

`python benchmarks/record_curves.py --games GAMES --output CURVES.jsonl` runs one plain trial after
the other in one thread, without search and Ray. It writes one line for each finished
configuration: its values, and [positions seen, value loss, CPU seconds] at each report. If it is
started again, it continues after the last complete line. The order is a seeded permutation, so an
unfinished recording is a random sample of the space.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hexsearch.data.collection.importing import import_games
from hexsearch.data.dataset import Dataset
from hexsearch.errors import TrialError
from hexsearch.ledger.folder import versions
from hexsearch.model.network import count_parameters
from hexsearch.search.pruning import RungSchedule
from hexsearch.search.space import SearchSpace, Values, position_unit
from hexsearch.search.space_parsing import load_space
from hexsearch.training.report_points import report_points
from hexsearch.training.trial import Trial

HERE = Path(__file__).parent / "curves"
SEED = 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--space", type=Path, default=HERE / "space.yaml")
    parser.add_argument("--games", required=True)
    parser.add_argument("--output", type=Path, default=HERE / "wolve-13x13.jsonl")
    args = parser.parse_args()
    torch.set_num_threads(1)
    config, space = load_space(args.space)
    archive, imported = import_games([args.games], config.data.board_size)
    print(imported.summary(), flush=True)
    dataset = Dataset(archive, config.data)
    schedule = RungSchedule.of(config.scheduler, position_unit(space))
    points = report_points(schedule.max_positions, schedule.report_every, schedule.rungs)
    order = np.random.default_rng(SEED).permutation(int(space.count))
    configurations = list(space.configurations())
    done = whole_lines(args.output)
    with open(args.output, "a", encoding="utf-8") as file:
        if not done:
            write_line(file, header(args.games, archive.content_hash))
        for place in range(max(0, done - 1), len(order)):
            values = configurations[order[place]]
            line = record(space, values, dataset, points)
            write_line(file, line)
            print(place + 1, json.dumps(line), flush=True)
    return 0


def record(
    space: SearchSpace, values: Values, dataset: Dataset, points: tuple[int, ...]
) -> dict[str, Any]:
    """Train one configuration to its end, or to the report at which it failed."""
    curve: list[list[float]] = []
    verdicts: list[str] = []
    started = time.process_time()
    trial = Trial.of(space.resolve(values), dataset, max_positions=points[-1], seed=SEED)
    line: dict[str, Any] = {"values": values, "parameters": count_parameters(trial.network)}
    try:
        for point in points:
            trial.train_to(point)
            report = trial.report()
            seconds = round(time.process_time() - started, 3)
            curve.append([point, round(report.value_loss, 6), seconds])
            verdicts.append(report.verdict.name)
    except TrialError as error:
        line["failure"] = error.verdict
    return {**line, "verdict": verdicts[-1] if verdicts else None, "curve": curve}


def header(games: str, content_hash: str) -> dict[str, Any]:
    """The space and the games of a recording, without paths."""
    return {
        "command": f"python benchmarks/record_curves.py --games {Path(games).name}",
        "date": time.strftime("%Y-%m-%d"),
        "games": content_hash,
        "machine": f"{platform.machine()}, one thread",
        "seed": SEED,
        "versions": versions(),
    }


def whole_lines(path: Path) -> int:
    """The complete lines of a stopped recording. An incomplete last line is removed."""
    if not path.exists():
        return 0
    content = path.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    if whole != content:
        os.truncate(path, len(whole))
    return whole.count(b"\n")


def write_line(file: Any, line: dict[str, Any]) -> None:
    file.write(json.dumps(line, separators=(",", ":")) + "\n")
    file.flush()


if __name__ == "__main__":
    raise SystemExit(main())
