"""Regret of our searcher when it is told the trials of an earlier study (`--warm-start`).

`nice python benchmarks/search_warm_start.py --seeds 20` replays recorded and drawn curves as
`search_quality.py` does. The earlier study has another seed and the time of ten whole trainings.
Searches of the same seeds are compared: `cold`, which is told nothing; `longer`, the same with the
time of ten whole trainings more, as if the earlier study had gone on; `warm`; `warm tpe`, TPE with
the same pruning, which is told the same; and `misled`, which is told each prediction with its sign
changed, so that the best settings are called the worst. Standard errors are those of the paired
difference to `cold`.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from curve_sets import CurveSet, curve_set
from search_ours import Ours
from search_peers import Clock
from search_replay import budgets_of, replay

from hexsearch.ledger.events import WarmStarted
from hexsearch.search.warm_start import expected_finals

BUDGETS = ("10%", "25%", "50%", "75%", "100%")
FIRST_SEED_ELSEWHERE = 100_000
ELSEWHERE = 10  # whole trainings of the earlier study


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", nargs="+", default=["recorded", "floats", "crossing", "noisy"])
    parser.add_argument("--workers", nargs="+", type=int, default=[1, 4])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first-seed", type=int, default=0)
    args = parser.parse_args()
    seeds = range(args.first_seed, args.first_seed + args.seeds)
    print(f"| set | workers | search | {' | '.join(BUDGETS)} |")
    print("|--|--|--|" + "--|" * len(BUDGETS), flush=True)
    for name in args.sets:
        for workers in args.workers:
            rows = [searches(curve_set(name, seed), seed, workers) for seed in seeds]
            for search in rows[0]:
                print(line(name, workers, search, rows), flush=True)


def searches(curves: CurveSet, seed: int, workers: int) -> dict[str, list[float]]:
    """Regrets at each budget, by search."""
    told = elsewhere(curves, seed)
    turned = [replace(event, expected=-event.expected) for event in told if event.expected]
    return {
        "cold": regrets(curves, seed, workers, [], "forecast"),
        "longer": regrets(curves, seed, workers, [], "forecast", ELSEWHERE / workers),
        "warm": regrets(curves, seed, workers, told, "forecast"),
        "warm tpe": regrets(curves, seed, workers, told, "tpe"),
        "misled": regrets(curves, seed, workers, turned, "forecast"),
    }


def elsewhere(curves: CurveSet, seed: int) -> list[WarmStarted]:
    """What a study with another seed would tell after the time of ten whole trainings."""
    clock = Clock()
    first = Ours(FIRST_SEED_ELSEWHERE + seed, 1, clock, curves)
    replay(first, curves, 1, [ELSEWHERE * curves.seconds], clock)
    setup = first.engine.setup
    expected = expected_finals(setup.config, setup.space, first.ledger)
    told = []
    for trial in first.engine.history.trials.values():
        if trial.last_report is not None:
            mean, variance = expected.get(trial.trial, (None, 0.0))
            told.append(
                WarmStarted(
                    source="earlier",
                    source_trial=trial.trial,
                    values=dict(trial.values),
                    state=trial.told_as if trial.told else "PRUNED",
                    report=trial.last_report,
                    expected=mean,
                    variance=variance,
                )
            )
    return told


def regrets(
    curves: CurveSet,
    seed: int,
    workers: int,
    told: Sequence[WarmStarted],
    searcher: str,
    more: float = 0.0,
) -> list[float]:
    """Regrets of one search at each budget, and `more` whole trainings of each worker."""
    times = [time + more * curves.seconds for time in budgets_of(curves, workers)]
    clock = Clock()
    ours = Ours(seed, workers, clock, curves, searcher=searcher)
    for event in told:
        ours.engine.record(event)
    return replay(ours, curves, workers, times, clock)[0]


def line(name: str, workers: int, search: str, rows: Sequence[dict[str, list[float]]]) -> str:
    """A row of the table: mean regrets, and the error of their difference to `cold`."""
    here = np.array([row[search] for row in rows])
    apart = here - np.array([row["cold"] for row in rows])
    errors = apart.std(0, ddof=1) / np.sqrt(len(rows)) if len(rows) > 1 else apart.std(0)
    cells = [
        f"{mean:.4f}" + (f" ±{1e4 * error:.0f}" if search != "cold" else "")
        for mean, error in zip(here.mean(0), errors, strict=True)
    ]
    return f"| {name} | {workers} | {search} | {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
