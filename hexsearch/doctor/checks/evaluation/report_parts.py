"""Computes parts of a report again: auxiliary losses, activations, and what verdicts are told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from hexsearch.analysis.predictor import in_eval_mode
from hexsearch.data.batches import evaluation_batches
from hexsearch.doctor.checks.data.auxiliary import own_loss
from hexsearch.doctor.checks.evaluation.verdicts import verdict_findings
from hexsearch.doctor.findings import Finding
from hexsearch.doctor.watching import WatchedTrial
from hexsearch.training import report as report_module
from hexsearch.training.report import TrialReport

_VERDICT = "find_verdict"  # as the module of reports calls it
_CLOSE = 0.02  # accepted relative difference
_RANKED = 256  # positions from which the effective rank is computed
_WATCHED = 256  # positions at most whose activations an evaluation looks at
_ROWS = 4_096  # positions of the few validation games


@contextmanager
def noted_progress(told: list[float]) -> Iterator[None]:
    """In this context the progress that the verdicts of reports are told is noted."""
    names = vars(report_module)
    sound = names[_VERDICT]

    def find(*given: Any, **named: Any) -> Any:
        if "progress" in named:
            told.append(float(named["progress"]))
        return sound(*given, **named)

    names[_VERDICT] = find
    try:
        yield
    finally:
        names[_VERDICT] = sound


def part_findings(trial: WatchedTrial, report: TrialReport, told: list[float]) -> Iterator[Finding]:
    """Compare parts of the last report with the same computed again.

    Args:
        told: the progress that verdicts were told.
    """
    progress = trial.positions_seen / trial.max_positions
    if told and abs(told[-1] - progress) > 1e-6 + _CLOSE * progress:
        yield _finding(
            f"after {progress:.3g} of the budget the verdict of a report is told {told[-1]:.3g}",
            "the share of the budget that verdicts are judged by is another one"
            + (" (upside down)" if abs(told[-1] * progress - 1) < _CLOSE else "")
            + ", so a training is called healthy or not too early or too late",
        )
        return
    judged = list(verdict_findings(report))
    yield from judged
    if judged:
        return
    planes, targets = _validation(trial)
    yield from list(_auxiliary(trial, report, planes, targets)) or _activations(
        trial, report, planes
    )


def _validation(trial: WatchedTrial) -> tuple[Tensor, dict[str, Tensor]]:
    """Planes and auxiliary targets of the positions that a report is about."""
    wanted = trial.config.auxiliary
    builder, positions = trial.stream.builder, trial.dataset.validation
    batches = list(evaluation_batches(builder, positions, _ROWS, 1, wanted))
    names = batches[0].auxiliary
    return torch.cat([b.planes for b in batches]), {
        name: torch.cat([b.auxiliary[name] for b in batches]) for name in names
    }


def _auxiliary(
    trial: WatchedTrial, report: TrialReport, planes: Tensor, targets: dict[str, Tensor]
) -> Iterator[Finding]:
    network = trial.answering
    if not report.auxiliary_losses or len(planes) > _ROWS:
        return  # a report looks at every n-th position of many
    with torch.no_grad(), in_eval_mode(network.modules()):
        features = network.trunk(trial.execution.show(planes))
        outputs = {name: head(features).float() for name, head in network.auxiliary.items()}
    for name, found in report.auxiliary_losses.items():
        if name not in outputs or not bool((targets[name] >= 0).any()):
            continue
        right = float(own_loss(name, outputs[name], targets[name]))
        if abs(found - right) <= _CLOSE * max(abs(right), 1e-3):
            continue
        weight, count = trial.config.auxiliary.weights[name], int((targets[name] >= 0).sum())
        forms = {
            "multiplied by its weight": weight * right,
            "divided by the number of entries once more": right / count,
            "the sum over the entries, not their mean": right * count,
            "divided by the number of positions": right * count / len(planes),
        }
        told = min(forms, key=lambda words: abs(forms[words] - found))
        known = abs(forms[told] - found) <= _CLOSE * abs(found)
        yield _finding(
            f"a report gives an auxiliary loss of head {name} of {found:.4g}; by the outputs and "
            f"targets of the same positions it is {right:.4g}",
            f"the reported auxiliary loss of head {name} is "
            + (told if known else f"{found / right:.3g} times the right one")
            + "; training itself is not affected",
        )
        return


def _activations(trial: WatchedTrial, report: TrialReport, planes: Tensor) -> Iterator[Finding]:
    """Compare figures of the trunk's features on the first validation positions."""
    told = report.evaluation_activations.get("trunk_features")
    if told is None:
        return
    network = trial.answering
    with torch.no_grad(), in_eval_mode(network.modules()):
        features = network.trunk(trial.execution.show(planes[:_WATCHED])).float()
    if features.ndim != 4:
        return
    units = features.transpose(0, 1).flatten(1)
    dead = float((units.amax(dim=1) == units.amin(dim=1)).float().mean())
    spread = float(units.std(dim=1, correction=0).mean())
    pooled = features.flatten(2).mean(dim=2)[:_RANKED].double()
    spectrum = torch.linalg.svdvals(pooled - pooled.mean(dim=0)).square()
    shares = spectrum / spectrum.sum().clamp(min=1e-30)
    rank = float(torch.exp(-(shares * shares.clamp(min=1e-30).log()).sum()))
    for name, found, right, others in (
        ("dead units", told.dead, dead, _other_deaths(units)),
        ("spread", told.spread, spread, _other_spreads(features, units)),
        ("effective rank", told.effective_rank or rank, rank, _other_ranks(shares, pooled)),
    ):
        if _are_close(found, right):
            continue
        what = next((words for words, each in others.items() if _are_close(found, each)), "")
        yield _finding(
            f"a report gives {found:.4g} for the {name} of the trunk's features on the first "
            f"validation positions; recomputed, channel by channel, it is {right:.4g}",
            "the monitor of activations reports "
            + (f"{what} as" if what else "another number as")
            + f" {name}"
            + ("" if what else " (over another axis, or of other values)")
            + ", so dead or collapsing features are judged by wrong figures",
        )
        return


def _are_close(found: float, right: float) -> bool:
    return abs(found - right) <= _CLOSE * max(abs(right), 1e-3) + 1e-4


def _other_deaths(units: Tensor) -> dict[str, float]:
    """Shares that may be reported as that of the dead units [C, values], by what they are."""
    zero = units == 0
    return {
        "the share of units that are 0 anywhere": float(zero.any(dim=1).float().mean()),
        "the share of values that are 0": float(zero.float().mean()),
        "the share of units that are 0 in most places": float(
            (zero.float().mean(dim=1) > 0.5).float().mean()
        ),
        "the share of units that are not dead": 1.0
        - float((units.amax(dim=1) == units.amin(dim=1)).float().mean()),
        "the share of units whose mean is 0 or below": float(
            (units.mean(dim=1) <= 0).float().mean()
        ),
    }


def _other_spreads(features: Tensor, units: Tensor) -> dict[str, float]:
    """Numbers that may be reported as the spread of features [B, C, N, N], by what they are."""
    return {
        "the spread of all values together": float(features.std(correction=0)),
        "the mean variance of the units": float(units.var(dim=1, correction=0).mean()),
        "the spread over the positions at each cell": float(
            features.std(dim=0, correction=0).mean()
        ),
        "the spread over the cells of each position": float(
            features.flatten(2).std(dim=2, correction=0).mean()
        ),
        "the spread of the units' means": float(units.mean(dim=1).std(correction=0)),
    }


def _other_ranks(shares: Tensor, pooled: Tensor) -> dict[str, float]:
    """Numbers that may be reported as the effective rank, by what they are.

    Args:
        shares: of the spectrum of the covariance.
        pooled: [B, C] features.
    """
    entropy = float(-(shares * shares.clamp(min=1e-30).log()).sum())
    roots = shares.sqrt() / shares.sqrt().sum().clamp(min=1e-30)
    raw = torch.linalg.svdvals(pooled).square()
    raw = raw / raw.sum().clamp(min=1e-30)

    def rank_of(spectrum: Tensor) -> float:
        return float(torch.exp(-(spectrum * spectrum.clamp(min=1e-30).log()).sum()))

    return {
        "the entropy of the spectrum, without its exponential": entropy,
        "the rank by singular values, and not by their squares": rank_of(roots),
        "the rank of features whose mean is not taken out": rank_of(raw),
        "the participation ratio (1 by the sum of squares)": 1.0
        / max(float(shares.square().sum()), 1e-30),
        "the number of singular values that are not 0": float((shares > 1e-12).sum()),
    }


def _finding(evidence: str, cause: str) -> Finding:
    return Finding.warning(
        "figures of reports",
        evidence,
        cause,
        "compute the figures of a report from the outputs and targets of the positions that it is "
        "about",
        root="monitors",
    )
