"""Measures how fast the data room builds batches, and how much memory it needs.

`python benchmarks/data_throughput.py [--games PATH]`. Everything runs in one thread. Rates are per
second of CPU time of one core, which depends least on other processes; on a GPU they are per
second of wall clock. Each figure is printed beside that of the usual alternative: all positions
as dense planes in a TensorDataset with a DataLoader, with the same random symmetries.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from hexsearch.config.curriculum import CurriculumConfig
from hexsearch.config.data import StagesConfig
from hexsearch.data.archive import GameArchive, open_archive, write_archive
from hexsearch.data.batches import BatchBuilder, TrainingStream
from hexsearch.data.collection.importing import import_games
from hexsearch.data.encoder import PositionEncoder
from hexsearch.data.positions import all_positions, curriculum_positions
from hexsearch.game.board import cell_name

SIZE, BATCH = 13, 1024
MIB = 1 << 20


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--games", default="starter", help="13x13 games")
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--synthetic", type=int, default=1_200_000, help="games of the memory test")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--path", help=argparse.SUPPRESS)
    args = parser.parse_args()
    torch.set_num_threads(1)
    if args.child:
        print(json.dumps(CHILDREN[args.child](args.path)))
        return 0
    archive, _ = import_games([args.games], SIZE)
    with tempfile.TemporaryDirectory() as folder:
        rows = [
            *batch_rows(archive, args.repeats),
            import_row(args.games, args.repeats),
            *memory_rows(Path(folder), args.synthetic),
        ]
    width = max(len(name) for name, _, _ in rows)
    for name, value, note in rows:
        print(f"{name:<{width}}  {value:>16}  {note}")
    return 0


def median_rate(work: Callable[[int], int], repeats: int, clock: Callable[[], float]) -> float:
    """Items per second: the median of repeats after a warm-up."""
    rates = []
    for number in range(repeats + 1):
        start = clock()
        items = work(number)
        rates.append(items / (clock() - start))
    return statistics.median(rates[1:])


def stream_of(archive: GameArchive, perspective: str, backend: str) -> TrainingStream:
    encoder = PositionEncoder(SIZE, perspective)  # type: ignore[arg-type]
    device = torch.device("cuda" if backend == "cuda" else "cpu")
    builder = BatchBuilder(
        archive,
        encoder,
        StagesConfig(),
        device,
        "numpy" if backend == "numpy" else "torch",
    )
    curriculum = CurriculumConfig()
    positions = curriculum_positions(archive, np.arange(len(archive)), curriculum)
    return TrainingStream(builder, positions, curriculum, True, 0)


def batch_rows(archive: GameArchive, repeats: int) -> Iterator[tuple[str, str, str]]:
    batches = 50
    rates: dict[tuple[str, str], float] = {}
    backends = ["numpy", "torch", *(["cuda"] if torch.cuda.is_available() else [])]
    for backend in backends:
        for perspective in ("absolute", "mover"):
            stream = stream_of(archive, perspective, backend)

            def build(number: int, stream: TrainingStream = stream, backend: str = backend) -> int:
                for batch in range(batches):
                    stream.batch((number * batches + batch) * BATCH, BATCH)
                if backend == "cuda":
                    torch.cuda.synchronize()
                return batches * BATCH

            on_gpu = backend == "cuda"
            rate = median_rate(build, repeats, time.perf_counter if on_gpu else time.process_time)
            note = "positions, wall clock" if on_gpu else "positions, seconds of one core"
            rates[backend, perspective] = rate
            yield f"batches, {backend}, {perspective}", f"{rate:,.0f} /s", note
    dense = DensePlanes(archive, 60_000)
    loader = DataLoader(dense, BATCH, shuffle=True)

    def load(number: int) -> int:
        return sum(len(planes) for planes, _, _ in loader)

    rate = median_rate(load, min(3, repeats), time.process_time)
    positions = len(all_positions(archive, np.arange(len(archive))))
    whole = positions * 3 * SIZE * SIZE * 4 / MIB
    yield "batches, dense planes in a DataLoader", f"{rate:,.0f} /s", f"{whole:,.0f} MiB of planes"
    ratio = rates["numpy", "absolute"] / rate
    yield "numpy, absolute over DataLoader", f"{ratio:,.1f} x", "the same planes and symmetries"


class DensePlanes(Dataset[tuple[Tensor, int, float]]):
    """The alternative: planes of all positions in memory, and a random symmetry for each sample."""

    def __init__(self, archive: GameArchive, limit: int) -> None:
        stream = stream_of(archive, "absolute", "numpy")
        positions = all_positions(archive, np.arange(len(archive)))
        games, plies = positions.at(np.arange(min(limit, len(positions))))
        as_is = np.zeros(len(games), dtype=bool)
        batch = stream.builder.build(games, plies, as_is, as_is)
        self._planes, self._moves = batch.planes, batch.policy_target
        self._outcome = batch.outcome
        self._rng = np.random.default_rng(0)

    def __len__(self) -> int:
        return len(self._planes)

    def __getitem__(self, index: int) -> tuple[Tensor, int, float]:
        planes, move = self._planes[index], int(self._moves[index])
        outcome = float(self._outcome[index])
        row, column = divmod(move, SIZE)
        if self._rng.integers(2):
            planes = planes.flip(1, 2)
            row, column = SIZE - 1 - row, SIZE - 1 - column
        if self._rng.integers(2):
            planes = planes.transpose(1, 2)[[1, 0, 2]]
            planes[2] = 1.0 - planes[2]
            row, column, outcome = column, row, 1.0 - outcome
        return planes, row * SIZE + column, outcome


def import_row(games: str, repeats: int) -> tuple[str, str, str]:
    def load(number: int) -> int:
        return len(import_games([games], SIZE)[0])

    rate = median_rate(load, max(3, repeats // 3), time.process_time)
    return "import with replay of winners", f"{rate:,.0f} /s", "games, seconds of one core"


def memory_rows(folder: Path, games: int) -> Iterator[tuple[str, str, str]]:
    text = folder / "synthetic.trmph"
    write_synthetic(text, games)
    found = in_child("import", text)
    note = f"{found['games']:,} synthetic games, {found['rate']:,.0f} /s; limit 500 MiB"
    yield "peak memory of importing", f"{found['peak']:,.0f} MiB", note
    archive = text.with_suffix(".games")
    note = f"archive of {archive.stat().st_size / MIB:,.0f} MiB on disk"
    found = in_child("trial", archive)
    yield (
        "private memory of a trial's data",
        f"{found['private']:,.0f} MiB",
        f"{note}; limit 50 MiB",
    )
    positions = found["positions"]
    dense = positions * 3 * SIZE * SIZE * 4 / MIB
    yield "the same positions as dense planes", f"{dense:,.0f} MiB", f"{positions:,} positions"


def write_synthetic(path: Path, games: int) -> None:
    """Games of 50 random moves that are resigned. Hardly any of them is decided then."""
    rng = np.random.default_rng(0)
    names = np.array([cell_name(cell, SIZE) for cell in range(SIZE * SIZE)], dtype=object)
    with open(path, "w", encoding="utf-8") as file:
        for start in range(0, games, 10_000):
            count = min(10_000, games - start)
            cells = rng.random((count, SIZE * SIZE)).argpartition(50, axis=1)[:, :50]
            for row in names[cells].tolist():
                file.write(f"#{SIZE},{''.join(row)} b\n")


def in_child(name: str, path: Path) -> dict[str, Any]:
    command = [sys.executable, __file__, "--child", name, "--path", str(path)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def import_in_child(path: str) -> dict[str, Any]:
    start = time.process_time()
    archive, report = import_games([path], SIZE)
    rate = (report.read + len(report.refused)) / (time.process_time() - start)
    write_archive(Path(path).with_suffix(".games"), archive)
    return {"games": len(archive), "rate": rate, "peak": peak_memory()}


def trial_in_child(path: str) -> dict[str, Any]:
    # Every trial needs torch, numpy and a first small allocation, so they are not counted.
    torch.zeros(8, 3, SIZE, SIZE)
    before = private_memory()
    stream = stream_of(open_archive(Path(path), check=False), "mover", "numpy")
    for number in range(200):
        stream.batch(number * BATCH, BATCH)
    return {"private": private_memory() - before, "positions": len(stream.positions)}


def peak_memory() -> float:
    """Peak memory in MiB, with torch. `ru_maxrss` would include the parent's."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def private_memory() -> float:
    """MiB that only this process uses, without the pages of a shared map."""
    lines = Path("/proc/self/smaps_rollup").read_text(encoding="ascii").splitlines()
    kib = sum(int(line.split()[1]) for line in lines if line.startswith("Private_Dirty"))
    return kib / 1024


CHILDREN = {"import": import_in_child, "trial": trial_in_child}

if __name__ == "__main__":
    sys.exit(main())
