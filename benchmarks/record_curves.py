"""Records learning curves of the configurations of a space, for replays on virtual clocks.

`python benchmarks/record_curves.py --games GAMES --output CURVES.jsonl` runs one plain trial after
the other in one thread, without search and Ray. It writes one line for each finished trial: its
values, [positions seen, value loss, CPU seconds] at each report, and the losses of each game (see
`packed_games`). If it is started again, it continues after the last complete line.

The configurations of a finite space come in a seeded permutation. From a space with floats,
`--count` random ones are drawn. Both ways an unfinished recording is a random sample of the space.
With `--repeat-every N`, each N-th configuration is trained a second time with another seed.
The second space: `--space benchmarks/curves/floats.yaml --games starter --count 320 --repeat-every
12 --output benchmarks/curves/starter-13x13.jsonl`. The third, with trunks of different cost:
`--space benchmarks/curves/trunks.yaml --games starter --output
benchmarks/curves/trunks-13x13.jsonl`.
"""

from __future__ import annotations

import argparse
import base64
import json
import math
import os
import platform
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hexsearch.data.collection.importing import import_games
from hexsearch.data.dataset import Dataset
from hexsearch.errors import TrialError
from hexsearch.ledger.folder import versions
from hexsearch.model.network import count_parameters
from hexsearch.search.forecasting.draws import random_values
from hexsearch.search.pruning import RungSchedule
from hexsearch.search.space import SearchSpace, Values, position_unit
from hexsearch.search.space_parsing import load_space
from hexsearch.training.metrics import GameLosses
from hexsearch.training.report_points import report_points
from hexsearch.training.trial import Trial

HERE = Path(__file__).parent / "curves"
SEED = 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--space", type=Path, default=HERE / "space.yaml")
    parser.add_argument("--games", required=True)
    parser.add_argument("--output", type=Path, default=HERE / "wolve-13x13.jsonl")
    parser.add_argument("--count", type=int, help="configurations of a space with floats")
    parser.add_argument("--repeat-every", type=int, metavar="N", help="a second seed of each N-th")
    args = parser.parse_args()
    torch.set_num_threads(1)
    config, space = load_space(args.space)
    archive, imported = import_games([args.games], config.data.board_size)
    print(imported.summary(), flush=True)
    dataset = Dataset(archive, config.data)
    schedule = RungSchedule.of(config.scheduler, position_unit(space))
    points = report_points(schedule.max_positions, schedule.report_every, schedule.rungs)
    if args.count is None and math.isinf(space.count):
        parser.error("the space has floats; give --count")
    done = whole_lines(args.output)
    with open(args.output, "a", encoding="utf-8") as file:
        if not done:
            counts = games_of(dataset)
            write_line(file, header(args, archive.content_hash, counts))
        for place, (values, seed) in enumerate(runs_of(space, args.count, args.repeat_every), 1):
            if place < done:
                continue
            line = record(space, values, dataset, points, seed)
            write_line(file, line)
            print(place, json.dumps({**line, "games": "..."}), flush=True)
    return 0


def runs_of(
    space: SearchSpace, count: int | None, repeat_every: int | None
) -> Iterator[tuple[Values, int]]:
    """The configurations and training seeds of a recording, in its order."""
    rng = np.random.default_rng(SEED)
    if count is None:
        configurations = list(space.configurations())
        drawn = (configurations[place] for place in rng.permutation(len(configurations)))
    else:
        drawn = (random_values(space, rng) for _ in range(count))
    for place, values in enumerate(drawn, 1):
        yield values, SEED
        if repeat_every and place % repeat_every == 0:
            yield values, SEED + 1


def record(
    space: SearchSpace, values: Values, dataset: Dataset, points: tuple[int, ...], seed: int
) -> dict[str, Any]:
    """Train one configuration to its end, or to the report at which it failed."""
    curve: list[list[float]] = []
    verdicts: list[str] = []
    games: list[GameLosses] = []
    started = time.process_time()
    trial = Trial.of(space.resolve(values), dataset, max_positions=points[-1], seed=seed)
    line: dict[str, Any] = {"values": values, "seed": seed}
    line["parameters"] = count_parameters(trial.network)
    try:
        for point in points:
            trial.train_to(point)
            report = trial.report()
            seconds = round(time.process_time() - started, 3)
            curve.append([point, round(report.value_loss, 6), seconds])
            verdicts.append(report.verdict.name)
            games.append(report.game_losses)
    except TrialError as error:
        line["failure"] = error.verdict
    line |= {"verdict": verdicts[-1] if verdicts else None, "curve": curve}
    return {**line, "games": packed_games(games)}


def packed_games(reports: list[GameLosses]) -> str:
    """Mean loss of each game [reports, games] in units of 1/65,535, as uint16, zlib and base64."""
    means = [each.sums.sum(axis=1) / each.counts.sum(axis=1) for each in reports]
    units = np.round(np.array(means) * 65_535).astype("<u2")
    return base64.b64encode(zlib.compress(units.tobytes(), 9)).decode()


def games_of(dataset: Dataset) -> list[int]:
    """Positions of each validation game, in the order of `packed_games`."""
    held_out = dataset.validation
    return [int(count) for count in held_out.counts[np.argsort(held_out.games)]]


def header(args: argparse.Namespace, content_hash: str, counts: list[int]) -> dict[str, Any]:
    """The space and the games of a recording, without paths."""
    words = ["--space", args.space.name, "--games", Path(args.games).name]
    if args.count is not None:
        words += ["--count", str(args.count)]
    if args.repeat_every is not None:
        words += ["--repeat-every", str(args.repeat_every)]
    return {
        "command": f"python benchmarks/record_curves.py {' '.join(words)}",
        "date": time.strftime("%Y-%m-%d"),
        "games": content_hash,
        "positions_of_games": counts,
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
