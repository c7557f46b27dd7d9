"""Regret against virtual time, for searchers that replay the same learning curves.

`nice python benchmarks/search_quality.py --seeds 20` runs our searcher (with a known budget, as
with `--time-budget`, and `untold`, without it), its parts in other combinations, and the peers of
`search_peers.py`. The virtual clock counts the CPU seconds of the recorded reports
(`record_curves.py`). A budget is a share of the time of 40 whole trainings, divided by the
workers. Regret is the final value loss of the configuration with most positions seen (of the best
of these), minus the lowest value loss of the space. There are fewer trials than configurations,
so that our searcher models the space and does not enumerate it. `--sets` gives the curves:
`recorded`, or kinds of random curves (`learning_curves.py`); `mixed` was held out when the rules
were chosen.
"""

from __future__ import annotations

import argparse
import heapq
import math
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from learning_curves import Configuration, Curve, drawn, key, recorded, synthetic
from scipy.stats import ttest_1samp
from search_peers import Clock, OptunaPruned, Ours, Promotion, Random, RayAsha, Searcher

from hexsearch.statistics.intervals import holm

HERE = Path(__file__).parent / "curves"
MEMORY = Path("/dev/shm")  # a virtual ledger need not reach a disk
BUDGETS, WORKERS = (0.10, 0.25, 0.50, 1.00), (1, 4, 16, 64)
SETS = ("recorded", "synthetic", "crossing", "noisy", "late", "overfitting", "power")
SEARCHERS = (
    "ours", "untold", "random draws", "tpe", "asha", "random asha", "promotion", "random",
    "halving", "hyperband", "wilcoxon", "ray", "ray random",
)  # fmt: skip
PARTS = {  # ours with other parts: scheduler and searcher
    "untold": ("evidence", "forecast"),
    "random draws": ("evidence", "random"),
    "tpe": ("evidence", "tpe"),
    "asha": ("asha", "tpe"),
    "random asha": ("asha", "random"),
}


def replay(
    searcher: Searcher,
    curves: dict[str, Curve],
    workers: int,
    times: Sequence[float],
    clock: Clock,
) -> list[float]:
    """Regret of the most advanced, then best, report at each of `times`; nan before the first."""
    whole = max(c[-1][0] for c in curves.values())
    # A training that broke before its end is worth no more than "50%" on every position.
    finals = {k: c[-1][1] if c[-1][0] == whole else 0.25 for k, c in curves.items()}
    best, held = min(finals.values()), (0, 0.0, "")
    regrets: list[float] = []
    heap: list[tuple[float, int, str, str, int, float]] = []
    serial = 0
    while True:
        while len(heap) < workers and (asked := searcher.ask()) is not None:
            name, k = asked[0], key(asked[1])
            step = sum(positions <= asked[2] for positions, _, _ in curves[k])
            began = clock.now - (curves[k][step - 1][2] if step else 0.0)
            heapq.heappush(heap, (began + curves[k][step][2], serial, name, k, step, began))
            serial += 1
        following = heap[0][0] if heap else math.inf
        while len(regrets) < len(times) and times[len(regrets)] < following:
            regrets.append(finals[held[2]] - best if held[2] else math.nan)
        if len(regrets) == len(times) or not heap:
            return regrets
        clock.now, order, name, k, step, began = heapq.heappop(heap)
        positions, loss, _ = curves[k][step]
        held = max(held, (positions, -loss, k)) if held[2] else (positions, -loss, k)
        last = step + 1 == len(curves[k])
        if not searcher.report(name, positions, loss, last) and not last:
            heapq.heappush(heap, (began + curves[k][step + 1][2], order, name, k, step + 1, began))


def budgets_of(curves: Sequence[Curve], workers: int) -> list[float]:
    """Virtual seconds of each budget."""
    total = 40 * float(np.mean([curve[-1][2] for curve in curves]))
    return [share * total / workers for share in BUDGETS]


def curves_of(name: str, configurations: list[Configuration], seed: int) -> list[Curve]:
    """The curves of a set; drawn ones in three versions, by seed."""
    if name == "recorded":
        return recorded(HERE / "wolve-13x13.jsonl")[1]
    if name == "synthetic":
        return synthetic(configurations, 1 + seed % 3)
    return drawn(name, configurations, 1 + seed % 3)


def regrets_of(
    seed: int, workers: int, set_name: str, names: Sequence[str]
) -> dict[str, list[float]]:
    """Each searcher's regret at each budget."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    configurations, _ = recorded(HERE / "wolve-13x13.jsonl")
    curves = curves_of(set_name, configurations, seed)
    by_key = {key(c): curve for c, curve in zip(configurations, curves, strict=True)}
    choices = {n: sorted({c[n] for c in configurations}) for n in configurations[0]}
    times = budgets_of(curves, workers)

    def ours(until: Sequence[float], budget: float, scheduler: str, searcher: str) -> list[float]:
        clock = Clock()
        with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
            made = Ours(seed, workers, Path(folder), clock, budget, scheduler, searcher)
            try:
                return replay(made, by_key, workers, until, clock)
            finally:
                made.ledger.close()

    others: dict[str, Callable[[], Searcher]] = {
        "random": lambda: Random(seed, configurations),
        "promotion": lambda: Promotion(seed, configurations),
        "halving": lambda: OptunaPruned(seed, choices, "halving"),
        "hyperband": lambda: OptunaPruned(seed, choices, "hyperband"),
        "wilcoxon": lambda: OptunaPruned(seed, choices, "wilcoxon"),
        "ray": lambda: RayAsha(seed, choices),
        "ray random": lambda: RayAsha(seed, choices, configurations),
    }
    found: dict[str, list[float]] = {}
    for name in names:
        if name == "ours":
            found[name] = [ours([time], time, "evidence", "forecast")[0] for time in times]
        elif name in PARTS:
            found[name] = ours(times, math.inf, *PARTS[name])
        else:
            found[name] = replay(others[name](), by_key, workers, times, Clock())
        found[name] += [found[name][-1]] * (len(times) - len(found[name]))
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", nargs="+", default=list(SETS), metavar="SET")
    parser.add_argument("--searchers", nargs="+", default=list(SEARCHERS), metavar="NAME")
    parser.add_argument("--workers", nargs="+", type=int, default=list(WORKERS))
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=1)
    args = parser.parse_args()
    seeds = range(args.first_seed, args.first_seed + args.seeds)
    budgets = " | ".join(f"{budget:.0%}" for budget in BUDGETS)
    print(f"| set | workers | searcher | {budgets} |\n|--|--|--|--|--|--|--|", flush=True)
    compared: dict[str, float] = {}
    with ExitStack() as stack:
        run: Callable[..., Any] = map
        if args.processes > 1:
            pool = ProcessPoolExecutor(args.processes, get_context("spawn"))
            run = stack.enter_context(pool).map
        for set_name in args.sets:
            for workers in args.workers:
                one = partial(regrets_of, workers=workers, set_name=set_name, names=args.searchers)
                compared |= print_rows(set_name, workers, list(run(one, seeds)))
    adjusted = list(holm(np.abs(list(compared.values())))) if compared else []
    for word, sign in (("better", -1), ("worse", 1)):
        cells = [
            cell
            for (cell, p), q in zip(compared.items(), adjusted, strict=True)
            if p * sign > 0 and q < 0.05
        ]
        print(f"{len(compared)} comparisons; ours is {word} after Holm's correction in "
              f"{len(cells)}: {', '.join(cells) or 'none'}")  # fmt: skip
    return 0


def print_rows(set_name: str, workers: int, runs: list[dict[str, list[float]]]) -> dict[str, float]:
    """Print a row for each searcher: mean regret and standard error at each budget.

    Returns:
        p-values of the first searcher against each other one, negative where it has less regret.
    """
    first, *_ = runs[0]
    compared = {}
    for name in runs[0]:
        regrets = np.array([run[name] for run in runs])
        apart = np.array([run[first] for run in runs]) - regrets
        cells = []
        for column, budget in enumerate(BUDGETS):
            regret, difference = regrets[:, column], apart[:, column]
            sign = ""
            if name != first and difference.any():
                p = float(ttest_1samp(difference, 0.0).pvalue)
                compared[f"{set_name} {workers} workers {budget:.0%} {name}"] = math.copysign(
                    p, difference.mean()
                )
                sign = (" -" if difference.mean() < 0 else " +") if p < 0.05 else ""
            cells.append(f"{regret.mean():.4f} ±{regret.std() / len(runs) ** 0.5:.4f}{sign}")
        print(f"| {set_name} | {workers} | {name} | {' | '.join(cells)} |", flush=True)
    return compared


if __name__ == "__main__":
    raise SystemExit(main())
