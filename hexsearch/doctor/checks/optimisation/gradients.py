"""Checks of gradients: which loss reaches which part, and what the optimiser gets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from hexsearch.doctor.checks.optimisation.steps import unowned
from hexsearch.doctor.findings import Finding, in_words
from hexsearch.doctor.hypotheses.optimisation.gradients import (
    expected_gradient,
    explain_gap,
    first_gap,
)
from hexsearch.doctor.hypotheses.table import Hypothesis
from hexsearch.doctor.own_training.gradients import how_changed
from hexsearch.doctor.pipeline import ExaminedPipeline, needed
from hexsearch.doctor.recorded import Flat, WatchedStep
from hexsearch.doctor.watching import WatchedTrial

_LEAVE = "look for hooks and other code that changes .grad before the step"
_UNKNOWN = Hypothesis(
    "unknown",
    "gradients are changed between backward() and the optimiser, or belong to another loss; "
    "excluded: a wrong sign, other weights, accumulated or stale gradients, clipping",
    _LEAVE,
)
_NORMS = (_BatchNorm, nn.GroupNorm, nn.LayerNorm)
_OUTWEIGHS = 50.0  # ratio of the weights of the losses that is reported
_EVEN = 0.8  # ratio of the sizes of noise in two parts
_CONFLICT = -0.5  # a lower cosine of the heads' gradients on the trunk is reported


def check_flow(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Each loss must reach its parts; the gradients of the heads should not oppose each other."""
    trial = needed(pipeline.watched)
    if not trial.steps or not trial.steps[0].value_gradient:
        return
    # A last layer whose initial weights are 0 passes gradients from the second step on.
    differentiated = [each for each in trial.steps if each.value_gradient]
    step = differentiated[-1]
    if not bool(step.batch.has_move.any()):
        step = trial.steps[0]
    # A batch of finished boards has no next move, and so no policy loss.
    policy_counts = bool(step.batch.has_move.any()) and trial.config.policy_head.weight > 0
    reach = {"value": step.value_gradient, "policy": step.policy_gradient}
    for loss_name, part in (("value", "value_head"), ("value", "trunk"), ("policy", "trunk")):
        if (loss_name == "policy" and not policy_counts) or part not in reach[loss_name]:
            continue
        if not bool(reach[loss_name][part].abs().sum() > 0):
            yield _unreached(trial, step, loss_name, part, len(differentiated))
            return
    yield from list(_outweighed(trial, step)) or _conflict(trial, step)


def _unreached(
    trial: WatchedTrial, step: WatchedStep, loss_name: str, part: str, steps: int
) -> Finding:
    """The finding for a part that no gradient of a loss reaches."""
    head = f"{loss_name}_head"
    if _is_zero(step, head):
        return Finding.error(
            "gradient flow",
            f"after {steps - 1} steps nearly every weight of the {in_words(head)} is exactly 0, "
            f"and so is the gradient of the {loss_name} loss on the {in_words(part)}",
            f"the {in_words(head)} begins at zero in all layers: no gradient passes, and its "
            "weights stay 0",
            "set the initial weights of at most the last layer to 0",
            root=f"detached {loss_name}",
        )
    if loss_name in step.without_graph:
        return Finding.error(
            "gradient flow",
            f"the {loss_name} loss of each step has no graph of operations behind it; its gradient "
            f"on the {in_words(part)} and on every other part is exactly 0",
            f"the {loss_name} loss is detached from the network (detach(), item(), a new tensor "
            "made of its numbers, or no_grad()): it is shown, and trains nothing",
            "compute the loss from the outputs themselves, up to the call of backward()",
            root=f"detached {loss_name}",
        )
    if part == "trunk" and (zero := _norms_of_zero(trial)):
        return Finding.error(
            "gradient flow",
            f"the gradient of the {loss_name} loss on the trunk is exactly 0; all scales of "
            f"{len(zero)} norms, such as {zero[0]}, are 0",
            "the norms' scales are 0 (an initialisation of all norms, not only of the last one of "
            "each block): the trunk gives the same features for all positions, and no gradient "
            "passes",
            "begin with scales of 1; at most the last norm of each residual branch may begin at 0",
            root=f"detached {loss_name}",
        )
    return Finding.error(
        "gradient flow",
        f"the gradient of the {loss_name} loss on the {in_words(part)} is exactly 0",
        f"the {loss_name} head is detached from the trunk that it should train"
        if part == "trunk"
        else "the loss does not depend on the head's weights",
        "look for detach(), no_grad() or a rounded output in the head's forward()",
        root=f"detached {loss_name}",
    )


def _norms_of_zero(trial: WatchedTrial) -> list[str]:
    """Names of the trunk's norms whose scales are all 0."""
    return [
        name
        for name, module in trial.network.trunk.named_modules()
        if isinstance(module, _NORMS)
        and isinstance(module.weight, torch.Tensor)
        and not bool(module.weight.any())
    ]


def _outweighed(trial: WatchedTrial, step: WatchedStep) -> Iterator[Finding]:
    """Report a policy loss that weighs far more than the value loss."""
    weights = trial.config.value_weight, trial.config.policy_head.weight
    value, policy = step.value_gradient.get("trunk"), step.policy_gradient.get("trunk")
    if value is None or policy is None or not 0.0 < _OUTWEIGHS * weights[0] <= weights[1]:
        return
    yield Finding.warning(
        "gradient flow",
        f"policy_head.weight is {weights[1]:g} and value_weight {weights[0]:g}; the gradients of "
        f"the losses on the trunk have norms of {float(policy.norm()):.2g} (policy) and "
        f"{float(value.norm()):.2g} (value)",
        f"the policy loss weighs {weights[1] / weights[0]:,.0f} times as much as the value loss: "
        "the trunk learns the policy alone, and a limit on the gradient of both leaves the value "
        "nothing",
        "set policy_head.weight and value_weight to numbers near 1",
        root="clipping",
    )


def _conflict(trial: WatchedTrial, step: WatchedStep) -> Iterator[Finding]:
    """Report heads whose gradients on the trunk point in opposite directions."""
    if "trunk" not in step.value_gradient or "trunk" not in step.policy_gradient:
        return
    value, policy = step.value_gradient["trunk"], step.policy_gradient["trunk"]
    norms = float(value.norm()), float(policy.norm())
    if min(norms) == 0.0 or trial.config.policy_head.weight == 0:
        return
    cosine = float(torch.nn.functional.cosine_similarity(value, policy, dim=0))
    if cosine < _CONFLICT:
        yield Finding.warning(
            "gradient conflict",
            f"the gradients of value and policy loss on the trunk have a cosine of {cosine:.2f} "
            f"(norms: value {norms[0]:.2g}, policy {norms[1]:.2g})",
            "the two heads change the trunk in opposite directions",
            "lower trial.value_weight or policy_head.weight, or give the heads layers of their own",
        )


def _is_zero(step: WatchedStep, head: str) -> bool:
    """Whether nearly all weights of a head are 0: only the bias of its last layer can change."""
    weights = step.before.get(head)
    return weights is not None and float((weights == 0).float().mean()) > 0.95


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
    best = _left_out(stepped, trial) or best or _changed(stepped[gap.number], trial) or _UNKNOWN
    yield Finding.error(
        "clipping" if "clip" in best.name else "gradients",
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


def _changed(step: WatchedStep, trial: WatchedTrial) -> Hypothesis | None:
    """What is done to each number of the gradients of a step, or what is added to them."""
    wanted = {p: each for p, each in expected_gradient(step, trial.config).items() if each.any()}
    if not wanted or not all(part in step.given for part in wanted):
        return None
    how = how_changed(step.given, wanted, {}, step.before)
    how = how or _by_kind(step.given, wanted, _matrices(trial)) or _noise(step.given, wanted)
    cause = f"gradients are changed before the step: {how}"
    return Hypothesis("changed", cause, _LEAVE) if how else None


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
    """For each part, 1 for the weights of matrices and kernels, 0 for norms and biases."""
    return {
        part: torch.cat([torch.full((p.numel(),), float(p.ndim > 1)) for p in module.parameters()])
        for part, module in trial.network.parts().items()
        if any(True for _ in module.parameters())
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
