"""How much of the value loss's gradient reaches a trunk at its first step?

`python benchmarks/first_gradients.py --games PATH [--seeds N]` builds trunks with and without
strides with the default settings, and prints a Markdown table: the norm of the gradient that the
unweighted value loss and policy loss of the first batch give the trunk. Each figure is a mean over
seeds and its range.
"""

from __future__ import annotations

import argparse

import torch

from hexsearch.config.data import DataConfig
from hexsearch.config.section import build
from hexsearch.config.trial import TrialConfig
from hexsearch.data.collection.importing import import_games
from hexsearch.data.dataset import Dataset
from hexsearch.training.trial import Trial

TRUNKS = {
    "`small`": "small",
    "`24x2 48x2/2`": {"channels": [24, 48], "blocks": [2, 2], "strides": [1, 2]},
    "`32x2/2 64x2`": {"channels": [32, 64], "blocks": [2, 2], "strides": [2, 1]},
    "`16x3`": {"channels": [16], "blocks": [3], "strides": [1]},
    "`24x4`": {"channels": [24], "blocks": [4], "strides": [1]},
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--games", default="starter", help="13x13 games")
    parser.add_argument("--seeds", type=int, default=3)
    args = parser.parse_args()
    torch.set_num_threads(1)
    archive, _ = import_games([args.games], 13)
    dataset = Dataset(archive, build(DataConfig, {}, "data"))
    print("| trunk | value loss | policy loss |")
    print("|---|---:|---:|")
    for name, trunk in TRUNKS.items():
        runs = [measure(dataset, trunk, seed) for seed in range(1, args.seeds + 1)]
        cells = [_cell(list(column)) for column in zip(*runs, strict=True)]
        print(f"| {name} | {' | '.join(cells)} |", flush=True)
    return 0


def measure(dataset: Dataset, trunk: object, seed: int) -> list[float]:
    """Norms in the trunk of the gradients of the value loss and the policy loss."""
    config = build(TrialConfig, {"trunk": trunk}, "trial")
    trial = Trial.of(config, dataset, config.batch_size, seed)
    trial.network.train()
    losses = trial.losses(trial.next_batch(config.batch_size))
    weights = list(trial.network.trunk.parameters())
    norms = []
    for loss in (losses.value.mean(), losses.policy):
        gradients = torch.autograd.grad(loss, weights, retain_graph=True)
        norms.append(float(torch.stack([each.square().sum() for each in gradients]).sum().sqrt()))
    return norms


def _cell(values: list[float]) -> str:
    return f"{sum(values) / len(values):.3f} ({min(values):.3f} to {max(values):.3f})"


if __name__ == "__main__":
    raise SystemExit(main())
