"""Checks which loss reaches which part of the network, and whether the losses oppose each other."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from hexsearch.analysis.predictor import in_eval_mode
from hexsearch.doctor.findings import Finding, in_words
from hexsearch.doctor.pipeline import ExaminedPipeline, needed
from hexsearch.doctor.recorded import WatchedStep
from hexsearch.doctor.watching import WatchedTrial

_NORMS = (_BatchNorm, nn.GroupNorm, nn.LayerNorm)
_OUTWEIGHS = 50.0  # ratio of the weights of the losses that is reported
_CHANGE, _READS, _ROWS = 1.5, 1e-4, 32  # factor on a head's weights; change of the other's output
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
    found = list(_across(trial, step)) or list(_outweighed(trial, step))
    yield from found or _conflict(trial, step)


def _across(trial: WatchedTrial, step: WatchedStep) -> Iterator[Finding]:
    """Report a head that reads the other head's output: each should read the trunk alone."""
    if trial.config.network is not None:
        return  # a network of the user's own may be built so
    network, planes = trial.network, trial.execution.show(step.batch.planes[:_ROWS])
    parts, names = network.parts(), ("value", "policy")
    for name, other in (names, names[::-1]):
        kept = {n: p.detach().clone() for n, p in parts[f"{other}_head"].named_parameters()}
        with torch.no_grad(), in_eval_mode(network.modules()):
            before = network(planes)
            try:
                for parameter in parts[f"{other}_head"].parameters():
                    parameter.mul_(_CHANGE)
                after = network(planes)
            finally:
                for n, parameter in parts[f"{other}_head"].named_parameters():
                    parameter.copy_(kept[n])
        output = {"value": "value_raw", "policy": "policy_logits"}[name]
        gap = float((getattr(after, output) - getattr(before, output)).abs().max())
        if not gap > _READS:
            continue
        gradients = step.value_gradient if name == "value" else step.policy_gradient
        taught = f"{other}_head" in gradients and bool(gradients[f"{other}_head"].any())
        yield Finding.error(
            "gradient flow",
            f"with the weights of the {other} head multiplied by {_CHANGE:g} the {name} output "
            f"changes by up to {gap:.2g}"
            + (f"; the gradient of the {name} loss reaches the {other} head" if taught else ""),
            f"the {name} head reads what the {other} head gives (its logits or features are added "
            "or appended to its input)"
            + (f", so the {name} loss trains the {other} head, too" if taught else "")
            + f": the {name} depends on the {other}",
            "give each head the features of the trunk alone",
            root="across heads",
        )
        return


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
