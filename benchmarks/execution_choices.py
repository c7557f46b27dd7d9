"""Measures which number format, memory format and compilation are fastest on this device.

`python benchmarks/execution_choices.py [--games PATH] [--trunk NAME] [--batch N]` steps one trial
for every combination, with monitors, in interleaved rounds of one process, and evaluates each. A
rate is the median of the rounds, in positions per second of wall clock. Its ratio to float32 in
contiguous memory without compilation is printed beside it. Compilation happens in a first round
that is not counted; its time is a column. The fastest combination belongs in the table of `auto`
in `hexsearch/training/execution.py`.
"""

from __future__ import annotations

import argparse
import statistics
import time
from itertools import product

import torch

from hexsearch.config.data import DataConfig
from hexsearch.config.section import build
from hexsearch.config.trial import TrialConfig
from hexsearch.data.collection.importing import STARTER_GAMES, import_games
from hexsearch.data.dataset import Dataset
from hexsearch.training.trial import Trial

BUDGET = 100_000_000  # so large that the learning rate hardly changes
FORMATS = ("contiguous", "channels_last")
COMPILE = ("never", "always")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--games", default=STARTER_GAMES, help="13x13 games")
    parser.add_argument("--trunk", action="append", choices=("small", "resnet18", "tiny"))
    parser.add_argument("--batch", action="append", type=int)
    parser.add_argument("--precision", action="append", choices=("float32", "bfloat16", "float16"))
    parser.add_argument("--compile", action="append", choices=COMPILE)
    parser.add_argument("--steps", type=int, default=100, help="of a round")
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    torch.set_num_threads(1)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    archive, _ = import_games([args.games], 13)
    dataset = Dataset(archive, DataConfig(board_size=13, validation_games=100))
    print(
        "| trunk | batch | precision | memory | compile | train | ratio | answer | ratio | start |"
    )
    print("|---|---:|---|---|---|---:|---:|---:|---:|---:|")
    choices = product(args.precision or ("float32", "bfloat16"), FORMATS, args.compile or COMPILE)
    combinations = list(choices)
    for trunk, batch in product(args.trunk or ["small", "resnet18"], args.batch or [64, 256]):
        contenders = {
            choice: Contender(trunk, batch, choice, dataset, device) for choice in combinations
        }
        for number in range(args.rounds + 1):
            for contender in list(contenders.values())[:: 1 if number % 2 else -1]:
                contender.turn(args.steps)
        base = contenders[combinations[0]]
        for choice, contender in contenders.items():
            cells = [trunk, str(batch), *choice]
            for rates, others in ((contender.train, base.train), (contender.answer, base.answer)):
                shares = [mine / its for mine, its in zip(rates, others, strict=True)]
                cells += [
                    f"{statistics.median(rates[1:]):,.0f}",
                    f"{statistics.median(shares[1:]):.2f}",
                ]
            print("| " + " | ".join([*cells, f"{contender.first_s:.1f} s"]) + " |", flush=True)
    return 0


class Contender:
    """One combination's trial and rates. The first rate includes work that is done once."""

    def __init__(
        self,
        trunk: str,
        batch: int,
        choice: tuple[str, str, str],
        dataset: Dataset,
        device: torch.device,
    ) -> None:
        precision, memory_format, compiled = choice
        raw = {
            "trunk": trunk,
            "batch_size": batch,
            "precision": precision,
            "memory_format": memory_format,
            "compile": compiled,
        }
        config = build(TrialConfig, raw, "trial")
        self._trial = Trial.of(config, dataset, BUDGET, seed=0, device=device)
        self.train: list[float] = []
        self.answer: list[float] = []
        self.first_s = 0.0

    def turn(self, steps: int) -> None:
        """Run one round: some training steps, and one evaluation."""
        trial, positions = self._trial, steps * self._trial.config.batch_size
        started = self._now()
        trial.train_to(trial.positions_seen + positions)
        trained = self._now()
        evaluation, _ = trial.evaluate()
        answered = self._now()
        self.first_s = self.first_s or trained - started
        self.train.append(positions / (trained - started))
        self.answer.append(len(evaluation.game) / (answered - trained))

    def _now(self) -> float:
        if self._trial.device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter()


if __name__ == "__main__":
    raise SystemExit(main())
