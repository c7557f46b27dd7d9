"""The average of the weights that a trial should hold after some steps."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch

from hexsearch.doctor.recorded import Flat, WatchedStep
from hexsearch.doctor.watching import WatchedTrial

_LARGEST_SHARE = 0.1  # a half-life is at most this share of the positions seen
Share = Callable[[int, float, float], float]  # of new weights, by batch, half-life and its limit
OTHER_SHARES: dict[str, Share] = {
    "the share that is kept and the share of the new weights are exchanged (decay and 1 - decay)": (
        lambda size, life, limit: math.exp2(-size / min(life, limit))
    ),
    "its half-life is counted in steps and not in positions, so it lags far behind": (
        lambda size, life, limit: 1 - math.exp2(-1 / min(life, limit))
    ),
    "the limit of the half-life, a tenth of the positions seen, is left out": (
        lambda size, life, limit: 1 - math.exp2(-size / life)
    ),
    "the limit of its half-life is a tenth of the steps and not of the positions seen, so it is "
    "hardly more than the last weights": (
        lambda size, life, limit: 1 - math.exp2(-size / min(life, limit / size))
    ),
    "its half-life is taken for a time constant (exp in place of a power of one half)": (
        lambda size, life, limit: 1 - math.exp(-size / min(life, limit))
    ),
    "its half-life is twice as long": lambda size, life, limit: (
        1 - math.exp2(-size / 2 / min(life, limit))
    ),
    "its half-life is half as long": lambda size, life, limit: (
        1 - math.exp2(-2 * size / min(life, limit))
    ),
    "it has a constant decay of 0.9": lambda size, life, limit: 0.1,
    "it has a constant decay of 0.99": lambda size, life, limit: 0.01,
    "it has a constant decay of 0.999": lambda size, life, limit: 0.001,
}


def usual_share(size: int, life: float, limit: float) -> float:
    """Share of the new weights by the documents."""
    return 1 - math.exp2(-size / min(life, limit))


def average_after(
    trial: WatchedTrial,
    steps: Sequence[WatchedStep],
    share: Share = usual_share,
    late: bool = False,
) -> Flat:
    """The average of the weights after each step, or of those before each step (`late`).

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
    for step in steps:
        seen += len(step.batch)
        life = float(trial.config.optimiser.ema_half_life)
        new = share(len(step.batch), life, _LARGEST_SHARE * seen)
        weights = step.before if late else step.after
        average = {owner: each.lerp(weights[owner], new) for owner, each in average.items()}
    return average
