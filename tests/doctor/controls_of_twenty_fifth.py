"""Unusual but sound pipelines beside the twenty-fifth set, which must raise no error."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from hexsearch.data import position_set as position_set_module
from hexsearch.data.encoder import PositionEncoder
from hexsearch.model import trunk as trunk_module
from hexsearch.model.readout import Bce
from hexsearch.training import step as step_module
from hexsearch.training.optimisation import optimiser as optimiser_module
from hexsearch.training.optimisation import owner as owner_module
from tests.doctor.controls_of_twenty_fourth import by_loops, group_for_each
from tests.doctor.controls_of_twenty_second import by_generator
from tests.doctor.listed.places import all_of
from tests.doctor.slips import Slip, patched


def _two_softplus(_: Any) -> Any:
    def loss(self: Any, raw: Tensor, target: Tensor) -> Tensor:
        return target * functional.softplus(-raw) + (1.0 - target) * functional.softplus(raw)

    return loss


def _of_chosen_rows(_: Any) -> Any:
    def loss(logits: Tensor, target: Tensor, has_move: Tensor) -> Tensor:
        rows = has_move.nonzero()[:, 0]
        if not len(rows):
            return logits.sum() * 0.0
        numbers = logits.float()[rows]
        chosen = numbers.gather(1, target[rows, None])[:, 0]
        return (numbers.logsumexp(dim=1) - chosen).mean()

    return loss


def clipped_by_hand(_: Any) -> Any:
    def clip(network: Any, limit: float) -> Tensor:
        gradients = [p.grad for p in network.parameters() if p.grad is not None]
        norm = torch.stack([g.double().square().sum() for g in gradients]).sum().sqrt().float()
        factor = (limit / (norm + 1e-6)).clamp(max=1.0)
        for gradient in gradients:
            gradient.mul_(factor)
        return norm

    return clip


def _orthogonal(_: Any) -> Any:
    def initialise(trunk: nn.Module) -> None:
        for module in trunk.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.orthogonal_(module.weight, gain=2.0**0.5)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    return initialise


CONTROLS: dict[str, Slip] = {
    "order by numpy's permutations": Slip(
        patched(position_set_module, "without_replacement", by_generator),
        "$^",
        cause="Sound: each pass is a permutation by numpy's generator of (seed, pass).",
    ),
    "cross-entropy by two softplus": Slip(
        patched(Bce, "loss", _two_softplus),
        "$^",
        cause="Sound: the same cross-entropy, written with softplus.",
    ),
    "policy loss of chosen rows": Slip(
        patched(step_module, "policy_loss", _of_chosen_rows),
        "$^",
        cause="Sound: the same mean cross-entropy, over the rows with a move, by logsumexp.",
    ),
    "a group for each tensor and clipping by hand": Slip(
        all_of(
            patched(
                optimiser_module,
                "parameter_groups",
                lambda sound: lambda *given: group_for_each(sound(*given)),
            ),
            patched(owner_module, "clip_gradients", clipped_by_hand),
        ),
        "$^",
        cause="Sound: every parameter has its own group with the same settings, and gradients are "
        "clipped by their joint norm in plain code.",
    ),
    "orthogonal initial weights of the trunk": Slip(
        patched(trunk_module, "_initialise", _orthogonal),
        "$^",
        cause="Sound: convolutions of the trunk begin orthogonal with gain sqrt(2).",
    ),
    "planes position by position": Slip(
        patched(PositionEncoder, "encode", by_loops),
        "$^",
        cause="Sound: the same planes, drawn stone by stone in a plain loop.",
    ),
}
