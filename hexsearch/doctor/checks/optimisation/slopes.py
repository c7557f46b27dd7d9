"""Checks gradients by finite differences of the losses."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from copy import deepcopy

import torch
from torch import Tensor, nn

from hexsearch.doctor.findings import Finding, in_words
from hexsearch.doctor.pipeline import SEED, ExaminedPipeline, needed
from hexsearch.doctor.watching import WatchedStep, WatchedTrial
from hexsearch.model.network import Network

_POSITIONS = 48
_STEP = 2e-3  # length of a step, as a share of the weights' norm
_LEAST, _MOST = 0.4, 2.5  # accepted ratio of slope and gradient; kinks of activations change it
Loss = Callable[[Network], Tensor]


def check_slopes(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Compare the slope of each loss along its gradient on each part with that gradient."""
    trial = needed(pipeline.finite)
    step = next((each for each in trial.steps if bool(each.batch.has_move.any())), None)
    if step is None:
        return
    network = Network(
        deepcopy(trial.network.trunk),
        deepcopy(trial.network.value_head),
        deepcopy(trial.network.policy_head),
    ).eval()
    for name, loss in _losses(trial, step).items():
        if name == "policy" and trial.config.policy_head.weight == 0:
            continue
        for part in ("trunk", f"{name}_head"):
            ratio = _ratio(network, network.get_submodule(part), loss)
            if ratio is not None and not _LEAST < ratio < _MOST:
                yield _finding(name, part, ratio)
                return


def _losses(trial: WatchedTrial, step: WatchedStep) -> dict[str, Loss]:
    rows = torch.arange(len(step.batch))[step.batch.has_move][:_POSITIONS]
    batch = step.batch.rows(rows)
    planes = trial.execution.show(batch.planes)

    def value(network: Network) -> Tensor:
        raw = network(planes).value_raw.float()
        return trial.watched_readout.inner.loss(raw, batch.outcome).mean()

    def policy(network: Network) -> Tensor:
        logits = network(planes).policy_logits.float()
        return nn.functional.cross_entropy(logits, batch.policy_target)

    return {"value": value, "policy": policy}


def _ratio(network: Network, part: nn.Module, loss: Loss) -> float | None:
    """Slope of a loss along its gradient on a part, divided by the norm of that gradient.

    None if the gradient is too small to be measured.
    """
    parameters = [p for p in part.parameters() if p.requires_grad]
    if not parameters:
        return None

    def at(amount: float, along: list[Tensor]) -> float:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(SEED)
            for parameter, direction in zip(parameters, along, strict=True):
                parameter.add_(direction, alpha=amount)
            value = float(loss(network))
            for parameter, direction in zip(parameters, along, strict=True):
                parameter.sub_(direction, alpha=amount)
        return value

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        current = loss(network)
    if not current.requires_grad:
        return None
    gradients = torch.autograd.grad(current, parameters, allow_unused=True)
    along = [
        torch.zeros_like(p) if g is None else g for p, g in zip(parameters, gradients, strict=True)
    ]
    length = float(torch.stack([g.norm() for g in along]).norm())
    weights = float(torch.stack([p.detach().norm() for p in parameters]).norm())
    amount = _STEP * weights / max(length, 1e-12)
    expected = length * length * 2 * amount
    if length < 1e-7:
        return None  # gradients of 0 belong to `gradient flow`
    change = at(amount, along) - at(-amount, along)
    if max(expected, abs(change)) < 1e-5 * max(abs(float(current.detach())), 1e-3):
        return None  # rounding hides the difference
    ratio = change / expected
    return ratio if math.isfinite(ratio) else None  # the loss itself has exploded


def _finding(name: str, part: str, ratio: float) -> Finding:
    where = f"the gradient of the {name} loss on the {in_words(part)}"
    if ratio < 0:
        cause = (
            f"{where} has the wrong sign (it is reversed in the backward pass): every step makes "
            "that loss larger"
        )
    elif ratio < 1:
        cause = (
            f"{where} is {1 / max(ratio, 1e-9):.3g} times too large: it is scaled, or passes "
            "through an operation whose output does not change"
        )
    else:
        cause = (
            f"{where} is only {1 / ratio:.2g} times what it should be: it is scaled down, or "
            "partly detached, in the backward pass"
        )
    return Finding.error(
        "gradients",
        f"the {name} loss changes {ratio:.2f} times as fast along its gradient on the "
        f"{in_words(part)} as the gradient says",
        cause,
        "look for detach(), hooks, a custom backward() and expressions such as 2 * x.detach() - x",
        root="slopes",
    )
