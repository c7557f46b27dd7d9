"""Does a schedule that can be finished from anywhere serve a search better than one-cycle?

`python benchmarks/budgeted_schedules.py --games starter [--count 48] [--keep FILE]` trains random
configurations of `curves/floats.yaml` three times with the same seed, in one thread: with
one-cycle; with warm-up, stable, decay, of which the last fifth decays; and with the same until the
rung at a third of the training, from which the rate decays to 0 within a quarter more (as a paused
trial would be finished from where it stands). It prints how well values at rungs predict final
ones (Spearman's rank correlation), the values at the end, and what picking the best by its value at
a rung, or by its early finish, loses in the final value. Intervals are bootstrapped over
configurations. `--keep` appends each configuration to a file and goes on after those it holds.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from record_curves import HERE, runs_of, whole_lines
from scipy.stats import spearmanr

from hexsearch.config.optimiser import OptimiserConfig
from hexsearch.data.collection.importing import import_games
from hexsearch.data.dataset import Dataset
from hexsearch.search.space import SearchSpace, Values
from hexsearch.search.space_parsing import load_space
from hexsearch.training.optimisation import schedule
from hexsearch.training.trial import Trial

RUNGS, END = (1_152, 3_456, 10_368), 31_104
EARLY = 12_960  # positions at the end of an early finish, a quarter more than the last rung
SEED = 0
Rate = Callable[[OptimiserConfig, float], float]
Floats = NDArray[np.float64]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--games", default="starter")
    parser.add_argument("--count", type=int, default=48)
    parser.add_argument("--keep", type=Path, required=True, metavar="FILE")
    args = parser.parse_args()
    torch.set_num_threads(1)
    config, space = load_space(HERE / "floats.yaml")
    archive, _ = import_games([args.games], config.data.board_size)
    dataset = Dataset(archive, config.data)
    done = whole_lines(args.keep)
    with open(args.keep, "a", encoding="utf-8") as file:
        for place, (values, _) in enumerate(runs_of(space, args.count, None)):
            if place >= done:
                print(json.dumps(curves := trained(space, values, dataset)), file=file, flush=True)
                print(place, curves, flush=True)
    lines = args.keep.read_text(encoding="utf-8").splitlines()
    show([json.loads(line) for line in lines][: args.count])
    return 0


def trained(space: SearchSpace, values: Values, dataset: Dataset) -> dict[str, list[float]]:
    """Value losses at the rungs and the end by each schedule, and after the early finish."""
    points = (*RUNGS, END)
    with rate(decaying(0.8, 1.0)):
        stable = losses(space, values, dataset, points)
    with rate(decaying(RUNGS[-1] / END, EARLY / END)):
        early = losses(space, values, dataset, (EARLY,))
    return {
        "one_cycle": losses(space, values, dataset, points), "stable": stable, "early": early
    }  # fmt: skip


def losses(
    space: SearchSpace, values: Values, dataset: Dataset, points: tuple[int, ...]
) -> list[float]:
    """The value loss after each number of positions."""
    trial = Trial.of(space.resolve(values), dataset, max_positions=END, seed=SEED)
    told = []
    for point in points:
        trial.train_to(point)
        told.append(trial.report().value_loss)
    return told


def decaying(first: float, last: float) -> Rate:
    """Warm-up, the peak, and from a share `first` of the training a line to 0 at `last`."""

    def learning_rate(config: OptimiserConfig, progress: float) -> float:
        rising = min(progress / config.warmup, 1.0) if config.warmup else 1.0
        left = min(max((last - progress) / (last - first), 0.0), 1.0)
        return config.learning_rate * rising * left

    return learning_rate


@contextmanager
def rate(learning_rate: Rate) -> Iterator[None]:
    """Let trials train by another schedule."""
    kept = schedule.learning_rate
    schedule.learning_rate = learning_rate  # type: ignore[assignment]
    try:
        yield
    finally:
        schedule.learning_rate = kept


def show(found: list[dict[str, list[float]]]) -> None:
    """Print the tables."""
    one, stable = (np.array([each[name] for each in found]) for name in ("one_cycle", "stable"))
    early = np.array([each["early"][0] for each in found])
    draws = np.random.default_rng(SEED).integers(0, len(found), (2000, len(found)))
    print(f"\n{len(found)} configurations; 95% intervals over configurations")
    print("| positions | one-cycle | warm-up, stable, decay | difference |\n|---:|--:|--:|---|")
    for place, point in enumerate(RUNGS):
        pairs = [(each[:, place], each[:, -1]) for each in (one, stable)]
        print(f"| rank correlation at {point:,} | {compared(pairs, draws, correlation)} |")
    finish = [(one[:, 2], one[:, -1]), (early, one[:, -1])]
    print(f"| of an early finish with one-cycle's end | {compared(finish, draws, correlation)} |")
    ends = [(each[:, -1], each[:, -1]) for each in (one, stable)]
    print(f"| mean value loss at the end | {compared(ends, draws, lambda x, _: float(x.mean()))} |")
    print(f"| the best at the end | {compared(ends, draws, lambda x, _: float(x.min()))} |")
    for place, point in enumerate(RUNGS):
        pairs = [(each[:, place], each[:, -1]) for each in (one, stable)]
        print(f"| regret of the best at {point:,} | {compared(pairs, draws, regret)} |")
    values = [(early, early), (one[:, 2], one[:, 2])]
    told = compared(values[::-1], draws, lambda x, _: float(x.mean()))
    print(f"| mean value loss at {RUNGS[-1]:,} and after an early finish | {told} |")


def correlation(x: Floats, y: Floats) -> float:
    """Spearman's rank correlation; 0 for equal numbers."""
    return float(np.nan_to_num(spearmanr(x, y).statistic))


def regret(x: Floats, y: Floats) -> float:
    """What the one that is best by x loses in y."""
    return float(y[x.argmin()] - y.min())


def compared(
    pairs: list[tuple[Floats, Floats]], draws: NDArray[np.int64], figure: Callable[..., float]
) -> str:
    """A figure of both sides, and the interval of its difference."""
    one, other = (figure(x, y) for x, y in pairs)
    (a, b), (c, d) = pairs
    gaps = [figure(c[rows], d[rows]) - figure(a[rows], b[rows]) for rows in draws]
    low, high = np.quantile(gaps, (0.025, 0.975))
    return f"{one:.4f} | {other:.4f} | {other - one:+.4f} ({low:+.4f} to {high:+.4f})"


if __name__ == "__main__":
    raise SystemExit(main())
