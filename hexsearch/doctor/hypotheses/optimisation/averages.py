"""The average of the weights that a trial should hold after some steps."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from hexsearch.doctor.recorded import Flat, WatchedStep
from hexsearch.doctor.watching import WatchedTrial

_LARGEST_SHARE = 0.1  # a half-life is at most this share of the positions seen


def averages_after(trial: WatchedTrial, steps: Sequence[WatchedStep]) -> tuple[Flat, Flat]:
    """The average of the weights after each step, and that of the weights before each step.

    Args:
        trial: one whose optimiser has an `ema_half_life`.
        steps: its first steps.
    """
    parts = trial.answering.parts()
    initial = iter(trial.begun_answering)
    start = {id(p): next(initial) for p in trial.answering.parameters()}
    seen = round(steps[0].progress * trial.max_positions)
    average = {
        owner: torch.cat([start[id(p)].reshape(-1) for p in parts[owner].parameters()])
        for owner in steps[0].after
    }
    late = average
    for step in steps:
        seen += len(step.batch)
        life = min(trial.config.optimiser.ema_half_life, _LARGEST_SHARE * seen)
        share = 1.0 - 0.5 ** (len(step.batch) / life)
        average = {owner: each.lerp(step.after[owner], share) for owner, each in average.items()}
        late = {owner: each.lerp(step.before[owner], share) for owner, each in late.items()}
    return average, late
