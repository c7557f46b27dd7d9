"""Checks the batch-norm statistics that evaluation uses."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from hexsearch.data.batches import TrainingStream
from hexsearch.data.position_set import position_set
from hexsearch.doctor.findings import Finding
from hexsearch.training.seeds import derive_seed
from hexsearch.training.trial import Trial

_NORMED = 1024  # training positions that the statistics are compared with
_DRAWN, _PART = 8, 256  # parts of the positions that evaluation draws, as it draws them
_APART = 0.03  # accepted difference of means from those over these positions
_NOISE = 0.3  # the same from those over other random numbers
_LEAST, _REST = 0.05, 0.3  # share of old statistics, and what it leaves unexplained
_LEFT = 0.2  # share of a difference that the right positions leave
_OFF = 1.0  # accepted median of the gaps over the channels of a norm


def norm_findings(trial: Trial, before: Mapping[str, Tensor] | None = None) -> Iterator[Finding]:
    """Compare the statistics after a report with those of training positions.

    The gap of a channel is the difference of the means in standard deviations, plus the absolute
    logarithm of the ratio of the standard deviations.

    Args:
        before: state of the network that answers before the report, if it is known.
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
            f"{_of_what(trial, before or {})}: evaluation normalises by other "
            "statistics than training",
        )
        return
    yield from _of_other_positions(trial, before or {})


def _of_other_positions(trial: Trial, before: Mapping[str, Tensor]) -> Iterator[Finding]:
    """Compute the statistics again, over the training positions that evaluation draws for them.

    The code by which evaluation computes them is not used, so that a fault in it is found.
    """
    if trial.body.frozen:
        return  # its norms stay as they are
    stream = replace(trial.stream, seed=derive_seed(trial.seed, "calibration"))
    count = _DRAWN * _PART
    gaps = _gaps(trial, _parts(stream, count))
    if not gaps or max(gaps.values()) <= _APART:
        return
    worst = max(gaps, key=lambda name: gaps[name])
    archive = trial.stream.builder.archive
    games = np.unique(trial.stream.positions.games).astype(np.int64)
    ends = archive.lengths_of(games)
    others = {
        "final positions only": replace(stream, positions=position_set(games, ends, ends)),
        "first positions only": replace(stream, positions=position_set(games, 0 * ends, 0 * ends)),
        "validation positions": replace(stream, positions=trial.dataset.validation),
        "positions that are not augmented": replace(stream, augment=False),
        "other training positions": replace(stream, seed=trial.seed),
    }
    source = "running averages, or those of other inputs"
    if lagging := _lagging(trial, before):
        yield _finding(
            f"in evaluation a mean of {worst} differs by {gaps[worst]:.2f} standard deviations "
            f"from that of the {count:,} training positions that are drawn for it",
            f"{lagging}: evaluation normalises by other statistics than training",
        )
        return
    for words, other in others.items():
        found = _gaps(trial, _parts(other, count))
        if max(found.values()) < min(_LEFT * gaps[worst], _APART):
            source = f"those of {words}"
            break
    yield _finding(
        f"in evaluation a mean of {worst} differs by {gaps[worst]:.2f} standard deviations from "
        f"that of the {count:,} training positions that are drawn for it",
        f"batch-norm statistics are not computed over training positions before evaluation (they "
        f"are {source}): evaluation normalises by other statistics than training",
    )


def _lagging(trial: Trial, before: Mapping[str, Tensor]) -> str:
    """In words, which share of the old statistics is left in those after a report; "" if none."""
    stream = replace(trial.stream, seed=derive_seed(trial.seed, "calibration"))
    kept, right = trial.answering.state_dict(), _means(trial, _parts(stream, _DRAWN * _PART))
    old, new = [], []
    for name, (mean, deviation) in right.items():
        key = f"{name}.running_mean"
        if key in before:
            old.append((before[key] - mean) / deviation)
            new.append((kept[key] - mean) / deviation)
    if not old:
        return ""
    some, others = torch.cat(old), torch.cat(new)
    share = float((some * others).sum()) / max(float(some.square().sum()), 1e-12)
    rest = float((others - share * some).norm()) / max(float(others.norm()), 1e-12)
    if not _LEAST < share < 1.05 or rest > _REST:
        return ""
    return (
        "the running averages of training are not begun anew before evaluation: "
        f"{share:.0%} of what they were is left in the batch-norm statistics, which lag behind the "
        "weights (reset_running_stats(), and a momentum of None for a plain mean)"
    )


def _parts(stream: TrainingStream, count: int) -> Iterator[Tensor]:
    return (part.planes for part in stream.batch(0, count).parts(_PART))


def _of_what(trial: Trial, before: Mapping[str, Tensor]) -> str:
    """In words, what statistics are that are far from those of training positions."""
    norms = [m for m in trial.answering.modules() if isinstance(m, _BatchNorm)]
    known = [m for m in norms if m.running_mean is not None and m.running_var is not None]
    if not any(m.running_mean.any() or (m.running_var != 1).any() for m in known):  # type: ignore[union-attr]
        return (
            "batch-norm statistics are never computed: they are the initial ones, 0 and 1, in the "
            "network that is evaluated"
            + (" (the average of the weights)" if trial.config.optimiser.ema_half_life else "")
        )
    generator = torch.Generator().manual_seed(0)
    shape = (_PART, *trial.next_batch(1).planes.shape[1:])
    noise = (torch.randn(shape, generator=generator) for _ in range(_DRAWN))
    if max(_gaps(trial, noise).values(), default=1.0) < _NOISE:
        return (
            "batch-norm statistics are computed over random numbers (noise) and not over positions"
        )
    return (
        _lagging(trial, before)
        or "batch-norm statistics are never computed, or belong to other weights"
    )


def _gaps(trial: Trial, inputs: Iterable[Tensor]) -> dict[str, float]:
    """Largest difference of a mean, in standard deviations, from that over some positions."""
    kept = trial.answering.state_dict()
    return {
        name: float(((mean - kept[f"{name}.running_mean"]).abs() / deviation).max())
        for name, (mean, deviation) in _means(trial, inputs).items()
    }


def _means(trial: Trial, inputs: Iterable[Tensor]) -> dict[str, tuple[Tensor, Tensor]]:
    """Means and standard deviations of the inputs of each norm over some positions."""
    network = trial.answering
    norms = {n: m for n, m in network.named_modules() if isinstance(m, _BatchNorm)}
    norms = {n: m for n, m in norms.items() if m.running_mean is not None}
    kept = deepcopy(network.state_dict())
    momenta = {name: norm.momentum for name, norm in norms.items()}
    network.eval()
    try:
        for norm in norms.values():
            norm.reset_running_stats()
            norm.momentum = None
            norm.train()
        with torch.no_grad():
            for planes in inputs:
                network(trial.execution.show(planes))
        return {
            name: (norm.running_mean.clone(), (norm.running_var + norm.eps).sqrt())
            for name, norm in norms.items()
            if norm.running_mean is not None and norm.running_var is not None
        }
    finally:
        for name, norm in norms.items():
            norm.momentum = momenta[name]
        network.load_state_dict(kept)
        network.eval()


def _finding(evidence: str, cause: str) -> Finding:
    remedy = "compute the statistics over training positions before each evaluation"
    return Finding.error("evaluation", evidence, cause, remedy, root="norms")
