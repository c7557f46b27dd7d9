"""Is the winner still the winner next week? Naive and careful leaderboards on real training runs.

`python benchmarks/truth.py --games GAMES --runs DIR` trains eight variants with several seeds,
one plain trial after the other in one thread, and keeps each run's per-game validation losses in
DIR; started again it goes on. Then it prints, as Markdown,

    --part a   one study for each seed: how often does the best single run change from study to
               study, how often do two studies' groups of tied variants contradict each other,
    --part b   how wide the 95% interval of a difference is, unpaired and paired by game.

`--only-read` evaluates the runs that are there.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
import torch

from hexsearch.config.section import build
from hexsearch.config.study import DataConfig
from hexsearch.config.trial import TrialConfig
from hexsearch.data.dataset import Dataset
from hexsearch.data.importing import import_games
from hexsearch.reporting.ranking import tie_groups
from hexsearch.reporting.statistics import (
    Floats,
    GameTable,
    bootstrap_interval,
    bootstrap_means,
    game_table,
    game_variance,
    student_quantile,
)
from hexsearch.reporting.variance import Panel, seed_variance
from hexsearch.search.evidence import read_game_losses, write_game_losses
from hexsearch.training.metrics import GameLosses
from hexsearch.training.trial import Trial

# Name -> value head, read-out, learning rate. The first five are the heads that started it all.
VARIANTS = {
    "512->1": ("512->1", "bce", 4e-3),
    "512->32->1": ("512->32->1", "bce", 4e-3),
    "512->64->1": ("512->64->1", "bce", 4e-3),
    "512->128->64->1": ("512->128->64->1", "bce", 4e-3),
    "reduced 512->64->1": ("reduced 512->64->1", "bce", 4e-3),
    "512->1 sigmoid_mse": ("512->1", "sigmoid_mse", 4e-3),
    "512->64->1 tanh_mse": ("512->64->1", "tanh_mse", 4e-3),
    "512->1 lr=2e-3": ("512->1", "bce", 2e-3),
}


@dataclass(frozen=True)
class Runs:
    """All variants at all finished seeds; run `variant * seeds + seed` is row of the table."""

    table: GameTable
    seeds: int

    def panel(self, seeds: Sequence[int]) -> Panel:
        """What a study of these seeds would know."""
        rows = [v * self.seeds + seed for v in range(len(VARIANTS)) for seed in seeds]
        table = GameTable(self.table.sums[rows], self.table.counts)
        names = [v for v in range(len(VARIANTS)) for _ in seeds]
        return Panel.of(table, names, list(seeds) * len(VARIANTS))

    @property
    def means(self) -> Floats:
        """[variants, seeds] value loss of each run."""
        return self.table.means.reshape(len(VARIANTS), self.seeds)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--games", help="needed to train")
    parser.add_argument("--runs", type=Path, required=True, metavar="DIR")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--positions", type=int, default=40_000)
    parser.add_argument("--validation-games", type=int, default=500)
    parser.add_argument("--part", choices=tuple(PARTS), action="append")
    parser.add_argument("--only-read", action="store_true")
    args = parser.parse_args()
    if not args.only_read:
        train(args.games, args.runs, args.seeds, args.positions, args.validation_games)
    runs = read(args.runs, args.seeds, args.positions)
    for part in args.part or PARTS:
        print(PARTS[part](runs), end="\n\n")
    return 0


def train(games: str, folder: Path, seeds: int, positions: int, validation_games: int) -> None:
    """Every run that is not there yet, seed by seed."""
    torch.set_num_threads(1)
    data = DataConfig(validation_games=validation_games)
    archive, imported = import_games([games], data.board_size)
    print(imported.summary(), flush=True)
    dataset = Dataset(archive, data)
    for seed in range(seeds):
        for number, (name, (head, readout, rate)) in enumerate(VARIANTS.items()):
            if stored(folder, number, seed, positions) is not None:
                continue
            raw = {
                "trunk": "small",
                "encoder": {"perspective": "mover"},
                "policy_head": {"weight": 0.1},
                "batch_size": 64,
                "value_head": head,
                "readout": readout,
                "optimiser": {"learning_rate": rate},
            }
            started = time.process_time()
            trial = Trial(build(TrialConfig, raw, "trial"), dataset, positions, seed)
            trial.train_to(positions)
            report = trial.report()
            write_game_losses(run_folder(folder, number, seed), positions, report.game_losses)
            seconds = time.process_time() - started
            print(f"{name}, seed {seed}: {report.value_loss:.4f}, {seconds:.0f} s", flush=True)


def run_folder(folder: Path, variant: int, seed: int) -> Path:
    return folder / f"variant{variant}-seed{seed}"


def stored(folder: Path, variant: int, seed: int, positions: int) -> GameLosses | None:
    return read_game_losses(run_folder(folder, variant, seed), positions)


def read(folder: Path, seeds: int, positions: int) -> Runs:
    """The seeds that every variant has finished."""
    found = {
        seed: [stored(folder, variant, seed, positions) for variant in range(len(VARIANTS))]
        for seed in range(seeds)
    }
    whole = {
        seed: [run for run in runs if run is not None]
        for seed, runs in found.items()
        if all(run is not None for run in runs)
    }
    losses = [runs[variant] for variant in range(len(VARIANTS)) for runs in whole.values()]
    table = game_table(losses)
    if table is None:
        raise SystemExit(f"{folder}: no seed is finished by all {len(VARIANTS)} variants")
    return Runs(table, len(whole))


def part_a(runs: Runs) -> str:
    """Pairs of studies that share no seed: do their answers agree?

    The naive answer is the variant of the best single run. Ours is the group of the tied; two
    such groups contradict each other if they have no variant in common.
    """
    lines = [
        f"{len(VARIANTS)} variants, {runs.seeds} seeds, {len(runs.table.counts)} games",
        "",
        "| seeds a study | pairs of studies | naive winner differs | best mean differs "
        "| tied groups contradict | variants in a group |",
        "|---:|---:|---:|---:|---:|---:|",
    ]
    for count in range(1, runs.seeds // 2 + 1):
        studies = list(combinations(range(runs.seeds), count))
        naive = {s: int(np.argmin(runs.means[:, list(s)].min(axis=1))) for s in studies}
        panels = {s: runs.panel(s) for s in studies}
        best = {s: int(np.argmin(panel.means)) for s, panel in panels.items()}
        tied = {
            s: set(np.flatnonzero(tie_groups(panel, seed_variance(panel)) == 0).tolist())
            for s, panel in panels.items()
        }
        pairs = [(s, t) for s, t in combinations(studies, 2) if not set(s) & set(t)]
        lines.append(
            f"| {count} | {len(pairs)} "
            f"| {np.mean([naive[s] != naive[t] for s, t in pairs]):.0%} "
            f"| {np.mean([best[s] != best[t] for s, t in pairs]):.0%} "
            f"| {np.mean([not tied[s] & tied[t] for s, t in pairs]):.0%} "
            f"| {np.mean([len(group) for group in tied.values()]):.1f} |"
        )
    lines += [
        "",
        f"With a seed of its own for every variant the best single run differs in "
        f"{apart(runs, np.random.default_rng(0)):.0%} of pairs of studies.",
    ]
    everything = runs.panel(range(runs.seeds))
    seed = seed_variance(everything)
    group = tie_groups(everything, seed)
    lines += ["", "| variant | value loss over all seeds | lowest and highest | group |"]
    lines.append("|---|---:|---:|---:|")
    for variant in np.argsort(everything.means, kind="stable"):
        row = runs.means[variant]
        lines.append(
            f"| {list(VARIANTS)[variant]} | {row.mean():.4f} "
            f"| {row.min():.4f} to {row.max():.4f} | {group[variant] + 1} |"
        )
    observed = float(np.sqrt(seed.total + seed.per_game))
    lines += [
        "",
        f"Between seeds of one variant: standard deviation {observed:.4f} as seen on these games, "
        f"{seed.deviation:.4f} with the noise of the games taken out.",
    ]
    return "\n".join(lines)


def apart(runs: Runs, rng: np.random.Generator, draws: int = 10_000) -> float:
    """How often two studies of one run a variant, no seeds shared, have different best runs."""
    order = np.argsort(rng.random((draws, len(VARIANTS), runs.seeds)), axis=2)
    losses = np.take_along_axis(runs.means[None], order, axis=2)
    return float(np.mean(losses[:, :, 0].argmin(axis=1) != losses[:, :, 1].argmin(axis=1)))


def part_b(runs: Runs) -> str:
    """Half-widths of 95% intervals of a difference between two single runs of one seed."""
    table = runs.table
    quantile = float(student_quantile(len(table.counts) - 1.0))
    own = game_variance(table.influence)
    draws = bootstrap_means(table, np.random.default_rng(0))
    unpaired, paired, drawn = [], [], []
    for first, second in combinations(range(len(VARIANTS)), 2):
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


PARTS = {"a": part_a, "b": part_b}


if __name__ == "__main__":
    raise SystemExit(main())
