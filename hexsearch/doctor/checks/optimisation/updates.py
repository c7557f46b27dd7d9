"""Checks the optimiser's steps: each one is computed again from its gradients."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from hexsearch.doctor.checks.optimisation.muon import head_findings, muon_findings
from hexsearch.doctor.findings import Finding, in_words
from hexsearch.doctor.hypotheses.general.fits import short_sum
from hexsearch.doctor.hypotheses.optimisation.averages import OTHER_SHARES, average_after
from hexsearch.doctor.hypotheses.optimisation.updates import (
    SECOND_BETA,
    explain_steps,
    gap_of,
    own_rule,
    recorded_steps,
)
from hexsearch.doctor.hypotheses.table import Hypothesis
from hexsearch.doctor.recorded import WatchedStep
from hexsearch.doctor.watching import WatchedTrial

_UNKNOWN = Hypothesis(
    "unknown",
    "the optimiser's steps are not those of its formula; excluded: lost or exchanged moments, "
    "another decay, another momentum, one constant factor",
    "look for code that wraps the optimiser or changes its state",
)
_LAYERS = (nn.Conv2d, nn.Linear)
_EXPLAINS = 0.99  # share of the variance of the evaluated weights that a sum must explain
_SAME = 1e-3  # the same of equal weights
_LATE = 0.05  # share of the difference that an average of other weights leaves
_DRAWN = 32  # different weights of a part that are not as they were set
_OFF = 0.03  # relative difference of a step and its formula that is still accepted


def update_findings(trial: WatchedTrial, stepped: list[WatchedStep]) -> Iterator[Finding]:
    """Compare the steps with the formula of the configured optimiser."""
    if trial.config.optimiser.name == "muon":
        found = list(muon_findings(trial)) or list(head_findings(trial, stepped))
        yield from found or list(_decay(trial)) or _average(trial, stepped)
        return
    rule, steps = own_rule(trial.config), recorded_steps(trial, stepped)
    if rule is None or steps is None:
        return
    gap = gap_of(rule, steps)
    if gap > _OFF:
        best = explain_steps(rule, steps) or _UNKNOWN
        yield Finding(
            "steps",
            "warning" if best.cause.startswith(f"{SECOND_BETA} 0.9") else "error",
            f"{len(stepped)} steps differ from those that the formula of "
            f"{trial.config.optimiser.name} gives for the same gradients and rates by up to "
            f"{gap:.0%} of their length",
            best.cause,
            best.remedy,
            root="updates",
        )
        return
    yield from list(_decay(trial)) or _average(trial, stepped)


def _average(trial: WatchedTrial, stepped: list[WatchedStep]) -> Iterator[Finding]:
    """Compare the averaged weights with the average of the weights after each step."""
    if not trial.config.optimiser.ema_half_life:
        return
    parts = trial.answering.parts()
    for owner, wanted in average_after(trial, stepped).items():
        own = torch.cat([p.detach().reshape(-1) for p in parts[owner].parameters()])
        moved = float((stepped[-1].after[owner] - stepped[0].before[owner]).norm())
        gap = float((own - wanted).norm())
        if own.shape == wanted.shape and gap > 0.1 * moved + 1e-6 * float(wanted.norm()):
            yield Finding.error(
                "averaged weights",
                f"after {len(stepped)} steps the averaged weights of the {in_words(owner)} are off "
                f"by {gap / max(moved, 1e-12):.0%} of the distance that training has moved the "
                "weights",
                _rounded(own, wanted)
                or _other_average(trial, stepped, owner, own, gap)
                or _what_is_evaluated(
                    own, wanted, stepped[-1].after[owner], stepped[0].before[owner]
                ),
                "update the average after each step, with the half-life optimiser.ema_half_life",
            )
            return


def _rounded(own: Tensor, wanted: Tensor) -> str:
    """In words, the number format that averaged weights are kept in; empty if they are not."""
    if len(torch.unique(own)) < _DRAWN:  # 0 and 1, such as the first weights of norms, fit any
        return ""
    for dtype in (torch.bfloat16, torch.float16):
        if torch.equal(own, own.to(dtype).float()) and not torch.equal(
            wanted, wanted.to(dtype).float()
        ):
            return (
                f"the averaged weights (EMA) are kept in {str(dtype).removeprefix('torch.')}: what "
                "a step adds is smaller than their rounding and is lost, so the average stands "
                "still or lags"
            )
    return ""


def _other_average(
    trial: WatchedTrial, stepped: list[WatchedStep], owner: str, own: Tensor, gap: float
) -> str:
    """In words, another average that the weights are; empty if none is found.

    Args:
        gap: distance of the weights from the right average.
    """
    late = average_after(trial, stepped, late=True)
    if float((own - late[owner]).norm()) < _LATE * gap:
        return (
            "the average of weights (EMA) is updated before the optimiser's step and not after it, "
            "so it is one step late"
        )
    for weights in (stepped[-1].after[owner], stepped[0].before[owner]):
        if float((own - weights).norm()) < _SAME * gap:
            return ""  # the trained weights themselves, or the initial ones
    left = {
        words: float((own - average_after(trial, stepped, share)[owner]).norm())
        for words, share in OTHER_SHARES.items()
    }
    best = min(left, key=lambda words: left[words])
    if left[best] > _LATE * gap:
        return ""
    return f"the average of weights (EMA) that evaluation uses is not the configured one: {best}"


def _what_is_evaluated(own: Tensor, wanted: Tensor, trained: Tensor, initial: Tensor) -> str:
    """In words, what the weights are that are evaluated in place of their average."""
    if float((own - initial).norm()) < 0.02 * float((trained - initial).norm()):
        return (
            "the average of weights (EMA) that evaluation uses is not the configured one: in this "
            "part it is never updated, and evaluation uses the initial weights"
        )
    fit = short_sum(
        (own - initial).numpy(),
        {
            "the trained weights, without an average": (trained - initial).numpy(),
            "the configured average": (wanted - initial).numpy(),
        },
    )
    if fit.share > _EXPLAINS and fit.terms:
        return f"the weights that evaluation uses are not the configured average (EMA): {fit}"
    return (
        "the average of weights (EMA) that evaluation uses is not the configured one: it has "
        "another half-life, leaves a part out, or averages other weights"
    )


def _decay(trial: WatchedTrial) -> Iterator[Finding]:
    """Compare the weight decay of each parameter group with the configuration."""
    config = trial.config.optimiser
    layers = {n: m for n, m in trial.network.named_modules() if isinstance(m, _LAYERS)}
    names = {id(m.weight): name for name, m in layers.items()}
    for group in trial.optimiser.param_groups:
        own = config.weight_decay
        own *= config.value_decay_factor if group.get("owner") == "value_head" else 1.0
        flat = all(parameter.ndim < 2 for parameter in group["params"])
        decay = float(group["weight_decay"])
        spared = [names[id(p)] for p in group["params"] if id(p) in names] if not decay else []
        if own and spared:
            yield Finding.error(
                "parameter groups",
                f"{len(spared)} of {len(names)} weights of convolutions and linear layers, such as "
                f"{spared[0]}, have no weight decay; {own:g} is configured",
                f"the weight decay leaves out {len(spared)} weights of layers that should have it "
                "(matrices that are taken for biases and norms)",
                "build the groups as configured: weight decay for matrices and kernels",
                root="parameter groups",
            )
            return
        if decay == 0.0 or (not flat and decay == own):
            continue
        yield Finding.error(
            "parameter groups",
            f"the weight decay of {len(group['params'])} weights of the "
            f"{in_words(str(group.get('owner', 'first group')))} is {decay:g}; "
            f"{0.0 if flat else own:g} is configured",
            "weight decay is applied to biases and norms as well"
            if flat
            else f"the weight decay is {decay:g}, not the configured {own:g}",
            "build the groups as configured: weight decay for matrices and kernels only",
            root="parameter groups",
        )
        return
