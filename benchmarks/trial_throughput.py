"""Measures the cost of a trial beyond the arithmetic of its network.

`python benchmarks/trial_throughput.py [--games PATH] [--trunk NAME]`. Every figure is printed
beside its limit and beside another program in the same run, in interleaved rounds, as the median
of the rounds:

* a whole trial step (batch building, augmentation, forward, backward, clipping, optimiser,
  monitors) beside a bare loop of the same network, optimiser and clipping on random tensors that
  exist already, and beside a plain trainer on dense planes in a TensorDataset with a DataLoader,
  whose planes are made before and not augmented;
* evaluation (batch building, read-out, metrics) beside bare inference on tensors that exist
  already;
* a step with monitors that sample as often as usual, beside a step with monitors that never do.

Rates are positions per second of CPU time, which depends least on other processes. The wall clock
is printed beside them. On a GPU only the wall clock counts.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from hexsearch.config.data import DataConfig
from hexsearch.config.section import build
from hexsearch.config.trial import TrialConfig
from hexsearch.data.collection.importing import STARTER_GAMES, import_games
from hexsearch.data.dataset import Dataset
from hexsearch.model.network import Network, build_network
from hexsearch.model.policy_head import policy_loss
from hexsearch.training import step as steps
from hexsearch.training.optimisation.optimiser import build_optimiser, clip_gradients
from hexsearch.training.optimisation.schedule import set_learning_rate
from hexsearch.training.trial import Trial

SIZE = 13
BUDGET = 100_000_000  # so large that the learning rate hardly changes
POOL = 8  # batches of random tensors, used in turn
INFERENCE_BATCH = 4096 if torch.cuda.is_available() else 1024  # as trials are evaluated

Rate = dict[str, list[tuple[float, float]]]  # positions/s by CPU time and by wall clock


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--games", default=STARTER_GAMES, help="13x13 games")
    parser.add_argument("--trunk", action="append", choices=("small", "resnet18", "tiny"))
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--precision", default="auto")
    args = parser.parse_args()
    torch.set_num_threads(1)
    archive, _ = import_games([args.games], SIZE)
    data = DataConfig(board_size=SIZE, validation_games=100)
    dataset = Dataset(archive, data)
    print("| trunk | what | positions/s (CPU) | of the limit | wall clock | of the limit |")
    print("|---|---|---:|---:|---:|---:|")
    for trunk in args.trunk or ["small", "resnet18"]:
        raw = {"trunk": trunk, "batch_size": args.batch, "precision": args.precision}
        config = build(TrialConfig, raw, "trial")
        # A look falls on every 50th step, so a round is a whole number of fifties or a part that
        # is charged its share; the network of millions of weights takes seconds a step.
        count = 50 if trunk != "resnet18" else 4
        for line in training_rows(config, dataset, count, args.rounds):
            print(f"| {trunk} | {line} |", flush=True)
        for line in evaluation_rows(config, dataset, min(args.rounds, 5)):
            print(f"| {trunk} | {line} |", flush=True)
    return 0


def device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def timed(work: Callable[[], int]) -> tuple[float, float]:
    """Positions per second of CPU time and of wall clock."""
    wait()
    cpu, wall = time.process_time(), time.perf_counter()
    positions = work()
    wait()
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    return positions / cpu, positions / wall


def wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def rows(rates: Rate, limit: str) -> Iterator[str]:
    """One line for each contender. Its share of the limit is the median over the rounds."""
    for name, measured in rates.items():
        cells = [name]
        for clock in (0, 1):
            middle = statistics.median(rate[clock] for rate in measured)
            shares = [
                rate[clock] / base[clock] for rate, base in zip(measured, rates[limit], strict=True)
            ]
            cells += [f"{middle:,.0f}", f"{statistics.median(shares):.3f}"]
        yield " | ".join(cells)


def compete(contenders: dict[str, Callable[[], int]], rounds: int) -> Rate:
    """Run rounds in which all take turns, in alternating order, after a warm-up round."""
    rates: Rate = {name: [] for name in contenders}
    for number in range(rounds + 1):
        order = list(contenders) if number % 2 else list(reversed(contenders))
        for name in order:
            rate = timed(contenders[name])
            if number:
                rates[name].append(rate)
    return rates


def training_rows(config: TrialConfig, dataset: Dataset, count: int, rounds: int) -> Iterator[str]:
    whole = Trial.of(config, dataset, BUDGET, seed=0, device=device())
    unwatched = Trial.of(config, dataset, BUDGET, seed=0, device=device())
    size = config.batch_size

    def train(trial: Trial) -> int:
        trial.train_to(trial.positions_seen + count * size)
        return count * size

    def unobserved() -> int:
        with never_looking():
            return train(unwatched)

    bare = bare_loop(config, whole)
    pool = random_batches(whole, size)

    def preloaded() -> int:
        for number in range(count):
            bare(*pool[number % POOL])
        return count * size

    loop = bare_loop(config, whole)
    loader = dense_loader(whole, size, count)

    def plain() -> int:
        for planes, target, outcome in loader:
            loop(planes.to(whole.device), target.to(whole.device), outcome.to(whole.device))
        return count * size

    contenders = {
        "bare loop on random tensors": preloaded,
        "whole trial step": lambda: train(whole),
        "the same, monitors never looking": unobserved,
        "TensorDataset and DataLoader": plain,
    }
    yield from rows(compete(contenders, rounds), "bare loop on random tensors")


@contextmanager
def never_looking() -> Iterator[None]:
    """Let trials step without their monitors."""
    every, steps.LOOK_EVERY = steps.LOOK_EVERY, 1 << 60
    try:
        yield
    finally:
        steps.LOOK_EVERY = every


def bare_loop(config: TrialConfig, trial: Trial) -> Callable[[Tensor, Tensor, Tensor], None]:
    """A plain PyTorch loop with the same network, optimiser, clipping and loss."""
    network = fresh(config, trial).train()
    optimiser = build_optimiser(network, config.optimiser, trial.device)
    readout, weight = trial.readout, config.policy_head.weight
    everywhere = torch.ones(config.batch_size, dtype=torch.bool, device=trial.device)

    def step(planes: Tensor, target: Tensor, outcome: Tensor) -> None:
        set_learning_rate(optimiser, config.optimiser, 0.0)
        optimiser.zero_grad(set_to_none=True)
        with trial.execution.autocast(trial.device):
            output = network(trial.execution.show(planes))
        loss = readout.loss(output.value_raw.float(), outcome).mean()
        loss = loss + weight * policy_loss(output.policy_logits, target, everywhere)
        torch.autograd.backward(loss)
        clip_gradients(network, config.optimiser.clip)
        optimiser.step()

    return step


def fresh(config: TrialConfig, trial: Trial) -> Network:
    network = build_network(config, trial.encoder.planes, trial.encoder.size, seed=1)
    return trial.execution.place(network, trial.device)


def random_batches(trial: Trial, size: int) -> list[tuple[Tensor, Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(0)
    shape = trial.next_batch(2).planes.shape[1:]
    return [
        (
            trial.execution.show(torch.rand((size, *shape), generator=generator).to(trial.device)),
            torch.randint(SIZE * SIZE, (size,), generator=generator).to(trial.device),
            torch.randint(2, (size,), generator=generator).float().to(trial.device),
        )
        for _ in range(POOL)
    ]


def dense_loader(trial: Trial, size: int, count: int) -> DataLoader[tuple[Tensor, ...]]:
    """The positions of a round as dense planes, shuffled and collated one by one."""
    batches = [trial.stream.batch(number * size, size) for number in range(count)]
    tensors = (
        torch.cat([getattr(batch, name) for batch in batches]).cpu()
        for name in ("planes", "policy_target", "outcome")
    )
    return DataLoader(TensorDataset(*tensors), size, shuffle=True)


def evaluation_rows(config: TrialConfig, dataset: Dataset, rounds: int) -> Iterator[str]:
    trial = Trial.of(config, dataset, BUDGET, seed=0, device=device())
    network = fresh(config, trial).eval()
    positions = len(dataset.validation)
    few = positions
    if config.trunk.preset == "resnet18":
        games = dataset.config.model_copy(update={"validation_games": 20})
        trial = Trial.of(config, Dataset(dataset.archive, games), BUDGET, 0, device())
        few = len(trial.dataset.validation)
    sizes = [INFERENCE_BATCH] * (few // INFERENCE_BATCH) + [few % INFERENCE_BATCH]
    planes = random_batches(trial, INFERENCE_BATCH)[0][0]

    @torch.inference_mode()
    def bare() -> int:
        answers = [network(planes[:size]).value_raw.sigmoid() for size in sizes if size]
        return int(np.isfinite(torch.cat(answers).cpu().numpy()).sum())

    def evaluate() -> int:
        evaluation, _ = trial.evaluate()
        evaluation.metrics()
        return len(evaluation.game)

    contenders = {"bare inference": bare, "evaluation with metrics": evaluate}
    yield from islice(rows(compete(contenders, rounds), "bare inference"), 2)


if __name__ == "__main__":
    raise SystemExit(main())
