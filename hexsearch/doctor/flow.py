"""Checks of gradients: which loss reaches which part of the network."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from hexsearch.doctor.findings import Finding
from hexsearch.doctor.pipeline import ExaminedPipeline
from hexsearch.training.trial import Trial

_CONFLICT = -0.5  # cosine of the two heads' gradients on the trunk


def head_losses(trial: Trial) -> dict[str, Tensor]:
    """Value and policy loss of the batch that comes next, with their graph."""
    trial.network.train()
    with torch.random.fork_rng(devices=[]):  # dropout draws from the caller's generator
        batch = trial.next_batch()
        losses = trial.losses(batch)
    return {"value": (losses.value * batch.weight).mean(), "policy": losses.policy}


def check_flow(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Which loss reaches which part, and whether the heads pull the trunk apart."""
    trial = pipeline.new_trial(1)
    assert trial is not None and pipeline.trial_config is not None
    losses = head_losses(trial)
    reach: dict[str, dict[str, Tensor]] = {}
    for name, loss in losses.items():
        reach[name] = {
            part: _flat_gradient(loss, module) for part, module in trial.network.parts().items()
        }
    # Finished boards alone have no next move, and so no policy loss.
    has_moves = bool(trial.next_batch().has_move.any())
    policy_counts = has_moves and pipeline.trial_config.policy_head.weight > 0
    wanted = [("value", "value_head"), ("value", "trunk"), ("policy", "trunk")]
    for loss_name, part in wanted:
        if loss_name == "policy" and not policy_counts:
            continue
        if not bool(reach[loss_name][part].abs().sum() > 0):
            yield Finding(
                "gradient flow",
                "error",
                f"the gradient of the {loss_name} loss on the {part.replace('_', ' ')} is exactly "
                "0",
                f"the {loss_name} head is detached from what it should teach"
                if part == "trunk"
                else "the loss does not depend on the head's weights",
                "look for detach(), no_grad() or a rounded output in the head's forward()",
            )
            return
    value, policy = reach["value"]["trunk"], reach["policy"]["trunk"]
    norms = float(value.norm()), float(policy.norm())
    if min(norms) == 0.0:
        return
    cosine = float(functional.cosine_similarity(value, policy, dim=0))
    if cosine < _CONFLICT:
        yield Finding(
            "gradient conflict",
            "warning",
            f"on the trunk the two heads' gradients have a cosine of {cosine:.2f} (norms value "
            f"{norms[0]:.2g}, policy {norms[1]:.2g})",
            "the heads pull the trunk in opposite directions",
            "lower the weight of one, or give the heads more of the trunk to themselves",
        )


def check_policy_mask(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Positions without a next move must not count in the policy loss."""
    trial = pipeline.new_trial(1)
    assert trial is not None
    batch = trial.next_batch(64)
    none = replace(
        batch,
        has_move=torch.zeros_like(batch.has_move),
        policy_target=torch.zeros_like(batch.policy_target),
    )
    with torch.no_grad():
        policy = float(trial.losses(none).policy)
    if policy:
        yield Finding(
            "finished boards",
            "error",
            f"the policy loss of {len(batch)} positions without a next move is {policy:.3f}, not 0",
            "an empty policy target is read as cell 0: the policy head learns to play a1 on "
            "finished boards",
            "leave positions without a next move out of the policy loss",
        )


def _flat_gradient(loss: Tensor, module: nn.Module) -> Tensor:
    parameters = [p for p in module.parameters() if p.requires_grad]
    if not loss.requires_grad or not parameters:
        return torch.zeros(1)
    found = torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True)
    return torch.cat(
        [
            (torch.zeros_like(p) if g is None else g).reshape(-1)
            for p, g in zip(parameters, found, strict=True)
        ]
    )
