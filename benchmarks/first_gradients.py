"""How much of the value loss's gradient reaches a trunk in its first steps?

`python benchmarks/first_gradients.py --games PATH [--steps N] [--seeds N]` trains trunks with and
without strides for a few steps with the default settings, and prints a Markdown table: the norm of
the gradient that the unweighted value loss and policy loss give the trunk at the first step, at the
last one, and the value loss of the last steps. Each figure is a mean over seeds and its range.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import torch
from torch import Tensor

from hexsearch.config.data import DataConfig
from hexsearch.config.section import build
from hexsearch.config.trial import TrialConfig
from hexsearch.data.batches import Batch
from hexsearch.data.collection.importing import import_games
from hexsearch.data.dataset import Dataset
from hexsearch.training.step import Losses
from hexsearch.training.trial import Trial

TRUNKS = {
    "`small`": "small",
    "`24x2 48x2/2`": {"channels": [24, 48], "blocks": [2, 2], "strides": [1, 2]},
    "`32x2/2 64x2`": {"channels": [32, 64], "blocks": [2, 2], "strides": [2, 1]},
    "`16x3`": {"channels": [16], "blocks": [3], "strides": [1]},
    "`24x4`": {"channels": [24], "blocks": [4], "strides": [1]},
}
_LAST = 20  # steps whose value losses are averaged


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--games", default="starter", help="13x13 games")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--seeds", type=int, default=3)
    args = parser.parse_args()
    torch.set_num_threads(1)
    archive, _ = import_games([args.games], 13)
    dataset = Dataset(archive, build(DataConfig, {}, "data"))
    print("| trunk | value, first step | policy, first step | value, last | policy, last | loss |")
    print("|---|---:|---:|---:|---:|---:|", flush=True)
    for name, trunk in TRUNKS.items():
        runs = [measure(dataset, trunk, args.steps, seed) for seed in range(1, args.seeds + 1)]
        cells = [_cell(list(column)) for column in zip(*runs, strict=True)]
        print(f"| {name} | {' | '.join(cells)} |", flush=True)
    return 0


def measure(dataset: Dataset, trunk: object, steps: int, seed: int) -> list[float]:
    """Norms in the trunk at the first and the last step, and the value loss of the last steps."""
    config = build(TrialConfig, {"trunk": trunk}, "trial")
    # The schedule of a million positions, of which these are the first.
    trial = Trial.of(config, dataset, 1_000_000, seed)
    trial.network.train()
    batch = trial.next_batch(config.batch_size)
    figures = _norms(trial, batch)
    losses = []
    for _ in range(steps):
        with torch.no_grad():
            losses.append(float(trial.losses(batch).value.mean()))
        trial.train_on(batch)
        batch = trial.next_batch(config.batch_size)
    last = losses[-_LAST:]
    return [*figures, *_norms(trial, batch), sum(last) / max(1, len(last))]


def _norms(trial: Trial, batch: Batch) -> list[float]:
    weights = [weight for weight in trial.network.trunk.parameters() if weight.requires_grad]
    terms: list[Callable[[Losses], Tensor]] = [lambda x: x.value.mean(), lambda x: x.policy]
    norms = []
    for term in terms:
        gradients = torch.autograd.grad(term(trial.losses(batch)), weights, allow_unused=True)
        kept = [gradient.square().sum() for gradient in gradients if gradient is not None]
        norms.append(float(torch.stack(kept).sum().sqrt()))
    return norms


def _cell(values: list[float]) -> str:
    return f"{sum(values) / len(values):.3f} ({min(values):.3f} to {max(values):.3f})"


if __name__ == "__main__":
    raise SystemExit(main())
