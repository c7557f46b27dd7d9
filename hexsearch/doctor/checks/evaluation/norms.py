"""Batch-norm statistics of evaluation, against those of training positions."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from hexsearch.doctor.findings import Finding
from hexsearch.training.trial import Trial

_NORMED = 1024  # training positions that batch-norm statistics are compared on
_OFF = 1.0  # standard deviations, or the logarithm of their ratio


def norm_findings(trial: Trial) -> Iterator[Finding]:
    """Batch-norm statistics as a report leaves them, against those of training positions."""
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
        yield Finding(
            "evaluation",
            "error",
            f"in evaluation the batch-norm statistics of {worst} are {gaps[worst]:.1f} standard "
            f"deviations off those of {_NORMED} training positions",
            "batch-norm statistics are never taken, or belong to other weights: evaluation "
            "normalises by something else than training does",
            "take the statistics over training positions before each evaluation",
            root="norms",
        )
