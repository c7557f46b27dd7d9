"""Checks of the gradients that the optimiser gets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import torch

from hexsearch.doctor.checks.optimisation.steps import unowned
from hexsearch.doctor.findings import Finding
from hexsearch.doctor.hypotheses.optimisation.gradients import (
    expected_gradient,
    explain_gap,
    first_gap,
)
from hexsearch.doctor.hypotheses.optimisation.row_weights import other_row_weights
from hexsearch.doctor.hypotheses.table import Hypothesis
from hexsearch.doctor.own_training.gradients import how_changed, is_sound
from hexsearch.doctor.pipeline import ExaminedPipeline, needed
from hexsearch.doctor.recorded import Flat, WatchedStep, by_tensor
from hexsearch.doctor.watching import WatchedTrial

_LEAVE = "look for hooks and other code that changes .grad before the step"
_UNKNOWN = Hypothesis(
    "unknown",
    "gradients are changed between backward() and the optimiser, or belong to another loss; "
    "excluded: a wrong sign, other weights, accumulated or stale gradients, clipping",
    _LEAVE,
)
_EVEN = 0.8  # ratio of the sizes of noise in two parts


def check_given(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Compare the gradients that the optimiser gets with those of the weighted losses."""
    trial = needed(pipeline.watched)
    stepped = [step for step in trial.steps if step.given]
    if not stepped:
        if trial.steps:
            yield Finding.error(
                "gradients",
                f"in {len(trial.steps)} steps of training the optimiser was never called",
                "the optimiser takes no step: training runs through its batches and moves nothing",
                "call optimiser.step() after backward()",
                root="no step",
            )
        return
    if unowned(trial):
        return  # gradients of weights in no group are never cleared, and add up
    if trial.config.micro_batch and trial.config.auxiliary.weights:
        return  # micro-batches weight auxiliary losses by the entries that count in each
    stepped = [step for step in stepped if step.value_gradient]
    gap = first_gap(stepped, trial.config)
    if gap is None:
        yield from _always_clipped(pipeline)
        return
    limit, matrices = trial.config.optimiser.clip, _matrices(trial)
    best = explain_gap(stepped, trial.config, gap, matrices)
    later = first_gap(stepped[1:], trial.config) if gap.number == 0 and gap.given < 1e-9 else None
    if later is not None and later.given > 1e-9:
        # No gradient in the first step, but some later: the later steps say more.
        gap = replace(later, number=later.number + 1)
        best = explain_gap(stepped, trial.config, gap, matrices)
    best = _left_out(stepped, trial) or best
    best = best or other_row_weights(stepped[gap.number], trial)
    best = best or _changed(stepped[gap.number], trial, matrices) or _UNKNOWN
    yield Finding(
        "clipping" if "clip" in best.name else "gradients",
        "warning" if best.name == "sound" else "error",
        f"step {gap.number + 1}: the gradient of the losses has norm {gap.before:.3g}; the "
        f"optimiser gets one of norm {gap.given:.3g} (clipping limit {limit:g}), and the cosine "
        f"of the two is {gap.cosine:.3f}",
        best.cause,
        best.remedy,
    )


def _left_out(stepped: list[WatchedStep], trial: WatchedTrial) -> Hypothesis | None:
    """Steps whose gradient is replaced by 0, if the gradients of all others are right."""
    sizes: dict[bool, list[float]] = {True: [], False: []}
    others = []
    for step in stepped:
        wanted = expected_gradient(step, trial.config)
        is_zero = float(torch.cat(list(step.given.values())).norm()) < 1e-9
        sizes[is_zero].append(float(torch.cat(list(wanted.values())).norm()))
        others += [] if is_zero else [step]
    zero, kept = sizes[True], sizes[False]
    if not zero or not kept or min(zero) < 1e-9 or first_gap(others, trial.config) is not None:
        return None
    which = ""
    if min(zero) > max(kept):
        which = f", those whose gradient has a norm above {max(kept):.3g} to {min(zero):.3g}"
    elif max(zero) < min(kept):
        which = f", those whose gradient has a norm below {min(kept):.3g} to {max(zero):.3g}"
    return Hypothesis(
        "left out",
        f"the gradient is replaced by 0 in {len(zero)} of {len(stepped)} steps{which}: a guard "
        "leaves these batches out (it skips them, where large gradients should be clipped)",
        "let every batch count; to limit large gradients set optimiser.clip",
    )


def _changed(step: WatchedStep, trial: WatchedTrial, matrices: Flat) -> Hypothesis | None:
    """What is done to each number of the gradients of a step, or what is added to them."""
    wanted = {p: each for p, each in expected_gradient(step, trial.config).items() if each.any()}
    if not wanted or not all(part in step.given for part in wanted):
        return None
    parts = trial.network.parts()
    given, own, weights = (by_tensor(of, parts) for of in (step.given, wanted, step.before))
    how = _by_kind(step.given, wanted, matrices) or how_changed(given, own, {}, weights)
    how = how or _penalty(step, wanted, matrices) or _noise(step.given, wanted)
    cause = f"gradients are changed before the step: {how}"
    return Hypothesis("sound" if is_sound(how) else "changed", cause, _LEAVE) if how else None


def _by_kind(given: Flat, wanted: Flat, matrices: Flat) -> str:
    """In words, factors of matrices and of norms and biases; empty if there are none."""
    some, others, kinds = (
        torch.cat([of[part] for part in wanted]) for of in (given, wanted, matrices)
    )
    factors = {}
    for kind, name in ((1.0, "matrices and kernels"), (0.0, "norms and biases")):
        rows = kinds == kind
        size = float(others[rows].square().sum())
        factor = float((some[rows] * others[rows]).sum()) / max(size, 1e-12)
        if float((some - factor * others)[rows].norm()) > 0.01 * float(some[rows].norm()):
            return ""
        factors[name] = factor
    return " and ".join(f"those of {name} are multiplied by {f:.3g}" for name, f in factors.items())


def _penalty(step: WatchedStep, wanted: Flat, matrices: Flat) -> str:
    """In words, a multiple of some weights that is added to their gradients; empty if none is."""
    some, others, weights, kinds = (
        torch.cat([of[part] for part in wanted]).double()
        for of in (step.given, wanted, step.before, matrices)
    )
    found = {}
    for kind, name in ((1.0, "matrices and kernels"), (0.0, "norms and biases")):
        rows = kinds == kind
        columns = torch.stack([others[rows], weights[rows]], dim=1)
        solved = torch.linalg.lstsq(columns, some[rows][:, None], driver="gelsd").solution
        rest = float((columns @ solved - some[rows][:, None]).norm())
        if rest > 0.01 * float(some[rows].norm()) or float(solved[0]) <= 0:
            return ""
        share = float(solved[1] / solved[0])
        if abs(share) * float(weights[rows].norm()) > 0.01 * float(others[rows].norm()):
            found[name] = share
    told = " and ".join(f"{share:.3g} times the {name}" for name, share in found.items())
    return f"{told} is added to them (an L2 penalty in the loss, or a weight decay)" if told else ""


def _noise(given: Flat, wanted: Flat) -> str:
    """In words, random numbers of one size that are added to all gradients; empty if none are."""
    some, others = (torch.cat([of[part] for part in wanted]) for of in (given, wanted))
    factor = float((some * others).sum()) / max(float(others.square().sum()), 1e-12)
    sizes = [float((given[p] - factor * wanted[p]).square().mean().sqrt()) for p in wanted]
    if min(sizes) < _EVEN * max(sizes) or len(sizes) < 2:
        return ""
    return (
        f"random numbers (noise) of about {sum(sizes) / len(sizes):.2g} are added to each, "
        "whatever its size"
    )


def _matrices(trial: WatchedTrial) -> Flat:
    """For each part, 1 for the trained weights of matrices and kernels, 0 for norms and biases."""
    trained = {
        part: [p for p in module.parameters() if p.requires_grad]
        for part, module in trial.network.parts().items()
    }
    return {
        part: torch.cat([torch.full((p.numel(),), float(p.ndim > 1)) for p in weights])
        for part, weights in trained.items()
        if weights
    }


def _always_clipped(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    trial = needed(pipeline.watched)
    limit = trial.config.optimiser.clip
    given = [step.given for step in trial.steps if step.given]
    norms = [float(torch.cat(list(gradients.values())).norm()) for gradients in given]
    later = norms[len(norms) // 2 :]
    if later and all(norm > 0.999 * limit for norm in later) and limit < 0.05:
        yield Finding.warning(
            "clipping",
            f"every step is clipped: gradients have norm {later[-1]:.3g}, which is the limit",
            "the clipping limit, not the learning rate, sets the size of the steps",
            "raise optimiser.clip",
        )
