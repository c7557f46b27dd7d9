"""Measures the cost of search and self-play beyond the network's inference, with 1 and 2 processes.

`python benchmarks/play_speed.py [CHECKPOINT]`. Without a checkpoint, an untrained `small` on 13x13
is used, which is as slow as a trained one. The unit is seconds of CPU time. The first percentage is
what comes on top of the time that the network takes within the same run. The second one compares
the whole run with bare forward passes over the same planes, which leave the caches to the network.
Both are repeated in turn, and the least of each counts, since other processes can only add to it.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

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
class RecordingPredictor(Predictor):
    """Keeps the planes of its forward passes, so that these can be timed alone afterwards."""

    seen: list[Tensor] = field(default_factory=list)

    def forward(self, planes: Tensor) -> NetworkOutput:
        self.seen.append(planes)
        return super().forward(planes)


class TimedNetwork(nn.Module):
    """A network that adds up the CPU time of its forward passes."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.seconds = 0.0

    def forward(self, planes: Tensor) -> NetworkOutput:
        began = time.process_time()
        output: NetworkOutput = self.network(planes)
        self.seconds += time.process_time() - began
        return output


@dataclass(frozen=True)
class Measured:
    """Evaluations a second, and what comes on top of the network's time in the run, and alone."""

    rate: float
    added: float
    added_to_bare: float

    def __str__(self) -> str:
        return f"{self.rate:6,.0f}/s, {self.added:+.1%} ({self.added_to_bare:+.1%} over bare)"


def cpu_seconds(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def measure(work: Callable[[Predictor], object], predictor: Predictor, rounds: int) -> Measured:
    """Evaluations for each second of CPU, and the shares that are added to the network's time."""
    recording = RecordingPredictor(
        predictor.network, predictor.readout, predictor.encoder, predictor.device
    )
    work(recording)
    network = predictor.network.eval()

    def bare() -> None:
        with torch.inference_mode():
            for planes in recording.seen:
                network(planes.contiguous(memory_format=torch.channels_last))

    evaluations = sum(len(planes) for planes in recording.seen)
    runs = []
    for _ in range(rounds):
        timed = TimedNetwork(network).eval()
        asked = replace(predictor, network=timed)
        began = time.process_time()
        work(asked)
        whole = time.process_time() - began
        runs.append((whole, timed.seconds, cpu_seconds(bare)))
    whole, within, _ = min(runs)
    return Measured(
        evaluations / whole, whole / within - 1, whole / min(run[2] for run in runs) - 1
    )


def search_row(path: Path, games: int, nodes: int) -> Measured:
    generator = np.random.default_rng(0)
    begun = [generator.permutation(SIZE**2)[: 2 + game % 60].tolist() for game in range(games)]
    batch = GameBatch.of(begun, SIZE)
    seeds = [(0, game) for game in range(games)]

    def choose(predictor: Predictor) -> object:
        return SearchPlayer("search", predictor, SearchSettings(nodes=nodes)).choose(batch, seeds)

    return measure(choose, load_network(path).predictor, rounds=11)


def selfplay_row(path: Path, nodes: int, seed: int) -> Measured:
    config = NetworkGamesConfig(network=path, nodes=nodes, seed=seed)

    def play(predictor: Predictor) -> object:
        player = SearchPlayer("search", predictor, SearchSettings(nodes=nodes), 1.0, 20)
        return play_block(player, config, 0)

    return measure(play, load_network(path).predictor, rounds=2)


def in_process(path: Path, nodes: int, seed: int) -> Measured:
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
            found = search_row(path, games, args.nodes)
            print(f"search, {games:>3} games, {args.nodes} nodes: {found}", flush=True)
        found = selfplay_row(path, args.selfplay_nodes, 0)
        print(f"self-play, 1 process, {args.selfplay_nodes} nodes: {found}", flush=True)
        with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
            began = time.perf_counter()
            jobs = [pool.submit(in_process, path, args.selfplay_nodes, seed) for seed in (1, 2)]
            rows = [job.result() for job in jobs]
            seconds = time.perf_counter() - began
        for found in rows:
            print(f"self-play, 1 of 2 processes: {found} ({seconds:.0f} s)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
