"""Slips in network, losses, gradients, steps and evaluation."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from hexsearch.data.batch import Batch
from hexsearch.model.network import Network
from hexsearch.model.policy_head import policy_loss
from hexsearch.training import evaluation, step
from hexsearch.training.optimisation import owner as steps
from hexsearch.training.optimisation.owner import Owner
from hexsearch.training.step import Stepper
from hexsearch.training.trial import Trial
from tests.doctor.slips import (
    Patch,
    Slip,
    in_losses,
    in_network,
    in_optimiser,
    in_part,
    in_rates,
    in_reported,
    in_value_loss,
    nothing,
)


def _scaled_head(factor: float) -> Any:
    def change(network: Network) -> None:
        with torch.no_grad():
            for parameter in network.value_head.parameters():
                parameter.mul_(factor)

    return in_network(change)


def _no_running_statistics(network: Network) -> None:
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.track_running_stats = False
            module.running_mean = module.running_var = None


def _first_layer_frozen(network: Network) -> None:
    next(network.value_head.parameters()).requires_grad = False


def _softmax_over_batch(patch: Patch) -> None:
    def loss(logits: Tensor, target: Tensor, has_move: Tensor) -> Tensor:
        chosen = logits.float().log_softmax(dim=0).gather(1, target[:, None])[:, 0]
        return -(chosen * has_move).sum() / has_move.sum().clamp(min=1)

    patch.setattr(step, "policy_loss", loss)


def _half_of_the_batch(value: Tensor, batch: Batch) -> Tensor:
    return value * (torch.arange(len(value)) < (len(value) + 1) // 2)


def _by_game(value: Tensor, batch: Batch) -> Tensor:
    weight = 1.0 / (batch.ply + batch.to_end).clamp(min=1)
    return value * weight / weight.mean()


def _occupied_only(losses: Any, batch: Batch, stepper: Any) -> Any:
    logits = stepper.network(batch.planes).policy_logits.float()
    side = batch.planes.shape[-1]
    margin = (side - round(logits.shape[1] ** 0.5)) // 2
    board = batch.planes[:, :2, margin : side - margin, margin : side - margin].sum(dim=1)
    masked = logits - 20.0 * (board.flatten(1) == 0)
    return losses._replace(policy=policy_loss(masked, batch.policy_target, batch.has_move))


def _arguments_exchanged(losses: Any, batch: Batch, stepper: Any) -> Any:
    p = stepper.network(batch.planes).value_raw.float().sigmoid()
    target = batch.outcome.clamp(1e-3, 1 - 1e-3)
    swapped = functional.binary_cross_entropy(target, p.detach() * 0 + p, reduction="none")
    return losses._replace(values=(swapped,))


def _groups(keep: Any) -> Any:
    def change(optimiser: Any) -> None:
        optimiser.param_groups[:] = [g for g in optimiser.param_groups if keep(g)]

    return in_optimiser(change)


def _clipped_to_nothing(patch: Patch) -> None:
    sound = steps.clip_gradients  # type: ignore[attr-defined]
    patch.setattr(steps, "clip_gradients", lambda network, limit: sound(network, 1e-6))


def _cleared_before_the_step(patch: Patch) -> None:
    sound = Owner.step

    def step_of(self: Any, *arguments: Any) -> None:
        for group in self.optimiser.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    parameter.grad.zero_()
        sound(self, *arguments)

    patch.setattr(Owner, "step", step_of)


def _step_before_backward(patch: Patch) -> None:
    sound = Stepper._backward

    def backward(self: Any, *arguments: Any) -> None:
        sound(self, *arguments)
        last = getattr(self, "last_gradients", {})
        self.last_gradients = {
            n: p.grad.clone() for n, p in self.network.named_parameters() if p.grad is not None
        }
        for name, parameter in self.network.named_parameters():
            if parameter.grad is not None:
                parameter.grad.copy_(last.get(name, torch.zeros_like(parameter)))

    patch.setattr(Stepper, "_backward", backward)


def _every_fourth_step(optimiser: Any) -> None:
    sound, count = optimiser.step, [0]

    def step_of(closure: Any = None) -> None:
        count[0] += 1
        if count[0] % 4 == 0:
            sound()

    optimiser.step = step_of


def _statistics_of_nothing(patch: Patch) -> None:
    def calibrate(network: nn.Module, batches: Any, forward: Any) -> None:
        network.eval()
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.reset_running_stats()

    patch.setattr(evaluation, "calibrate_norms", calibrate)


def _first_copy_answers(patch: Patch) -> None:
    sound = Trial._prepare

    def prepare(self: Any, *arguments: Any) -> None:
        sound(self, *arguments)
        self.first_copy = deepcopy(self.body)

    patch.setattr(Trial, "_prepare", prepare)
    patch.setattr(Trial, "_answering", property(lambda self: self.first_copy))


def _other_planes_in_evaluation(patch: Patch) -> None:
    sound = evaluation.evaluation_batches  # type: ignore[attr-defined]

    def batches(*arguments: Any) -> Any:
        for batch in sound(*arguments):
            batch.planes[:, :2] = batch.planes[:, [1, 0]]
            yield batch

    patch.setattr(evaluation, "evaluation_batches", batches)


_ROWS_MIXED = in_part("value_head", before=lambda f: f.transpose(0, 1).reshape(f.shape))
_ALWAYS_DROPPED = in_part("trunk", after=lambda f: functional.dropout(f, 0.2, training=True))
_SGD = {"optimiser": {"name": "sgd", "learning_rate": 0.05}}

SLIPS: dict[str, Slip] = {
    "relu at the end of the value head": Slip(
        in_part("value_head", after=torch.relu), "relu|below 0|negative|half|0\\.5"
    ),
    "sigmoid at the end of the value head": Slip(
        in_part("value_head", after=torch.sigmoid), "sigmoid|squash|range|bounded|between"
    ),
    "tanh at the end of the value head": Slip(
        in_part("value_head", after=torch.tanh), "tanh|squash|range|bounded|between"
    ),
    "value head reads detached features": Slip(
        in_part("value_head", before=torch.detach), "detach|trunk"
    ),
    "rows of the batch mixed by a reshape": Slip(_ROWS_MIXED, "batch"),
    "value head begins at zero": Slip(_scaled_head(0.0), "zero|initial|no gradient|begins at"),
    "value head begins huge": Slip(_scaled_head(30.0), "initial|large|saturat|huge|confident"),
    "batch norm without running statistics": Slip(in_network(_no_running_statistics), "batch"),
    "dropout that never rests": Slip(_ALWAYS_DROPPED, "dropout|random|train mode|repeat"),
    "softmax at the end of the policy head": Slip(
        in_part("policy_head", after=lambda x: x.softmax(dim=1)), "softmax|squash|range|bounded"
    ),
    "first value layer frozen": Slip(
        in_network(_first_layer_frozen), "frozen|requires_grad|never trained|not trained"
    ),
    "policy softmax over the batch": Slip(_softmax_over_batch, "over the batch|axis"),
    "value loss of half a batch": Slip(in_value_loss(_half_of_the_batch), "mask|half|part"),
    "value loss averaged by game": Slip(in_value_loss(_by_game), "weight|by game|unequal"),
    "policy masked to occupied cells": Slip(
        in_losses(_occupied_only), "mask|legal|occupied|empty|not the log likelihood"
    ),
    "loss with its arguments exchanged": Slip(
        in_losses(_arguments_exchanged), "not that of the read-out|exchanged|arguments"
    ),
    "root of the value loss": Slip(
        in_value_loss(lambda v, b: (v + 1e-8).sqrt()), "root|not that of the read-out"
    ),
    "no learning rate for the value head": Slip(
        in_rates(lambda g: 0.0 if g["owner"] == "value_head" else g["lr"]),
        "rate|no step|does not move|never moves|value head",
    ),
    "optimiser without the policy head": Slip(
        _groups(lambda g: g["owner"] != "policy_head"), "policy|no group|optimiser"
    ),
    "optimiser without biases": Slip(
        _groups(lambda g: g["params"][0].ndim > 1), "no group|not in|bias|parameter"
    ),
    "gradients clipped to nothing": Slip(_clipped_to_nothing, "clip|scaled", _SGD),
    "huge weight decay": Slip(nothing, "decay", {"optimiser": {"weight_decay": 50.0}}),
    "gradients cleared before the step": Slip(
        _cleared_before_the_step, "cleared|zero|removed|no gradient|nothing|multiplied by 0"
    ),
    "step before backward": Slip(
        _step_before_backward, "previous|earlier|stale|late|last batch|batch before"
    ),
    "learning rate in the wrong unit": Slip(in_rates(lambda g: g["lr"] * 1e-6), "rate|too small"),
    "learning rate far too high": Slip(
        nothing, "rate|diverg", {"optimiser": {"learning_rate": 4.0}}
    ),
    "three of four steps skipped": Slip(in_optimiser(_every_fourth_step), "no step|skip|some"),
    "momentum of 0.9999": Slip(nothing, "momentum", {"optimiser": {"momentum": 0.9999}}),
    "answers of an evaluation in another order": Slip(
        in_reported(lambda p, b: p.flip(0)), "row|order|other position|something else"
    ),
    "answers rounded": Slip(in_reported(lambda p, b: p.round()), "round|0 or 1|something else"),
    "batch-norm statistics of nothing": Slip(
        _statistics_of_nothing, "batch norm|batch-norm|statistics"
    ),
    "the first copy of the network answers": Slip(
        _first_copy_answers, "initial|another network|other weights|copy|never updated"
    ),
    "colours exchanged in evaluation only": Slip(
        _other_planes_in_evaluation, "evaluation.*planes|colour|exchanged|other planes"
    ),
}
