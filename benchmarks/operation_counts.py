"""Counts the operations that a step and an evaluation ask of torch, which a GPU would launch.

`python benchmarks/operation_counts.py [--trunk small] [--batch 64]` needs no GPU: planes are built
by the code of a GPU, and operations are counted as torch dispatches them, without views and
allocations. A step is counted without building its planes, which happens for thousands of
positions at once, and without the monitors, which look at one step in fifty.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from trial_throughput import BUDGET, SIZE, bare_loop, fresh, random_batches

from hexsearch.config.data import DataConfig
from hexsearch.config.section import build
from hexsearch.config.trial import TrialConfig
from hexsearch.data.collection.importing import STARTER_GAMES, import_games
from hexsearch.data.dataset import Dataset
from hexsearch.training import evaluation
from hexsearch.training.trial import Trial

_FREE = frozenset(
    "view slice select expand permute transpose unsqueeze squeeze detach alias t as_strided split "
    "split_with_sizes _unsafe_view lift_fresh empty empty_like empty_strided new_empty "
    "unbind".split()
)  # views and allocations, which launch nothing


class Counter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts operations in its context."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.operations = 0

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        self.operations += function.overloadpacket.__name__ not in _FREE
        return function(*args, **(kwargs or {}))


def counted(work: Callable[[], object]) -> int:
    counter = Counter()
    with counter:
        work()
    return counter.operations


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--games", default=STARTER_GAMES, help="13x13 games")
    parser.add_argument("--trunk", default="small", choices=("small", "resnet18", "tiny"))
    parser.add_argument("--batch", type=int, default=64)
    args = parser.parse_args()
    torch.set_num_threads(1)
    archive, _ = import_games([args.games], SIZE)
    dataset = Dataset(archive, DataConfig(board_size=SIZE, validation_games=100))
    config = build(TrialConfig, {"trunk": args.trunk, "batch_size": args.batch}, "trial")
    trial = Trial.of(config, dataset, BUDGET, seed=0)
    loop, pool = bare_loop(config, trial), random_batches(trial, args.batch)
    loop(*pool[0])
    trial.train_to(args.batch)  # the first step is one that the monitors look at
    batch = trial.next_batch()
    print("| what | operations |\n|---|---:|")
    print(f"| bare step | {counted(lambda: loop(*pool[1]))} |")
    print(f"| a trial's step | {counted(lambda: trial.train_on(batch))} |")
    builder = replace(trial.stream.builder, backend="torch")
    evaluator = replace(trial.evaluator, stream=replace(trial.stream, builder=builder))
    positions = dataset.validation
    network, planes = fresh(config, trial).eval(), random_batches(trial, 2)[0][0]
    with torch.inference_mode():
        each = counted(lambda: network(planes).value_raw.sigmoid())
    for size, built in ((1024, 1024), (evaluation._BATCH["cuda"], evaluation._BUILT["cuda"])):
        evaluation._BATCH, evaluation._BUILT = {"cpu": size}, {"cpu": built}
        found = counted(lambda: evaluator.evaluate(trial.body, positions))
        what = f"evaluation of {len(positions):,} positions by {size:,}, built by {built:,}"
        print(f"| {what} | {found} |")
        print(f"| the same, bare | {each * -(-len(positions) // size)} |")
    answered, _ = evaluator.evaluate(trial.body, positions)
    print(f"| metrics and losses by game of these answers | {counted(answered[0].metrics)} |")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
