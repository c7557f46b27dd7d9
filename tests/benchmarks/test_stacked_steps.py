"""Stacked steps are steps of the single networks, but for the order of sums."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from stacked_steps import OneByOne, Stacked, distance, samples_of

from hexsearch.config.section import build
from hexsearch.config.trial import TrialConfig


@pytest.mark.parametrize(
    ("optimiser", "bound"),
    [
        # AdamW divides a gradient by its size, also one that is nothing but rounding.
        ({"clip": 0.05, "schedule": "one_cycle"}, 1e-7),
        ({"clip": 0.05, "name": "sgd", "learning_rate": 0.1, "weight_decay": 0.1}, 1e-10),
    ],
    ids=["adamw", "sgd"],
)
def test_stacked_steps_equal_single_steps(optimiser: dict[str, Any], bound: float) -> None:
    """With batch norm, clipping and the schedule. In float64, so that a bound can be tight."""
    raw = {"trunk": "tiny", "batch_size": 16, "optimiser": optimiser}
    config = build(TrialConfig, raw, "trial")
    alone, stacked = (way(config, 3, torch.float64) for way in (OneByOne, Stacked))
    assert distance(alone.weights(), stacked.weights()) == 0.0
    before = alone.weights()
    for place, sample in enumerate(samples_of(3, 16, 6, torch.float64)):
        for way in (alone, stacked):
            way.step(sample, place / 6)
    assert distance(before, alone.weights()) > 0.01
    assert distance(alone.weights(), stacked.weights()) < bound
