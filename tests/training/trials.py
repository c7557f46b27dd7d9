"""Small trials, and the definition of their equality."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

from hexsearch.config.section import build
from hexsearch.config.trial import TrialConfig
from hexsearch.data.dataset import Dataset
from hexsearch.training.trial import Trial


def make(
    dataset: Dataset,
    seed: int = 0,
    max_positions: int = 512,
    device: torch.device | None = None,
    **settings: Any,
) -> Trial:
    raw = {"trunk": "tiny", "batch_size": 64, **settings}
    return Trial.of(build(TrialConfig, raw, "trial"), dataset, max_positions, seed, device)


def tensors(value: Any) -> Iterator[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from tensors(inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from tensors(inner)


def assert_same_state(one: Trial, other: Trial) -> None:
    pairs = list(zip(tensors(one.state()), tensors(other.state()), strict=True))
    assert pairs
    for a, b in pairs:
        assert torch.equal(a, b)


def without_times(trial: Trial) -> dict[str, Any]:
    report = trial.report().to_json()
    del report["timings"]
    return report
