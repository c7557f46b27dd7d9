"""Checks of gradients: what reaches which part, and whether it is what the losses ask for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import torch

from hexsearch.doctor.checks.optimisation.steps import unowned
from hexsearch.doctor.findings import Finding
from hexsearch.doctor.hypotheses.optimisation.gradients import explain_gap, first_gap
from hexsearch.doctor.pipeline import ExaminedPipeline
from hexsearch.doctor.watching import NO_STEP, WatchedStep, WatchedTrial

_CONFLICT = -0.5  # cosine of the two heads' gradients on the trunk


def check_flow(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Which loss reaches which part, and whether the heads pull the trunk apart."""
    trial = pipeline.watched
    assert trial is not None
    if not trial.steps or not trial.steps[0].value_gradient:
        return
    # A last layer that begins at 0 passes no gradient in the first step, and does in the next.
    step = trial.steps[-1]
    if not bool(step.batch.has_move.any()):
        step = trial.steps[0]
    # Finished boards alone have no next move, and so no policy loss.
    policy_counts = bool(step.batch.has_move.any()) and trial.config.policy_head.weight > 0
    reach = {"value": step.value_gradient, "policy": step.policy_gradient}
    for loss_name, part in (("value", "value_head"), ("value", "trunk"), ("policy", "trunk")):
        if (loss_name == "policy" and not policy_counts) or part not in reach[loss_name]:
            continue
        if not bool(reach[loss_name][part].abs().sum() > 0):
            yield _unreached(step, loss_name, part, len(trial.steps))
            return
    yield from _conflict(trial, step)


def _unreached(step: WatchedStep, loss_name: str, part: str, steps: int) -> Finding:
    """A part that a loss does not move at all."""
    head = f"{loss_name}_head"
    if _rests_at_zero(step, head):
        return Finding(
            "gradient flow",
            "error",
            f"after {steps - 1} steps nearly every weight of the {_words(head)} is exactly 0, and "
            f"so is the gradient of the {loss_name} loss on the {_words(part)}",
            f"the {_words(head)} begins at zero in all layers: no gradient passes, and it can "
            "never leave zero",
            "let at most the last layer begin at zero",
            root=f"detached {loss_name}",
        )
    return Finding(
        "gradient flow",
        "error",
        f"the gradient of the {loss_name} loss on the {_words(part)} is exactly 0",
        f"the {loss_name} head is detached from what it should teach"
        if part == "trunk"
        else "the loss does not depend on the head's weights",
        "look for detach(), no_grad() or a rounded output in the head's forward()",
        root=f"detached {loss_name}",
    )


def _conflict(trial: WatchedTrial, step: WatchedStep) -> Iterator[Finding]:
    """Whether the heads pull the trunk apart."""
    if "trunk" not in step.value_gradient or "trunk" not in step.policy_gradient:
        return
    value, policy = step.value_gradient["trunk"], step.policy_gradient["trunk"]
    norms = float(value.norm()), float(policy.norm())
    if min(norms) == 0.0 or trial.config.policy_head.weight == 0:
        return
    cosine = float(torch.nn.functional.cosine_similarity(value, policy, dim=0))
    if cosine < _CONFLICT:
        yield Finding(
            "gradient conflict",
            "warning",
            f"on the trunk the two heads' gradients have a cosine of {cosine:.2f} (norms value "
            f"{norms[0]:.2g}, policy {norms[1]:.2g})",
            "the heads pull the trunk in opposite directions",
            "lower the weight of one, or give the heads more of the trunk to themselves",
        )


def _words(part: str) -> str:
    return part.replace("_", " ")


def _rests_at_zero(step: WatchedStep, head: str) -> bool:
    """Whether all of a head is 0 but the bias of its last layer, which alone can move."""
    weights = step.before.get(head)
    return weights is not None and float((weights == 0).float().mean()) > 0.95


def check_given(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """The gradients that the optimiser is given, against those of the weighted losses."""
    trial = pipeline.watched
    assert trial is not None
    stepped = [step for step in trial.steps if step.given]
    if not stepped:
        if trial.steps:
            yield Finding(
                "gradients",
                "error",
                f"in {len(trial.steps)} steps of training the optimiser was never called",
                NO_STEP.cause,
                NO_STEP.remedy,
                root="no step",
            )
        return
    if unowned(trial):
        return  # what no group holds is never cleared, and adds up
    if trial.config.micro_batch and trial.config.auxiliary.weights:
        return  # auxiliary losses of parts are weighed by what counts in each
    gap = first_gap(stepped, trial.config)
    if gap is None:
        yield from _always_clipped(pipeline)
        return
    limit = trial.config.optimiser.clip
    best = explain_gap(stepped, trial.config, gap)
    later = first_gap(stepped[1:], trial.config) if gap.number == 0 and gap.given < 1e-9 else None
    if later is not None and later.given > 1e-9:
        # Nothing at first, something afterwards: the later steps tell more.
        gap = replace(later, number=later.number + 1)
        best = explain_gap(stepped, trial.config, gap)
    yield Finding(
        "clipping" if best and ("clip" in best.name) else "gradients",
        "error",
        f"step {gap.number + 1}: the losses' gradient has a norm of {gap.before:.3g}, the "
        f"optimiser is given one of norm {gap.given:.3g} (limit {limit:g}) with a cosine of "
        f"{gap.cosine:.3f} to it",
        best.cause
        if best
        else "gradients are changed between backward() and the optimiser, or belong to another "
        "loss; excluded: wrong sign, other weights, accumulated or stale gradients, clipping",
        best.remedy if best else "look for hooks and for what touches .grad before the step",
    )


def _always_clipped(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    trial = pipeline.watched
    assert trial is not None
    limit = trial.config.optimiser.clip
    norms = [
        float(torch.cat(list(step.given.values())).norm()) for step in trial.steps if step.given
    ]
    later = norms[len(norms) // 2 :]
    if later and all(norm > 0.999 * limit for norm in later) and limit < 0.05:
        yield Finding(
            "clipping",
            "warning",
            f"every step is clipped: gradients arrive with a norm of {later[-1]:.3g}, the limit",
            "the limit, not the learning rate, sets the size of the steps",
            "raise optimiser.clip, or lower the weight of the loss that makes them large",
        )
