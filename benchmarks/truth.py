"""Compares naive and careful leaderboards on real training runs: is the winner found again?

`python benchmarks/truth.py --games GAMES --runs DIR` trains variants with several seeds, one plain
trial after the other in one thread, and keeps each run's per-game validation losses in DIR. If it
is started again, it continues. Then it prints Markdown:

    --part a   one study for each seed: how often the best single run changes between studies, and
               how often two studies make contradictory statements,
    --part b   the width of the 95% interval of a difference, unpaired and paired by game,
    --part c   cost and result of a comparison of eight heads on one trunk for each seed, and of
               the same heads with separate trunks.

Without `--part` it prints all three; a and b use the same runs. `--only-read` trains nothing.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
from truth_comparison import part_c
from truth_runs import HEADS, VARIANTS, Runs, Store, load_games, train_apart, train_together
from truth_studies import part_a

from hexsearch.statistics.intervals import (
    bootstrap_interval,
    bootstrap_means,
    game_variance,
    student_quantile,
)

PARTS = ("a", "b", "c")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--games", help="needed to train")
    parser.add_argument("--runs", type=Path, required=True, metavar="DIR")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--positions", type=int, default=40_000)
    parser.add_argument("--validation-games", type=int, default=500)
    parser.add_argument("--part", choices=PARTS, action="append")
    parser.add_argument("--only-read", action="store_true")
    args = parser.parse_args()
    if not args.only_read and args.games is None:
        parser.error("--games is needed to train; --only-read evaluates what is there")
    parts: Sequence[str] = args.part or PARTS
    store = Store(args.runs, args.positions)
    if not args.only_read:
        dataset = load_games(args.games, args.validation_games)
        if {"a", "b"} & set(parts):
            train_apart(store, dataset, VARIANTS, args.seeds)
        if "c" in parts:
            train_together(store, dataset, args.seeds)
            train_apart(store, dataset, HEADS, args.seeds)
    for part in parts:
        if part == "c":
            print(part_c(store, args.seeds), end="\n\n")
        else:
            runs = store.read("variant", VARIANTS, args.seeds)
            print(part_a(runs) if part == "a" else part_b(runs), end="\n\n")
    return 0


def part_b(runs: Runs) -> str:
    """Half-widths of 95% intervals of a difference between two single runs of one seed."""
    table = runs.table
    quantile = float(student_quantile(len(table.counts) - 1.0))
    own = game_variance(table.influence)
    draws = bootstrap_means(table, np.random.default_rng(0))
    unpaired, paired, drawn = [], [], []
    for first, second in combinations(range(len(runs.variants)), 2):
        for seed in range(runs.seeds):
            i, j = first * runs.seeds + seed, second * runs.seeds + seed
            unpaired.append(quantile * np.sqrt(own[i] + own[j]))
            between = game_variance(table.influence[i] - table.influence[j])
            paired.append(quantile * np.sqrt(between))
            low, high = bootstrap_interval(draws[:, i] - draws[:, j])
            drawn.append((high - low) / 2)
    ratio = float(np.median(np.array(unpaired) / np.array(paired)))
    return "\n".join(
        [
            f"{len(paired)} pairs of runs of equal seed, {len(table.counts)} games",
            "",
            "| interval of a difference, over games | median half-width |",
            "|---|---:|",
            f"| unpaired | {np.median(unpaired):.4f} |",
            f"| paired by game | {np.median(paired):.4f} |",
            f"| paired by game, bootstrap | {np.median(drawn):.4f} |",
            "",
            f"Pairing is worth {ratio**2:.0f} times the games.",
        ]
    )


if __name__ == "__main__":
    raise SystemExit(main())
