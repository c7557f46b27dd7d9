"""Checks the batch-norm statistics that evaluation uses."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from hexsearch.doctor.findings import Finding
from hexsearch.training.trial import Trial

_NORMED = 1024  # training positions that the statistics are compared with
_OFF = 1.0  # accepted median of the gaps over the channels of a norm


def norm_findings(trial: Trial) -> Iterator[Finding]:
    """Compare the statistics after a report with those of training positions.

    The gap of a channel is the difference of the means in standard deviations, plus the absolute
    logarithm of the ratio of the standard deviations.
    """
    gaps: dict[str, float] = {}

    def look(name: str, norm: _BatchNorm, inputs: tuple[Tensor, ...]) -> None:
        if norm.running_mean is None or norm.running_var is None:
            return
        seen = inputs[0].detach().float().transpose(0, 1).flatten(1)
        mean, deviation = seen.mean(dim=1), seen.std(dim=1).clamp(min=1e-5)
        kept = norm.running_var.clamp(min=1e-10).sqrt()
        off = (norm.running_mean - mean).abs() / deviation + (kept / deviation).log().abs()
        gaps[name] = float(off.median())

    network = trial.answering.eval()
    handles = [
        module.register_forward_pre_hook(lambda norm, inputs, name=name: look(name, norm, inputs))
        for name, module in network.named_modules()
        if isinstance(module, _BatchNorm)
    ]
    try:
        with torch.no_grad():
            network(trial.execution.show(trial.next_batch(_NORMED).planes))
    finally:
        for handle in handles:
            handle.remove()
    if gaps and max(gaps.values()) > _OFF:
        worst = max(gaps, key=lambda name: gaps[name])
        yield Finding.error(
            "evaluation",
            f"in evaluation the batch-norm statistics of {worst} differ from those of {_NORMED} "
            f"training positions by {gaps[worst]:.1f} (standard deviations of the mean, plus the "
            "logarithm of the ratio of the deviations)",
            "batch-norm statistics are never computed, or belong to other weights: evaluation "
            "normalises by other statistics than training",
            "compute the statistics over training positions before each evaluation",
            root="norms",
        )
