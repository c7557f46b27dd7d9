"""Explains why the optimiser gets other gradients than those of the configured loss."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from hexsearch.config.trial import TrialConfig
from hexsearch.doctor.hypotheses.optimisation.batch_sums import (
    CLOSE,
    by_count,
    clipped_parts,
    fits_of,
    joined,
)
from hexsearch.doctor.hypotheses.optimisation.loss_weights import (
    other_weights,
    summed_parts,
)
from hexsearch.doctor.hypotheses.optimisation.parts import PARALLEL, by_heads, by_part, by_sources
from hexsearch.doctor.hypotheses.table import Hypothesis
from hexsearch.doctor.recorded import Flat, WatchedStep

_SAME = 0.999_999  # the same where the gradients of several losses might explain it as well


@dataclass(frozen=True)
class GradientGap:
    """A step in which the optimiser gets another gradient than expected.

    Attributes:
        number: index of the step.
        cosine: cosine of the given and the expected gradient, over all weights.
        ratio: norm of the given gradient, divided by that of the expected one before clipping.
        before: norm of the expected gradient before clipping.
        given: norm of the given gradient.
    """

    number: int
    cosine: float
    ratio: float
    before: float
    given: float


def expected_gradient(step: WatchedStep, config: TrialConfig) -> Flat:
    """Gradient of the configured loss before clipping, for each part of the network."""
    expected: Flat = {}
    for owner, value in step.value_gradient.items():
        total = config.value_weight * value
        total = total + config.policy_head.weight * step.policy_gradient.get(owner, 0.0)
        expected[owner] = total + step.other_gradient.get(owner, 0.0)
    return expected


def first_gap(steps: Sequence[WatchedStep], config: TrialConfig) -> GradientGap | None:
    """The first step in which the optimiser does not get the clipped gradient, if there is one."""
    for number, step in enumerate(steps):
        wanted = expected_gradient(step, config)
        owners = [owner for owner in wanted if owner in step.given]
        if not owners:
            continue
        expected, given = joined(wanted, owners), joined(step.given, owners)
        before = float(expected.norm())
        clipped = expected * min(1.0, config.optimiser.clip / max(before, 1e-12))
        gap = float((given - clipped).norm()) / max(float(clipped.norm()), 1e-12)
        if gap > CLOSE and max(before, float(given.norm())) > 1e-9:
            cosine = float(torch.nn.functional.cosine_similarity(given, expected, dim=0))
            ratio = float(given.norm()) / max(before, 1e-12)
            return GradientGap(number, cosine, ratio, before, float(given.norm()))
    return None


def explain_gap(
    steps: Sequence[WatchedStep], config: TrialConfig, gap: GradientGap, matrices: Flat
) -> Hypothesis | None:
    """The first explanation of a wrong gradient; None if there is none.

    Gradients that could be part of it are fitted to it by least squares.

    Args:
        matrices: for each part, 1 for the weights of matrices and kernels, 0 for the others.
    """
    step, limit = steps[gap.number], config.optimiser.clip
    if gap.given < 1e-9 and step.sent:
        return Hypothesis(
            "cleared",
            "gradients are cleared (or set to 0) between backward() and the optimiser's step, so "
            "no step moves a weight",
            "call zero_grad() before backward() or after step(), not between them",
        )
    if gap.given < 1e-9:
        return Hypothesis(
            "none", "no gradient reaches the optimiser", "call backward() on the loss before step()"
        )
    if gap.cosine > PARALLEL:
        return summed_parts(gap.ratio, config) or _other_length(gap, limit)
    wanted = expected_gradient(step, config)
    owners = [owner for owner in wanted if owner in step.given]
    given = joined(step.given, owners)
    for number in (len(step.parts) - 1, 0) if len(step.parts) > 1 else ():
        if fits_of(given, [joined(step.parts[number], owners)])[1]:
            which = "last" if number else "first"
            return Hypothesis(
                "one part",
                f"only the {which} micro-batch counts: the gradients of the others are cleared or "
                "never computed",
                "clear gradients once before the first micro-batch, and step after the last",
            )
    if len(step.parts) > 1 and (clipped := clipped_parts(step, config, owners)) is not None:
        return clipped
    taught = {o: step.other_gradient.get(o, wanted[o] * 0) for o in owners}
    kinds = {"value": step.value_gradient, "policy": step.policy_gradient, "auxiliary": taught}
    sources = {name: joined(each, owners) for name, each in kinds.items()}
    if gap.number:
        last = steps[gap.number - 1]
        earlier = joined(expected_gradient(last, config), owners)
        late = _of_earlier(given, joined(wanted, owners), earlier, joined(last.given, owners))
        if late is not None:
            return late
    used = {name: vector for name, vector in sources.items() if float(vector.norm()) > 0}
    coefficients, fits = fits_of(given, list(used.values()))
    if not fits:
        told = by_heads(step, config, wanted, used, given)
        told = told or by_sources(step, config, wanted, owners)
        return (
            told
            or by_part(step, wanted, owners)
            or _with_others(
                joined(step.before, owners), joined(matrices, owners), given, list(used.values())
            )
        )
    shares = dict(zip(used, coefficients, strict=True))
    return (
        by_count(steps, config, owners)
        or by_part(step, wanted, owners, _SAME)
        or other_weights(shares, config)
    )


def _of_earlier(
    given: Tensor, wanted: Tensor, earlier: Tensor, uncleared: Tensor
) -> Hypothesis | None:
    """Gradients of the batch before, in place of those of this batch or added to them."""
    if fits_of(given, [earlier])[1]:
        return Hypothesis(
            "stale",
            "the optimiser gets the gradient of the batch before: gradients are one step late "
            "(stale)",
            "for each batch call zero_grad(), backward(), the clipping and step() in this order",
        )
    coefficients, fits = fits_of(given, [wanted, uncleared])
    if fits and abs(coefficients[1]) > 0.05:
        return Hypothesis(
            "accumulated",
            "gradients of earlier batches are added to those of this one: they are never cleared",
            "call optimiser.zero_grad() before each backward()",
        )
    return None


def _with_others(
    weights: Tensor, matrices: Tensor, given: Tensor, used: list[Tensor]
) -> Hypothesis | None:
    """The gradients of the losses, and a multiple of something else that is added to them."""
    for name, other in (
        ("all weights", weights),
        ("the weights of matrices and kernels", weights * matrices),
        ("the signs of the weights", weights.sign()),
        ("the signs of the weights of matrices and kernels", weights.sign() * matrices),
    ):
        coefficients, fits = fits_of(given, [*used, other])
        if fits:
            return Hypothesis(
                "added",
                f"{coefficients[-1]:.3g} times {name} is added to the gradients of the losses (a "
                "penalty on the weights: decay in the gradient, L2 or L1, which is not decoupled)",
                "give the optimiser the gradients of the losses alone, and decay weights by "
                "optimiser.weight_decay",
            )
    return None


def _other_length(gap: GradientGap, limit: float) -> Hypothesis:
    if gap.before > limit and (gap.given > 1.05 * limit or abs(gap.ratio - 1) < 1e-3):
        return Hypothesis(
            "unclipped",
            "the clipping has no effect on the gradients that the optimiser uses (no clipping, a "
            "copy that is clipped, or a limit for each tensor by itself, which none of them "
            "reaches)",
            "clip all gradients by their joint norm, after backward and before the step",
        )
    if gap.given < 0.5 * min(gap.before, limit):
        return Hypothesis(
            "clipped twice",
            "gradients are clipped in scaled units (before the loss scale is removed), or clipped "
            f"twice, or the loss is divided twice: they are {gap.ratio:.3g} times as large as they "
            "should be",
            "unscale the gradients first, then clip them once; average over the batch once",
        )
    if gap.before < 0.98 * limit and abs(gap.given - limit) < 0.02 * limit:
        return Hypothesis(
            "brought to the limit",
            "gradients are scaled up to the clipping limit: the factor limit / norm is not held "
            "at 1 or below, so every step has the same length (normalised gradients); or the loss "
            "is multiplied by a large number that is never taken out (a loss scale)",
            "multiply by min(1, limit / norm): clipping must never lengthen a gradient",
        )
    return Hypothesis(
        "scaled",
        f"the loss that is minimised is {gap.ratio:.3g} times the configured one",
        "weight the losses by trial.value_weight and policy_head.weight only; average them once",
    )
