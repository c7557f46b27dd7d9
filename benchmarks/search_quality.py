"""Regret against virtual time, for searchers that replay the same learning curves.

`nice python benchmarks/search_quality.py --seeds 20 [--keep FILE]` runs our searcher, its parts in
other combinations, and the peers of `search_peers.py` and `search_packages.py`. The virtual clock
counts the CPU seconds of the recorded reports (`record_curves.py`). A budget is a share of the
time of 40 whole trainings, divided by the workers; only `told` knows it, as with `--time-budget`.
Regret is the final value loss of the configuration with most positions seen (of the best of
these), minus the lowest value loss of the space. There are fewer trials than configurations, so
that our searcher models the space and does not enumerate it. `--sets` gives the curves:
`recorded`, or kinds of random curves (`learning_curves.py`), each in three versions. `mixed` and
`heldout` were held out when the rules were chosen. So was `floats`: a second recorded space, on
other games, with numbers between those that were recorded (`curve_surrogate.py`). There the regret
is that of the value loss without the noise of training seeds. `--keep` appends each replay to a
file, and repeats none that the file holds with the same budgets.

The last two columns are about the full budget. What became of the best configuration of the space:
it was never tried, it was cut (pruned or paused), it was running, or it had ended (no matter of
`floats`, where nobody tries just this one). And in what share of the replays the best of the
configurations that the searcher itself had tried was not trained to its end, or cut.
"""

from __future__ import annotations

import argparse
import json
import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from scipy.stats import ttest_1samp
from search_packages import missing
from search_replay import BUDGETS, Replayed, run

from hexsearch.statistics.intervals import holm

WORKERS = (1, 4, 16, 64)
SETS = ("recorded", "synthetic", "crossing", "noisy", "late", "overfitting", "power")
SEARCHERS = (
    "ours", "told", "ours, random", "ours, tpe", "asha", "asha, random",
    "random", "promotion", "promotion, early", "halving", "hyperband", "wilcoxon",
    "ray", "ray random", "syne promotion", "syne stopping", "mobster", "hypertune", "bohb",
    "smac", "dehb", "priorband", "ray bohb", "ray hyperband",
)  # fmt: skip
FATES = ("untried", "cut", "running", "ended")
Cell = tuple[str, int, str]  # set, workers, searcher


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", nargs="+", default=list(SETS), metavar="SET")
    parser.add_argument("--searchers", nargs="+", default=list(SEARCHERS), metavar="NAME")
    parser.add_argument("--workers", nargs="+", type=int, default=list(WORKERS))
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--keep", type=Path, metavar="FILE")
    args = parser.parse_args()
    reasons = {name: reason for name in args.searchers if (reason := missing(name))}
    for reason in reasons.values():
        print(reason)
    names = [name for name in args.searchers if name not in reasons]
    seeds = range(args.first_seed, args.first_seed + args.seeds)
    cells = [(s, w, name) for s in args.sets for w in args.workers for name in names]
    budgets = " | ".join(f"{budget:.0%}" for budget in BUDGETS)
    print(f"| set | workers | searcher | {budgets} | {', '.join(FATES)} | best tried unfinished |")
    print("|--|--|--|" + "--|" * (len(BUDGETS) + 2), flush=True)
    kept = load(args.keep) if args.keep else []
    known: dict[Cell, dict[int, Replayed]] = defaultdict(dict)
    for one in kept:
        known[one.set, one.workers, one.searcher][one.seed] = one
    for cell in cells:
        wanted = [seed for seed in seeds if seed not in known[cell]]
        for one in replayed(cell, wanted, args.processes):
            known[cell][one.seed] = one
            if args.keep:
                with args.keep.open("a") as file:
                    file.write(json.dumps(one.to_json()) + "\n")
        first = known[cell[0], cell[1], names[0]]
        print(row(cell, [known[cell][seed] for seed in seeds], first), flush=True)
    print(summary(compared(known, cells, names[0], seeds)))
    return 0


def load(path: Path) -> list[Replayed]:
    """What a file of replays holds, without replays of other budgets."""
    lines = path.read_text().splitlines() if path.exists() else []
    raw = [json.loads(line) for line in lines]
    return [Replayed.from_json(one) for one in raw if len(one["regrets"]) == len(BUDGETS)]


def replayed(cell: Cell, seeds: Sequence[int], processes: int) -> Iterator[Replayed]:
    """One cell of the table, seed by seed."""
    set_name, workers, name = cell
    one = partial(run, name, workers=workers, set_name=set_name)
    if processes == 1 or len(seeds) < 2:
        yield from map(one, seeds)
        return
    with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
        yield from pool.map(one, seeds)


def row(cell: Cell, runs: Sequence[Replayed], first: dict[int, Replayed]) -> str:
    """Mean regret and standard error at each budget; - where the first searcher has less."""
    regrets = np.array([one.regrets for one in runs])
    apart = np.array([first[one.seed].regrets for one in runs]) - regrets
    cells = []
    for column in range(len(BUDGETS)):
        regret, p = regrets[:, column], signed_p(apart[:, column])
        sign = (" -" if p < 0 else " +") if abs(p) < 0.05 else ""
        cells.append(f"{regret.mean():.4f} ±{regret.std() / len(runs) ** 0.5:.4f}{sign}")
    fates = ", ".join(str(sum(one.best == fate for one in runs)) for fate in FATES)
    tried = [one.best_tried for one in runs]
    unfinished = sum(fate != "ended" for fate in tried) / len(runs)
    cut = f"{unfinished:.0%} (cut {tried.count('cut') / len(runs):.0%}) of {len(runs)}"
    return f"| {cell[0]} | {cell[1]} | {cell[2]} | {' | '.join(cells)} | {fates} | {cut} |"


def signed_p(apart: np.ndarray) -> float:
    """p-value of paired differences, negative where the first searcher has less regret."""
    if len(apart) < 2 or not apart.any():
        return 1.0
    p = float(ttest_1samp(apart, 0.0).pvalue)
    return math.copysign(p, float(apart.mean()))


def compared(
    known: dict[Cell, dict[int, Replayed]], cells: Sequence[Cell], first: str, seeds: Sequence[int]
) -> dict[str, float]:
    """The first searcher against each other one, in each cell and at each budget."""
    found = {}
    for set_name, workers, name in cells:
        if name == first:
            continue
        runs, firsts = known[set_name, workers, name], known[set_name, workers, first]
        apart = np.array([firsts[s].regrets for s in seeds]) - [runs[s].regrets for s in seeds]
        for column, budget in enumerate(BUDGETS):
            found[f"{set_name} {workers} {budget:.0%} {name}"] = signed_p(apart[:, column])
    return found


def summary(found: dict[str, float]) -> str:
    """How many comparisons hold after Holm's correction, and which."""
    lines = []
    adjusted = list(holm(np.abs(list(found.values())))) if found else []
    for word, sign in (("better", -1), ("worse", 1)):
        cells = [
            cell
            for (cell, p), q in zip(found.items(), adjusted, strict=True)
            if p * sign > 0 and q < 0.05
        ]
        lines.append(
            f"{len(found)} comparisons; the first is {word} after Holm's correction in "
            f"{len(cells)}: {'; '.join(cells) or 'none'}"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    raise SystemExit(main())
