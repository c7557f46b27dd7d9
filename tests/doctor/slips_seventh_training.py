"""Slips of networks, losses and steps of the seventh set, written before they were run.

See `slips_seventh_data` for what counts as named.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm

from hexsearch.data.batch import Batch
from hexsearch.model.network import Network
from hexsearch.training.optimisation.owner import Owner
from tests.doctor.slips import (
    Patch,
    Slip,
    after_each_step,
    before_clipping,
    in_labels,
    in_losses,
    in_network,
    in_optimiser,
    in_part,
    in_rates,
    in_value_loss,
)


def _cleared_every_fourth_step(patch: Patch) -> None:
    sound = Owner.prepare

    def prepare(self: Any, progress: float) -> None:
        kept = [(p, p.grad) for p in self._parts.parameters()]
        sound(self, progress)
        self.prepared = getattr(self, "prepared", 0) + 1
        if self.prepared % 4 != 1:
            for parameter, gradient in kept:
                parameter.grad = gradient

    patch.setattr(Owner, "prepare", prepare)


class _DetachedShortcut(nn.Module):
    """A residual block through whose shortcut no gradient passes."""

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.block = block

    def forward(self, x: Tensor) -> Tensor:
        block: Any = self.block
        inner = block.norm2(block.conv2(block.act1(block.norm1(block.conv1(x)))))
        out: Tensor = block.act2(inner + block.shortcut(x).detach())
        return out


def _shortcut_detached(network: Network) -> None:
    stages: Any = network.trunk.stages
    for stage in stages:
        for number, block in enumerate(stage):
            stage[number] = _DetachedShortcut(block)


def _tied(network: Network) -> None:
    stages: Any = network.trunk.stages
    for stage in stages:
        for block in stage:
            if block.conv1.weight.shape == block.conv2.weight.shape:
                block.conv2 = block.conv1


def _left_out_if_large(network: Any) -> None:
    gradients = [p.grad for p in network.parameters() if p.grad is not None]
    norm = torch.stack([gradient.norm() for gradient in gradients]).norm()
    if float(norm) > 1.0:
        for gradient in gradients:
            gradient.zero_()


def _late_counter(optimiser: Any) -> None:
    """The step counter of Adam begins at 1000, so the first moments are not corrected."""
    for group in optimiser.param_groups:
        for parameter in group["params"]:
            optimiser.state[parameter] = {
                "step": torch.tensor(1000.0),
                "exp_avg": torch.zeros_like(parameter),
                "exp_avg_sq": torch.zeros_like(parameter),
            }


def _norms_do_not_learn(network: Network) -> None:
    for module in network.modules():
        if isinstance(module, _BatchNorm):
            module.requires_grad_(False)


def _smoothed_policy(losses: Any, batch: Batch, stepper: Any) -> Any:
    logits = stepper.network(batch.planes).policy_logits.float()
    each = functional.cross_entropy(
        logits, batch.policy_target, reduction="none", label_smoothing=0.3
    )
    policy = (each * batch.has_move).sum() / batch.has_move.sum().clamp(min=1)
    return losses._replace(policy=policy)


def _of_all_positions(losses: Any, batch: Batch, stepper: Any) -> Any:
    return losses._replace(policy=losses.policy * batch.has_move.float().mean() / 2)


def _restored(stepper: Any, before: dict[str, Tensor]) -> None:
    """Every eighth step loads the best weights, which were those of the start."""
    if not hasattr(stepper, "best"):
        stepper.best = before
    stepper.taken = getattr(stepper, "taken", 0) + 1
    if stepper.taken % 8 == 0:
        for name, parameter in stepper.network.named_parameters():
            parameter.copy_(stepper.best[name])


def _decay_times_rate(optimiser: Any) -> None:
    for group in optimiser.param_groups:
        group["weight_decay"] *= 4e-3


def _residual_of_the_mean(losses: Any, batch: Batch, stepper: Any) -> Any:
    """The value loss of each game counts once: it is divided by the game's positions in a batch."""
    _, index, counts = torch.unique(batch.game, return_inverse=True, return_counts=True)
    return losses._replace(values=(losses.value / counts[index],))


class _TopHalf(nn.Module):
    """Features of which the lower rows are cut off by a wrong slice."""

    def __init__(self, head: nn.Module) -> None:
        super().__init__()
        self.head = head

    def forward(self, features: Tensor) -> Tensor:
        cut = features.clone()
        cut[:, :, features.shape[2] // 2 :] = 0.0
        out: Tensor = self.head(cut)
        return out


def _cut(network: Network) -> None:
    network.value_head = _TopHalf(network.value_head)


SLIPS: dict[str, Slip] = {
    "gradients cleared at every fourth step": Slip(
        _cleared_every_fourth_step,
        "accumulat|not cleared|zero_grad|sum of.*gradients|earlier (step|batch)|kept from",
        cause="Gradients are cleared at every fourth step only and add up in between.",
    ),
    "shortcuts detached": Slip(
        in_network(_shortcut_detached),
        "(shortcut|block|stem|trunk|layer|gradient).*(detach|part|not the slope|missing|reach|stop)"
        "|detach|not the slope",
        cause="No gradient passes through the shortcuts of residual blocks.",
    ),
    "both convolutions of a block are one": Slip(
        in_network(_tied),
        "(shared|one|same|twice|tied|two places).*(module|weight|convolution|place)|conv.*(shared"
        "|twice|tied|same|two)",
        cause="Both convolutions of a block are the same module.",
    ),
    "rate of the first group for all": Slip(
        in_rates(lambda group: group["lr"] / group["factor"]),
        "(value|group|head).*(rate|factor)|(rate|factor).*(value|group|head)",
        {"optimiser": {"value_lr_factor": 3.0}},
        cause="The value head's factor of the learning rate is not applied.",
    ),
    "steps with a large gradient left out": Slip(
        before_clipping(_left_out_if_large),
        "(gradient|step).*(large|zero|0|left out|skipp|norm|missing|limit|above)",
        cause="Gradients with a norm above 1 are replaced by zero.",
    ),
    "bias correction of Adam lost": Slip(
        in_optimiser(_late_counter),
        "bias|correct|step (counter|number|1000)|1000|warm|count",
        cause="Adam's averages are not corrected for their start at zero.",
    ),
    "norms without learning": Slip(
        in_network(_norms_do_not_learn),
        "norm.*(not|never|frozen|optimiser|train|learn|grad|move|change)"
        "|(frozen|not trained|never change|left out).*norm",
        cause="Scales and shifts of the batch norms are frozen.",
    ),
    "policy loss divided by twice all positions": Slip(
        in_losses(_of_all_positions),
        "policy.*(half|0\\.4|0\\.5|factor|times|divided|number|all positions|finished|share)",
        cause="The policy loss is divided by twice the positions in place of those with a move.",
    ),
    "value weight applied twice": Slip(
        in_losses(lambda m, batch, _: m._replace(values=(0.25 * m.value,))),
        "value.*(0\\.25|quarter|4|weight|times|factor|twice)",
        {"value_weight": 0.25},
        cause="The value loss is multiplied by its weight of 0.25 twice.",
    ),
    "labels smoothed in the loader and in the loss": Slip(
        in_labels(lambda batch: 0.9 * batch.outcome + 0.05),
        "smooth|0\\.05|0\\.9|0\\.95",
        {"readout": {"name": "bce", "label_smoothing": 0.05}},
        cause="Labels are smoothed twice.",
    ),
    "micro-batches divided twice": Slip(
        in_losses(lambda m, b, _: m._replace(values=(m.value / 4,), policy=m.policy / 4)),
        "(loss|micro).*(quarter|0\\.25|4|divided|factor|times)",
        {"micro_batch": 16},
        cause="The losses of micro-batches are divided by their number once too often.",
    ),
    "weight decay times the rate twice": Slip(
        in_optimiser(_decay_times_rate),
        "decay",
        {"optimiser": {"weight_decay": 0.1}},
        cause="Weight decay is smaller than configured by the factor of the learning rate.",
    ),
    "weights of the start loaded at every eighth step": Slip(
        after_each_step(_restored),
        "weights.*(restor|earlier|load|start|initial|back|reset|replac|jump|not the step)"
        "|(restor|reset|load).*weights",
        cause="At every eighth step the weights of the start are loaded back.",
    ),
    "planes halved in place at each call": Slip(
        in_part("trunk", before=lambda planes: planes.mul_(0.5)),
        "in.?place|changes (the|its) (planes|input)|(planes|input).*(chang|overwrit|halv|edit|writ)"
        "|second call|earlier call|repeat",
        cause="The network changes the planes that it is given.",
    ),
    "policy smoothed over all cells": Slip(
        in_losses(_smoothed_policy),
        "policy.*(smooth|uniform|all cells|0\\.3|every cell)|smooth",
        cause="The policy's target is smoothed by 0.3 over all cells.",
    ),
    "value loss shared among positions of a game": Slip(
        in_losses(_residual_of_the_mean),
        "(loss|weight|value).*(game|times|occur|number of|share)",
        cause="A position's value loss is divided by the number of its game's positions in the "
        "batch.",
    ),
    "value head sees the upper rows": Slip(
        in_network(_cut),
        "(value|answer|head).*(row|cell|half|part|upper|lower|cut|corner|ignor|depend)",
        cause="The lower half of the features does not reach the value head.",
    ),
    "only unsure positions weigh": Slip(
        in_value_loss(lambda value, batch: value * (value.detach() > 0.3)),
        "(loss|position|value).*(small|below|0\\.3|left out|easy|zero|right|0 where|hard|above)",
        cause="Positions whose value loss is below 0.3 do not count.",
    ),
}
