"""Gradients of single parts of the network, or of single losses, that are scaled or combined."""

from __future__ import annotations

import torch
from torch import Tensor

from hexsearch.config.trial import TrialConfig
from hexsearch.doctor.findings import in_words
from hexsearch.doctor.hypotheses.optimisation.batch_sums import fits_of, joined
from hexsearch.doctor.hypotheses.optimisation.loss_weights import other_auxiliary
from hexsearch.doctor.hypotheses.table import Hypothesis
from hexsearch.doctor.recorded import Flat, WatchedStep

_ABOUT = 0.05  # relative difference of equal factors
PARALLEL = 0.999  # cosine above which two gradients have the same direction


def by_heads(
    step: WatchedStep,
    config: TrialConfig,
    wanted: Flat,
    used: dict[str, Tensor],
    given: Tensor,
) -> Hypothesis | None:
    """Auxiliary losses that have other weights than configured, beside each other.

    Args:
        used: gradients of the losses over all weights, by their names.
        given: the gradient that the optimiser gets.
    """
    if len(step.taught) < 2:
        return None
    owners = [owner for owner in wanted if owner in step.given]
    zero = {owner: wanted[owner] * 0 for owner in owners}
    heads = {name: joined(zero | each, owners) for name, each in step.taught.items()}
    apart = {name: each for name, each in used.items() if name != "auxiliary"} | heads
    coefficients, fits = fits_of(given, list(apart.values()))
    return other_auxiliary(dict(zip(apart, coefficients, strict=True)), config) if fits else None


def by_sources(
    step: WatchedStep, config: TrialConfig, wanted: Flat, owners: list[str]
) -> Hypothesis | None:
    """Gradients of the losses that are combined otherwise on the trunk than on the heads."""
    shares = {}
    for owner in owners:
        both = [step.value_gradient.get(owner), step.policy_gradient.get(owner)]
        used = [each for each in both if each is not None and float(each.norm()) > 0]
        if len(used) < 2 or owner in step.other_gradient:
            if fits_of(step.given[owner], [wanted[owner]])[1]:
                continue
            return None
        coefficients, fits = fits_of(step.given[owner], used)
        if not fits:
            return None
        shares[owner] = coefficients
    if len(shares) != 1 or config.policy_head.weight <= 0 or not config.value_weight:
        return None
    (owner, (value, policy)) = next(iter(shares.items()))
    weighted = (
        config.value_weight * step.value_gradient[owner],
        config.policy_head.weight * step.policy_gradient[owner],
    )
    factors = value / config.value_weight, policy / config.policy_head.weight
    if abs(factors[0] - factors[1]) <= _ABOUT * max(abs(each) for each in factors):
        return None  # the sum is the right one, in another length
    dot = float((weighted[0] * weighted[1]).sum())
    kept = [1 - dot / max(float(each.square().sum()), 1e-12) for each in weighted]
    is_projected = all(abs(a - b) < _ABOUT for a, b in zip(factors, kept, strict=True))
    how = "agree" if dot > 0 else "are in conflict"
    return Hypothesis(
        "combined",
        f"on the {in_words(owner)} the gradients of value and policy loss enter by factors of "
        f"{factors[0]:.3g} and {factors[1]:.3g} of their weights, and by their weights elsewhere"
        + (
            f": each is projected away from the other (gradient surgery), here where they {how}"
            if is_projected
            else " (they are combined in another way there)"
        ),
        "send back the weighted sum of the losses; project gradients only where they are in "
        "conflict",
    )


def by_part(
    step: WatchedStep, wanted: Flat, owners: list[str], parallel: float = PARALLEL
) -> Hypothesis | None:
    """The gradients of single parts have another length or sign.

    Args:
        parallel: cosine that the gradients of each part must have with the right ones.
    """
    factors = []
    for owner in owners:
        given, expected = step.given[owner], wanted[owner]
        if float(expected.norm()) == 0:
            continue
        cosine = float(torch.nn.functional.cosine_similarity(given, expected, dim=0))
        ratio = float(given.norm() / expected.norm())
        if abs(cosine) < parallel and float(given.norm()) > 0:
            return None
        factors.append(f"{in_words(owner)} {ratio * (1 if cosine >= 0 else -1):.3g}")
    return Hypothesis(
        "by part",
        f"gradients of single parts are scaled or removed, by these factors: {', '.join(factors)}",
        "do not change gradients after backward(); for another step of the value head set "
        "optimiser.value_lr_factor",
    )
