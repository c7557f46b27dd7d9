"""Real training runs for `truth.py`, which are trained once and kept with per-game losses.

Each run has its own folder, named by kind, number of the variant, and seed. An existing run is not
trained again. Kinds are `variant`, a trial with its own trunk, and `shared`, a head that was
trained with all others of `HEADS` on one trunk.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from hexsearch.config.data import DataConfig
from hexsearch.config.section import build
from hexsearch.config.trial import TrialConfig
from hexsearch.data.collection.importing import import_games
from hexsearch.data.dataset import Dataset
from hexsearch.ledger.game_losses import read_game_losses, write_game_losses
from hexsearch.statistics.intervals import Floats, GameTable, game_table
from hexsearch.statistics.variance import PairedRuns
from hexsearch.training.metrics import GameLosses
from hexsearch.training.trial import Trial

RATE = 4e-3
# Name -> value head, read-out, learning rate. The first five are the heads that started it all;
# a run's folder bears the number in this order, so that new ones go to the end.
ALL = {
    "512->1": ("512->1", "bce", RATE),
    "512->32->1": ("512->32->1", "bce", RATE),
    "512->64->1": ("512->64->1", "bce", RATE),
    "512->128->64->1": ("512->128->64->1", "bce", RATE),
    "reduced 512->64->1": ("reduced 512->64->1", "bce", RATE),
    "512->1 sigmoid_mse": ("512->1", "sigmoid_mse", RATE),
    "512->64->1 tanh_mse": ("512->64->1", "tanh_mse", RATE),
    "512->1 lr=2e-3": ("512->1", "bce", 2e-3),
    "512->32->1 sigmoid_mse": ("512->32->1", "sigmoid_mse", RATE),
}
NAMES = list(ALL)
VARIANTS = tuple(range(8))  # of the studies
HEADS = tuple(n for n, name in enumerate(NAMES) if ALL[name][2] == RATE)  # one trunk has one rate


@dataclass(frozen=True)
class Runs:
    """Variants at all seeds; run `variant * seeds + seed` is a row of the table."""

    table: GameTable
    variants: tuple[int, ...]
    seeds: int

    def paired(self, seeds: Sequence[int] | None = None) -> PairedRuns:
        """The paired losses of a study with these seeds (default: all)."""
        return self.panel_of(
            [list(range(self.seeds) if seeds is None else seeds)] * len(self.variants)
        )

    def panel_of(self, seeds: Sequence[Sequence[int]]) -> PairedRuns:
        """The losses of a study with other seeds for each variant."""
        rows = [v * self.seeds + seed for v, mine in enumerate(seeds) for seed in mine]
        table = GameTable(self.table.sums[rows], self.table.counts)
        names = [v for v, mine in enumerate(seeds) for _ in mine]
        return PairedRuns.of(table, names, [seed for mine in seeds for seed in mine])

    @property
    def means(self) -> Floats:
        """[variants, seeds] value loss of each run."""
        return self.table.means.reshape(len(self.variants), self.seeds)


@dataclass(frozen=True)
class Store:
    """A folder of runs of one length."""

    folder: Path
    positions: int

    def place(self, kind: str, number: int, seed: int) -> Path:
        """The folder of a run."""
        return self.folder / f"{kind}{number}-seed{seed}"

    def run(self, kind: str, number: int, seed: int) -> GameLosses | None:
        """The per-game losses of a run; None if it is missing."""
        return read_game_losses(self.place(kind, number, seed), self.positions)

    def keep(self, kind: str, number: int, seed: int, losses: GameLosses) -> None:
        """Store a run's per-game losses."""
        write_game_losses(self.place(kind, number, seed), self.positions, losses)

    def read(self, kind: str, numbers: Sequence[int], seeds: int) -> Runs:
        """The runs of the seeds for which all runs exist."""
        found = {
            seed: [self.run(kind, number, seed) for number in numbers] for seed in range(seeds)
        }
        whole = [
            [run for run in runs if run is not None]
            for runs in found.values()
            if all(run is not None for run in runs)
        ]
        losses = [runs[place] for place in range(len(numbers)) for runs in whole]
        table = game_table(losses)
        if table is None:
            raise SystemExit(
                f"{self.folder}: no seed has all {len(numbers)} {kind} runs of {self.positions:,} "
                "positions"
            )
        return Runs(table, tuple(numbers), len(whole))

    def note_seconds(self, name: str, seconds: float) -> None:
        """Store the CPU seconds of a training."""
        (self.folder / f"{name}.json").write_text(json.dumps({"seconds": seconds}))

    def seconds(self, pattern: str) -> float | None:
        """Mean CPU seconds of the trainings that were timed."""
        files = sorted(self.folder.glob(f"{pattern}.json"))
        return (
            float(np.mean([json.loads(f.read_text())["seconds"] for f in files])) if files else None
        )


def load_games(games: str, validation_games: int) -> Dataset:
    """The games of all runs. From now on torch uses one thread."""
    torch.set_num_threads(1)
    data = DataConfig(validation_games=validation_games)
    archive, imported = import_games([games], data.board_size)
    print(imported.summary(), flush=True)
    return Dataset(archive, data)


def train_apart(store: Store, dataset: Dataset, numbers: Sequence[int], seeds: int) -> None:
    """Train the missing runs with their own trunks, seed by seed."""
    for seed in range(seeds):
        for number in numbers:
            if store.run("variant", number, seed) is not None:
                continue
            started = time.process_time()
            trial = Trial.of(config_of(number), dataset, store.positions, seed)
            trial.train_to(store.positions)
            report = trial.report()
            seconds = time.process_time() - started
            store.keep("variant", number, seed, report.game_losses)
            store.note_seconds(f"apart{number}-seed{seed}", seconds)
            print(
                f"{NAMES[number]}, seed {seed}: {report.value_loss:.4f}, {seconds:.0f} s",
                flush=True,
            )


def train_together(store: Store, dataset: Dataset, seeds: int) -> None:
    """Train all HEADS on one trunk, for each missing seed."""
    for seed in range(seeds):
        if all(store.run("shared", number, seed) is not None for number in HEADS):
            continue
        started = time.process_time()
        configs = [config_of(number) for number in HEADS]
        trial = Trial(configs, dataset, max_positions=store.positions, seed=seed)
        trial.train_to(store.positions)
        reports = trial.reports()
        seconds = time.process_time() - started
        for number, report in zip(HEADS, reports, strict=True):
            store.keep("shared", number, seed, report.game_losses)
        store.note_seconds(f"shared-seed{seed}", seconds)
        print(f"all on one trunk, seed {seed}: {seconds:.0f} s", flush=True)


def config_of(number: int) -> TrialConfig:
    """The configuration of a variant."""
    head, readout, rate = ALL[NAMES[number]]
    raw = {
        "trunk": "small",
        "encoder": {"perspective": "mover"},
        "policy_head": {"weight": 0.1},
        "batch_size": 64,
        "value_head": head,
        "readout": readout,
        "optimiser": {"learning_rate": rate},
    }
    return build(TrialConfig, raw, "trial")
