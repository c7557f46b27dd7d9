"""Checks gradients by finite differences of the losses, in double precision."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor, nn

from hexsearch.doctor.checks.data.auxiliary import own_loss
from hexsearch.doctor.findings import Finding, in_words
from hexsearch.doctor.hypotheses.optimisation.adjoints import (
    OFF,
    Gap,
    first_wrong_module,
    gap,
    in_double,
)
from hexsearch.doctor.pipeline import ExaminedPipeline, needed
from hexsearch.doctor.recorded import WatchedStep
from hexsearch.doctor.watching import WatchedTrial
from hexsearch.model.network import Network, NetworkOutput

_POSITIONS = 6
_WHOLE = 0.01  # the same as OFF for both losses and all weights together


def check_slopes(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Compare the gradient of each loss on trunk and heads with slopes of that loss."""
    trial = needed(pipeline.finite)
    step = next((each for each in trial.steps if bool(each.batch.has_move.any())), None)
    if step is None:
        return
    own = trial.network
    taught = dict(own.auxiliary.items()) if step.batch.auxiliary else {}
    network = in_double(Network(own.trunk, own.value_head, own.policy_head, taught))
    rows = torch.arange(len(step.batch))[step.batch.has_move][:_POSITIONS]
    planes = trial.execution.show(step.batch.planes[rows]).double()
    losses = ["value"] if trial.config.policy_head.weight == 0 else ["value", "policy"]
    heads = {name: f"{name}_head" for name in losses} | {n: f"auxiliary.{n}" for n in taught}
    losses = list(heads)

    def loss(*names: str) -> Tensor:
        output = network(planes.clone(), bool(taught))
        return torch.stack([_loss(name, trial, output, step, rows) for name in names]).sum()

    every = [parameter for parameter in network.parameters() if parameter.requires_grad]
    if not every or not _runs(network, planes[:2]):
        return
    whole = gap(partial(loss, *losses), every)
    if whole is None or whole.off < _WHOLE:
        return
    for name in losses:
        for part in ("trunk", heads[name]):
            moved = [p for p in network.get_submodule(part).parameters() if p.requires_grad]
            found = gap(partial(loss, name), moved) if moved else None
            if found is not None and found.off > OFF:
                yield _finding(name, part, found, first_wrong_module(network, planes))
                return


def _runs(network: nn.Module, planes: Tensor) -> bool:
    """Whether the network can compute in double precision, and depends on its weights."""
    try:
        output = network(planes.clone())
    except RuntimeError:  # code that makes tensors of another precision
        return False
    return bool(output.value_raw.requires_grad) and bool(output.policy_logits.requires_grad)


def _loss(
    name: str, trial: WatchedTrial, output: NetworkOutput, step: WatchedStep, rows: Tensor
) -> Tensor:
    if name == "value":
        labels = step.batch.outcome[rows].double()
        return trial.watched_readout.inner.loss(output.value_raw, labels).mean()
    if output.auxiliary is not None and name in output.auxiliary:
        return own_loss(name, output.auxiliary[name], step.batch.auxiliary[name][rows])
    return nn.functional.cross_entropy(output.policy_logits, step.batch.policy_target[rows])


def _finding(name: str, part: str, wrong: Gap, module: tuple[str, str, Gap] | None) -> Finding:
    where = f"the gradient of the {name} loss on the {in_words(part)}"
    if wrong.ratio is not None and wrong.ratio < 0 and name not in ("value", "policy"):
        cause = (
            f"the gradient of auxiliary head {name} reaches the {in_words(part)} with the wrong "
            "sign (it is reversed in the backward pass): that loss is made larger"
        )
    elif wrong.ratio is not None and wrong.ratio < 0:
        cause = f"{where} has the wrong sign (it is reversed in the backward pass)"
    else:
        cause = f"{where} is not the slope of that loss: {wrong} (scaled, detached or replaced)"
    if module is not None:
        inside, what, its_own = module
        cause += (
            f"; it goes wrong in module '{inside}', whose gradient with respect to its {what} is "
            f"not its slope: {its_own}"
        )
    return Finding.error(
        "gradients",
        f"along directions at random the {name} loss changes by other amounts than its gradient on "
        f"the {in_words(part)} says: the difference is {wrong.off:.0%} of them",
        cause,
        "look for detach(), no_grad(), hooks, a custom backward() and expressions such as "
        "2 * x.detach() - x in the forward() of that module",
        root="unread" if module is not None and module[2].ratio == 0 else "slopes",
    )
