"""Measures the cost of search and self-play beyond the network's inference, with 1 and 2 processes.

`python benchmarks/play_speed.py [CHECKPOINT]`. Without a checkpoint, an untrained `small` on 13x13
is used, which is as slow as a trained one. The unit is seconds of CPU time, which depend least on
other processes: the whole time is compared with the time of the forward passes over the same
positions.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from hexsearch.analysis.loading import load_network
from hexsearch.analysis.predictor import Predictor
from hexsearch.config.data import DataConfig
from hexsearch.config.section import build
from hexsearch.config.trial import TrialConfig
from hexsearch.data.collection.importing import STARTER_GAMES, import_games
from hexsearch.data.dataset import Dataset
from hexsearch.model.network import NetworkOutput
from hexsearch.play.game_batch import GameBatch
from hexsearch.play.guided.search import SearchSettings
from hexsearch.play.network_players import SearchPlayer
from hexsearch.play.selfplay import NetworkGamesConfig, play_block
from hexsearch.training.checkpoint import save_checkpoint
from hexsearch.training.trial import Trial

SIZE = 13


@dataclass(frozen=True)
class TimedPredictor(Predictor):
    """Counts the positions and the CPU seconds of its forward passes."""

    spent: list[float] = field(default_factory=lambda: [0.0, 0.0])

    def forward(self, planes: Tensor) -> NetworkOutput:
        began = time.process_time()
        output = super().forward(planes)
        self.spent[0] += time.process_time() - began
        self.spent[1] += len(planes)
        return output


def timed(path: Path) -> TimedPredictor:
    own = load_network(path).predictor
    return TimedPredictor(own.network, own.readout, own.encoder, own.device)


def measure(work: Callable[[], object], predictor: TimedPredictor) -> tuple[float, float]:
    """Evaluations per CPU second, and the added time relative to the forward passes."""
    predictor.spent[:] = [0.0, 0.0]
    began = time.process_time()
    work()
    total = time.process_time() - began
    return predictor.spent[1] / total, total / predictor.spent[0] - 1.0


def search_row(path: Path, games: int, nodes: int) -> tuple[float, float]:
    predictor = timed(path)
    generator = np.random.default_rng(0)
    begun = [generator.permutation(SIZE**2)[: 2 + game % 60].tolist() for game in range(games)]
    batch = GameBatch.of(begun, SIZE)
    player = SearchPlayer("search", predictor, SearchSettings(nodes=nodes))
    seeds = [(0, game) for game in range(games)]
    player.choose(batch, seeds)
    return measure(lambda: player.choose(batch, seeds), predictor)


def selfplay_row(path: Path, nodes: int, seed: int) -> tuple[float, float]:
    predictor = timed(path)
    config = NetworkGamesConfig(network=path, nodes=nodes, seed=seed)
    player = SearchPlayer("search", predictor, SearchSettings(nodes=nodes), 1.0, 20)
    return measure(lambda: play_block(player, config, 0), predictor)


def in_process(path: Path, nodes: int, seed: int) -> tuple[float, float]:
    torch.set_num_threads(1)
    return selfplay_row(path, nodes, seed)


def fresh(folder: Path) -> Path:
    """A checkpoint of `small` that has not been trained."""
    archive, _ = import_games([STARTER_GAMES], SIZE)
    config = build(TrialConfig, {"trunk": "small"}, "trial")
    path = folder / "small.pt"
    trial = Trial.of(config, Dataset(archive, DataConfig()), 64, 0)
    save_checkpoint(path, {"state": trial.state()})
    return path


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", nargs="?", type=Path)
    parser.add_argument("--nodes", type=int, default=64)
    parser.add_argument("--selfplay-nodes", type=int, default=16)
    parser.add_argument("--games", type=int, nargs="+", default=[16, 64, 256])
    args = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        path = args.checkpoint or fresh(Path(folder))
        for games in args.games:
            rate, added = search_row(path, games, args.nodes)
            print(f"search, {games:>3} games, {args.nodes} nodes: {rate:6,.0f}/s, {added:+.1%}")
        rate, added = selfplay_row(path, args.selfplay_nodes, 0)
        print(f"self-play, 1 process, {args.selfplay_nodes} nodes: {rate:6,.0f}/s, {added:+.1%}")
        with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
            began = time.perf_counter()
            jobs = [pool.submit(in_process, path, args.selfplay_nodes, seed) for seed in (1, 2)]
            rows = [job.result() for job in jobs]
            seconds = time.perf_counter() - began
        for rate, added in rows:
            print(f"self-play, 1 of 2 processes: {rate:6,.0f}/s, {added:+.1%} ({seconds:.0f} s)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
