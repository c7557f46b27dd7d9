"""The learning rate as a function of the positions seen."""

from __future__ import annotations

import math

import torch

from hexsearch.config.optimiser import OptimiserConfig

_ONE_CYCLE_START, _ONE_CYCLE_END = 1 / 25, 1e-4  # of the peak rate (Smith, arXiv:1708.07120)


def learning_rate(config: OptimiserConfig, progress: float) -> float:
    """Learning rate after a share `progress` in [0, 1] of the trial's positions.

    It is a share of `max_positions`, also if the scheduler stops the trial early. So trials are
    compared at equal points of equal schedules.

    >>> cycle = OptimiserConfig(learning_rate=1.0, schedule="one_cycle", warmup=0.5)
    >>> [round(learning_rate(cycle, at), 4) for at in (0.0, 0.5, 1.0)]
    [0.04, 1.0, 0.0]
    """
    peak = config.learning_rate
    if progress < config.warmup:
        rising = progress / config.warmup
        if config.schedule == "one_cycle":
            return _cosine(peak * _ONE_CYCLE_START, peak, rising)
        return peak * rising
    if config.schedule == "constant":
        return peak
    falling = (progress - config.warmup) / (1.0 - config.warmup)
    end = peak * _ONE_CYCLE_START * _ONE_CYCLE_END if config.schedule == "one_cycle" else 0.0
    return _cosine(peak, end, min(falling, 1.0))


def set_learning_rate(
    optimiser: torch.optim.Optimizer, config: OptimiserConfig, progress: float
) -> None:
    """Set the learning rate of every group for the next step."""
    rate = learning_rate(config, progress)
    for group in optimiser.param_groups:
        group["lr"] = rate * group["factor"]


def _cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) * 0.5 * (1.0 + math.cos(math.pi * share))
