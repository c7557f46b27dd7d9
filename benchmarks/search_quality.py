"""Regret against virtual time, for searchers that replay the same learning curves.

`nice python benchmarks/search_quality.py --seeds 20 [--keep FILE]` runs our searcher, its parts in
other combinations, and the peers of `search_peers.py` and `search_packages.py`. The virtual clock
counts the CPU seconds of the recorded reports (`record_curves.py`). A budget is a share of the
time of 40 whole trainings, divided by the workers; only `told` knows it, as with `--time-budget`.
Regret is the final value loss of the configuration that a searcher names, minus the lowest value
loss of the space. Ours names the most promising trial, as its leaderboard does; of a peer it is the
best one at the most positions that any has reached, or, with ", compared" after its name, that
three have reached. There are fewer trials than configurations, so that our searcher models the
space and does not enumerate it. `--sets` gives the curves: `recorded`, or kinds of random curves
(`learning_curves.py`), each in three versions. `mixed` and `heldout` were held out when the rules
were chosen. So was `floats`: a second recorded space, on other games, with numbers between those
that were recorded (`curve_surrogate.py`). There the regret is that of the value loss without the
noise of training seeds. `trunks`: a third recorded space, whose configurations cost one to eight
(peers that know no choice between mappings leave it out). `prior`: curves of another project's
prior (`prior_curves.py`), another draw for each seed.
`--keep` appends each replay to a file, and repeats none that the file holds with the same budgets;
`search_table.py` makes tables of such files.

The last two columns are about the full budget. What became of the best configuration of the space:
it was never tried, it was cut (pruned or paused), it was running, or it had ended (no matter of
`floats`, where nobody tries just this one). And in what share of the replays the best of the
configurations that the searcher itself had tried was not trained to its end, or cut.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from search_packages import missing
from search_replay import BUDGETS, Replayed, run
from search_table import by_cell, load, signed_p, tables

WORKERS = (1, 4, 16, 64)
SETS = ("recorded", "synthetic", "crossing", "noisy", "late", "overfitting", "power")
SEARCHERS = (
    "ours", "told", "ours, random", "ours, tpe", "asha", "asha, random",
    "random", "random, compared", "promotion", "promotion, compared", "promotion, early",
    "promotion, early, compared", "halving", "hyperband", "wilcoxon",
    "ray", "ray random", "syne promotion", "syne promotion, compared",
    "syne stopping", "mobster", "hypertune", "bohb", "smac", "dehb", "priorband", "ray bohb",
    "ray hyperband",
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
    if "prior" in args.sets and find_spec("ifbo") is None:
        parser.error("the curves of `prior` need the package ifBO (see benchmarks/peers.txt)")
    reasons = {name: reason for name in args.searchers if (reason := missing(name))}
    for reason in reasons.values():
        print(reason)
    names = [name for name in args.searchers if name not in reasons]
    seeds = range(args.first_seed, args.first_seed + args.seeds)
    cells = [(s, w, name) for s in args.sets for w in args.workers for name in names]
    budgets = " | ".join(f"{budget:.0%}" for budget in BUDGETS)
    print(f"| set | workers | searcher | {budgets} | {', '.join(FATES)} | best tried unfinished |")
    print("|--|--|--|" + "--|" * (len(BUDGETS) + 2), flush=True)
    known = by_cell(load(args.keep) if args.keep else [])
    for cell in cells:
        wanted = [seed for seed in seeds if seed not in known[cell]]
        for one in replayed(cell, wanted, args.processes):
            known[cell][one.seed] = one
            if args.keep:
                with args.keep.open("a") as file:
                    file.write(json.dumps(one.to_json()) + "\n")
        first = known[cell[0], cell[1], names[0]]
        print(row(cell, [known[cell][seed] for seed in seeds], first), flush=True)
    print("\n".join(tables({cell: known[cell] for cell in cells}, names[0])))
    return 0


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


if __name__ == "__main__":
    raise SystemExit(main())
