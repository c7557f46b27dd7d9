"""Faults of training and evaluation, as functions that break one part of a healthy pipeline."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from hexsearch.data.batch import Batch
from hexsearch.data.encoder import PositionEncoder
from hexsearch.model.many_heads import ManyHeads
from hexsearch.model.network import Network
from hexsearch.training import evaluation, step
from hexsearch.training.optimisation import average
from hexsearch.training.optimisation import owner as steps
from hexsearch.training.trial import Trial
from tests.doctor.slips import Patch, in_network, in_optimiser, in_rates, in_reported


def blue_for_red(patch: Patch) -> None:
    sound = evaluation.win_prob_red  # type: ignore[attr-defined]
    patch.setattr(evaluation, "win_prob_red", lambda *arguments: 1.0 - sound(*arguments))


def never_carried_back(patch: Patch) -> None:
    patch.setattr(
        PositionEncoder, "complement", lambda self, symmetries: np.zeros(len(symmetries), bool)
    )


def mask_ignored(patch: Patch) -> None:
    patch.setattr(
        step,
        "policy_loss",
        lambda logits, target, mask: torch.nn.functional.cross_entropy(logits, target),
    )


def never_stepped(patch: Patch) -> None:
    patch.setattr(steps, "set_learning_rate", lambda *arguments: None)


def clipped_in_scaled_units(patch: Patch) -> None:
    def clip(network: Any, limit: float) -> Any:
        return torch.nn.utils.clip_grad_norm_(network.parameters(), limit / 65536)

    patch.setattr(steps, "clip_gradients", clip)


def clipping_without_effect(patch: Patch) -> None:
    patch.setattr(
        steps,
        "clip_gradients",
        lambda network, limit: torch.nn.utils.get_total_norm(
            [p.grad for p in network.parameters()]
        ),
    )


def head_not_optimised(patch: Patch) -> None:
    def change(optimiser: Any) -> None:
        groups = optimiser.param_groups
        optimiser.param_groups = [group for group in groups if group["owner"] != "value_head"]

    in_optimiser(change)(patch)


def average_never_updated(patch: Patch) -> None:
    patch.setattr(average.AveragedNetwork, "update", lambda *arguments: None)


def group_twice(patch: Patch) -> None:
    def change(optimiser: Any) -> None:
        optimiser.param_groups.append(dict(optimiser.param_groups[-1]))

    in_optimiser(change)(patch)


def rate_stays_zero(patch: Patch) -> None:
    in_rates(lambda group: 0.0)(patch)


def heads_pull_apart(patch: Patch) -> None:
    """The value loss enters the policy loss with the wrong sign."""
    sound = Trial.losses

    def losses(self: Any, batch: Batch) -> Any:
        losses = sound(self, batch)
        if not batch.has_move.any():
            return losses
        return losses._replace(policy=losses.policy - 100 * losses.value.mean())

    patch.setattr(Trial, "losses", losses)


def dead_units(patch: Patch) -> None:
    def change(network: Network) -> None:
        with torch.no_grad():
            network.get_parameter("trunk.widen.1.bias")[:400] = -50.0

    in_network(change)(patch)


def value_output_stuck(patch: Patch) -> None:
    forward, value_raw = Network.forward, ManyHeads.value_raw

    def constant(self: Network, planes: torch.Tensor, *rest: Any) -> Any:
        output = forward(self, planes, *rest)
        return output._replace(value_raw=output.value_raw * 0.0 - 30.0)

    def constant_raw(self: ManyHeads, number: int, features: torch.Tensor) -> torch.Tensor:
        return value_raw(self, number, features) * 0.0 - 30.0

    patch.setattr(Network, "forward", constant)
    patch.setattr(ManyHeads, "value_raw", constant_raw)


def evaluation_sees_the_label(patch: Patch) -> None:
    in_reported(lambda p, batch: 0.9 * p + 0.1 * batch.red_won)(patch)


def trunk_frozen(patch: Patch) -> None:
    def change(network: Network) -> None:
        for parameter in network.trunk.parameters():
            parameter.requires_grad = False

    in_network(change)(patch)
