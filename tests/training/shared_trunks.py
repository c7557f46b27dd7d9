"""Trials of several heads on one trunk, and the definition of their equality."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from hexsearch.config.section import build
from hexsearch.config.trial import TrialConfig
from hexsearch.data.dataset import Dataset
from hexsearch.training.frozen_trunk import SharedTrunk
from hexsearch.training.heads import Mode
from hexsearch.training.trial import Trial

NO_CLIP: dict[str, Any] = {"optimiser": {"clip": 1e9}}
HEADS: list[dict[str, Any]] = [
    {"value_head": "512->1"},
    {"value_head": {"family": "mlp", "widths": [32], "dropout": 0.3}, "readout": "tanh_mse"},
    {"value_head": "reduced 512->16->1", "readout": "sigmoid_mse"},
]

TAUGHT: dict[str, Any] = {
    "auxiliary": {
        "moves_left": 0.1,
        "ownership": 0.1,
        "winning_chain": 0.1,
        "future_stones": {"weight": 0.1},
    }
}


def trial_config(**settings: Any) -> TrialConfig:
    return build(TrialConfig, {"trunk": "tiny", "batch_size": 64, **settings}, "trial")


def shared(
    dataset: Dataset,
    heads: Sequence[dict[str, Any]] = HEADS,
    mode: Mode = "joint",
    seed: int = 0,
    **settings: Any,
) -> Trial:
    configs = [trial_config(**settings, **head) for head in heads]
    return Trial(configs, dataset, max_positions=512, seed=seed, trunk=SharedTrunk(mode))


def head_weights(trial: Trial, number: int) -> dict[str, torch.Tensor]:
    return trial.body.heads[number].state_dict()


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)


def essence(trial: Trial) -> list[dict[str, Any]]:
    reports = [report.to_json() for report in trial.reports()]
    for report in reports:
        del report["timings"]
    return reports
