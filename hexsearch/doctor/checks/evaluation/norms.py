"""Checks the batch-norm statistics that evaluation uses."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from hexsearch.doctor.findings import Finding
from hexsearch.training.seeds import derive_seed
from hexsearch.training.trial import Trial

_NORMED = 1024  # training positions that the statistics are compared with
_DRAWN, _PART = 8, 256  # parts of the positions that evaluation draws, as it draws them
_APART = 0.2  # accepted difference of means from those over these positions
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
        yield _finding(
            f"in evaluation the batch-norm statistics of {worst} differ from those of {_NORMED} "
            f"training positions by {gaps[worst]:.1f} (standard deviations of the mean, plus the "
            "logarithm of the ratio of the deviations)",
            "batch-norm statistics are never computed, or belong to other weights: evaluation "
            "normalises by other statistics than training",
        )
        return
    yield from _of_other_positions(trial)


def _of_other_positions(trial: Trial) -> Iterator[Finding]:
    """Compute the statistics again, over the training positions that evaluation draws for them.

    The code by which evaluation computes them is not used, so that a fault in it is found.
    """
    body = trial.body
    if trial.config.optimiser.ema_half_life or body.frozen:
        return  # evaluation has other weights, or norms that stay as they are
    norms = {n: m for n, m in body.named_modules() if isinstance(m, _BatchNorm)}
    norms = {n: m for n, m in norms.items() if m.running_mean is not None}
    kept = deepcopy(body.state_dict())
    stream = replace(trial.stream, seed=derive_seed(trial.seed, "calibration"))
    momenta = {name: norm.momentum for name, norm in norms.items()}
    body.eval()
    try:
        for norm in norms.values():
            norm.reset_running_stats()
            norm.momentum = None
            norm.train()
        with torch.no_grad():
            for part in stream.batch(0, _DRAWN * _PART).parts(_PART):
                features, _ = body.shared(trial.execution.show(part.planes))
                for number in range(len(body.heads)):
                    body.value_raw(number, features)
        gaps = {
            name: float(
                (
                    (norm.running_mean - kept[f"{name}.running_mean"]).abs()
                    / (norm.running_var + norm.eps).sqrt()
                ).max()
            )
            for name, norm in norms.items()
            if norm.running_mean is not None and norm.running_var is not None
        }
    finally:
        for name, norm in norms.items():
            norm.momentum = momenta[name]
        body.load_state_dict(kept)
        body.eval()
    if gaps and max(gaps.values()) > _APART:
        worst = max(gaps, key=lambda name: gaps[name])
        yield _finding(
            f"in evaluation a mean of {worst} differs by {gaps[worst]:.2f} standard deviations "
            f"from that of the {_DRAWN * _PART:,} training positions that are drawn for it",
            "batch-norm statistics are not computed over training positions before evaluation "
            "(they are running averages, or those of other inputs): evaluation normalises by other "
            "statistics than training",
        )


def _finding(evidence: str, cause: str) -> Finding:
    remedy = "compute the statistics over training positions before each evaluation"
    return Finding.error("evaluation", evidence, cause, remedy, root="norms")
