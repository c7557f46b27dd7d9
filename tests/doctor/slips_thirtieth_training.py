"""Slips in the network, the losses and the steps, of the thirtieth set."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from hexsearch.model.many_heads import ManyHeads
from hexsearch.model.network import Network, NetworkOutput, taught
from hexsearch.training.optimisation import owner as owner_module
from hexsearch.training.optimisation.owner import Owner
from hexsearch.training.step import Stepper
from tests.doctor.slips import Patch, Slip, after_each_step, in_network, in_optimiser, patched

_CLIP = 0.5  # largest weight that is left after a step
_STAIRS = 10  # values of the learning rate in a training


def _every_second(patch: Patch) -> None:
    sound_step, sound_update = Stepper.step, Owner.step
    number = [0]

    def step(self: Any, *arguments: Any) -> None:
        number[0] = self._steps
        sound_step(self, *arguments)

    def update(self: Any, *arguments: Any) -> None:
        if number[0] % 2 == 0:
            sound_update(self, *arguments)

    patch.setattr(Stepper, "step", step)
    patch.setattr(Owner, "step", update)


def _staircase(sound: Any) -> Any:
    def set_rate(optimiser: Any, config: Any, progress: float) -> None:
        sound(optimiser, config, math.floor(progress * _STAIRS + 1e-9) / _STAIRS)

    return set_rate


def _weighted_again(sound: Any) -> Any:
    def send_back(self: Any, values: Any, shared: Any, junction: Any) -> None:
        weight = self._config.policy_head.weight
        if weight:
            shared = [weight * shared[0], *shared[1:]]
        sound(self, values, shared, junction)

    return send_back


def _detached(module: nn.Module, arguments: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return tuple(each.detach() for each in arguments)


def _without_gradient(network: Network) -> None:
    network.value_head.register_forward_pre_hook(_detached)


def _clipped_weights(stepper: Any, before: dict[str, Tensor]) -> None:
    for parameter in stepper._body.parameters():
        parameter.clamp_(-_CLIP, _CLIP)


def _whole_decay(optimiser: Any) -> None:
    for group in optimiser.param_groups:
        group["whole_decay"], group["weight_decay"] = group["weight_decay"], 0.0
    kind = type(optimiser)

    def step(self: Any, *arguments: Any) -> None:
        with torch.no_grad():
            for group in self.param_groups:
                for parameter in group["params"]:
                    parameter.mul_(1.0 - group["whole_decay"])
        kind.step(self, *arguments)

    optimiser.__class__ = type(kind.__name__, (kind,), {"step": step})


def _beside_the_policy(patch: Patch) -> None:
    def seen(features: Tensor, logits: Tensor) -> Tensor:
        return features + logits.amax(dim=1)[:, None, None, None]

    def forward(self: Any, planes: Tensor, auxiliary: bool = False) -> NetworkOutput:
        features = self.trunk(planes)
        logits = self.policy_head(features)
        value = self.value_head(seen(features, logits))
        if not auxiliary:
            return NetworkOutput(logits, value)
        return NetworkOutput(logits, value, taught(self.auxiliary, features))

    sound = ManyHeads.value_raw

    def value_raw(self: Any, number: int, features: Tensor) -> Tensor:
        return sound(self, number, seen(features, self.policy_head(features)))

    patch.setattr(Network, "forward", forward)
    patch.setattr(ManyHeads, "value_raw", value_raw)


def _warm_up_in_steps(patch: Patch) -> None:
    sound_step, sound_rate = Stepper.step, vars(owner_module)["set_learning_rate"]
    sizes = [1]

    def step(self: Any, *arguments: Any) -> None:
        sizes[0] = self._config.batch_size
        sound_step(self, *arguments)

    def set_rate(optimiser: Any, config: Any, progress: float) -> None:
        # Steps so far are compared with a warm-up that is counted in positions.
        sound_rate(optimiser, config, progress / sizes[0])

    patch.setattr(Stepper, "step", step)
    patch.setattr(owner_module, "set_learning_rate", set_rate)


def _loud_output(network: Network) -> None:
    linear = [module for module in network.value_head.modules() if isinstance(module, nn.Linear)]
    with torch.no_grad():
        linear[-1].weight.mul_(100.0)  # 10 in place of 0.1


SLIPS: dict[str, Slip] = {
    "every second update skipped": Slip(
        _every_second,
        "skip|every (second|other)|not (updated|change|changed|moved)|no (step|update|change)|"
        "accumul|half of|unchanged|weights? (stay|did not|do not)",
        cause="The optimiser steps only after every second batch, as if gradients were accumulated "
        "over two, but they are cleared before each batch: half of the batches have no effect.",
    ),
    "schedule in ten stairs": Slip(
        patched(owner_module, "set_learning_rate", _staircase),
        "schedule|learning rate|\\brates?\\b|warm-?up|stair|anneal",
        cause="The schedule is stepped ten times in a training and not at each step: the rate is a "
        "staircase, which jumps from the first rate to the peak without a warm-up.",
    ),
    "policy weight applied twice": Slip(
        patched(Stepper, "_send_back", _weighted_again),
        "policy.*weight|weight.*policy|policy loss|twice|0\\.04",
        cause="The weight of the policy loss is applied twice: with 0.2, the policy loss counts "
        "0.04 in the training loss.",
    ),
    "value head reads detached features": Slip(
        in_network(_without_gradient),
        "detach|gradient.*(trunk|value)|trunk.*gradient|reaches? the trunk|does not train|"
        "not trained by",
        cause="The value head reads a detached copy of the features: the value loss does not train "
        "the trunk, which learns from the policy alone.",
    ),
    "weights clipped after each step": Slip(
        after_each_step(_clipped_weights),
        "clip|clamp|limit|bound|changed (outside|after)|other than the (optimiser|step)|"
        "weights?.*(0\\.5|between steps|after)|norm",
        cause="After each step all weights are clipped to -0.5 to 0.5, left over from a "
        "Wasserstein experiment: the scales of the norms are halved at the first step.",
    ),
    "decay not scaled by the rate": Slip(
        in_optimiser(_whole_decay),
        "decay|shrink|shrunk|smaller",
        cause="Weight decay is not multiplied by the learning rate: each step shrinks every "
        "decayed weight by 1%, hundreds of times as much as AdamW would.",
    ),
    "policy logit in the value head's input": Slip(
        _beside_the_policy,
        "policy head|policy logit|value loss.*policy|policy.*value|gradient of the value|depends? "
        "on the policy|logits?\\b.*value|heads",
        cause="The largest policy logit is added to every feature that the value head reads, with "
        "its gradient: the value depends on the policy head, and its loss trains that head too.",
    ),
    "warm-up never ends": Slip(
        _warm_up_in_steps,
        "warm-?up|schedule|learning rate|\\brates?\\b",
        cause="Steps are compared with a warm-up that is counted in positions: it is as many times "
        "too long as a batch has positions, so the rate still rises at the end.",
    ),
    "output layer begins ten times too large": Slip(
        in_network(_loud_output),
        "initial|first answers?|begin|start|output (layer|weight)|last layer|confident|large|"
        "spread",
        cause="The initial weights of the value head's output are multiplied by 10 and not by 0.1: "
        "the first answers are far from 50%.",
    ),
}
