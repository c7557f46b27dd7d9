"""Slips in the network, the losses and the steps, of the twenty-fifth set.

See `slips_twenty_fifth_data` for how the set was drawn.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from hexsearch.config.optimiser import OptimiserConfig
from hexsearch.data.batch import Batch
from hexsearch.model.readout import Bce, SigmoidMse
from hexsearch.model.trunk import Trunk
from hexsearch.training.optimisation import optimiser as optimiser_module
from hexsearch.training.step import Stepper
from tests.doctor.listed_again.losses import with_all_labels
from tests.doctor.slips import Slip, in_network, in_optimiser, patched
from tests.doctor.slips_twenty_fifth_data import WEIGHTED
from tests.doctor.slips_twenty_third_training import gates_without_sigmoid, steps_for_positions
from tests.doctor.source_edits import edited


def _sigmoid_before_the_logit_loss(_: Any) -> Any:
    def loss(self: Any, raw: Tensor, target: Tensor) -> Tensor:
        probability = self.win_prob(raw)
        return functional.binary_cross_entropy_with_logits(probability, target, reduction="none")

    return loss


def _weights_in_the_policy_loss(sound: Any) -> Any:
    def backward(self: Any, batch: Batch, look: bool) -> None:
        # The loss of the policy is a mean weighted by `has_move`.
        weighted, ones = batch.has_move * batch.weight, torch.ones_like(batch.weight)
        sound(self, replace(batch, has_move=weighted, weight=ones), look)

    return backward


def _large_epsilon(optimiser: Any) -> None:
    for group in optimiser.param_groups:
        group["eps"] = 0.1


def _normalised_over_the_batch(sound: Any) -> Any:
    def forward(self: Any, planes_BCNN: Tensor) -> Tensor:
        mean = planes_BCNN.mean(dim=(0, 2, 3), keepdim=True)
        std = planes_BCNN.std(dim=(0, 2, 3), keepdim=True)
        features: Tensor = sound(self, (planes_BCNN - mean) / (std + 1e-5))
        return features

    return forward


_NOT_DIVIDED = edited(
    Stepper,
    "_backward",
    {
        "(each * part.weight).sum() / whole": "(each * part.weight).mean()",
        "scaler.scale(policy)": "scaler.scale(losses.policy)",
        "weight * auxiliary[name] for": "weight * losses.auxiliary[name] for",
        "config.policy_head.weight * policy": "config.policy_head.weight * losses.policy",
    },
)


def _everything_decays(sound: Any) -> Any:
    def groups(network: Any, config: OptimiserConfig) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = sound(network, config)
        for group in found:
            factor = config.value_decay_factor if group["owner"] == "value_head" else 1.0
            group["weight_decay"] = config.weight_decay * factor
        return found

    return groups


def _stages_in_a_plain_list(sound: Any) -> Any:
    def init(self: Any, *arguments: Any) -> None:
        sound(self, *arguments)
        stages = list(self.stages)
        del self.stages
        self.stages = stages

    return init


SLIPS: dict[str, Slip] = {
    "schedule counts steps, budget counts positions": Slip(
        patched(Stepper, "step", steps_for_positions),
        "schedule|learning rate|warm|progress|anneal|steps",
        cause="The progress of the learning-rate schedule is the number of steps divided by the "
        "budget in positions. So it advances 64 times too slowly: the rate stays at the beginning "
        "of the warm-up and never falls.",
    ),
    "probability passed to a loss for logits": Slip(
        patched(Bce, "loss", _sigmoid_before_the_logit_loss),
        "sigmoid|logit|twice|double|disagree|read-?out|least|squash|optimum|probabilit",
        cause="The value loss applies a sigmoid to the raw value and passes this probability to "
        "the cross-entropy for logits, which applies another sigmoid. The loss is least for "
        "an answer of 0 up to a true probability of 50%, and for an answer of 1 from 73% on.",
    ),
    "column against row in the value loss": Slip(
        patched(SigmoidMse, "loss", with_all_labels),
        "broadcast|batch|other positions?|other rows?|\\[B, ?B\\]",
        {"readout": "sigmoid_mse"},
        cause="The value loss subtracts targets [B] from answers [B, 1], which broadcasts to "
        "[B, B], and takes the mean over the last axis. Every answer is trained on the labels of "
        "the whole batch.",
    ),
    "sample weights in the policy loss": Slip(
        patched(Stepper, "_backward", _weights_in_the_policy_loss),
        "weight|stage|policy loss",
        {"curriculum": {"name": "all", "stage_weights": WEIGHTED}},
        cause="The weights of the stages are applied to the policy loss and not to the value loss, "
        "which is unweighted.",
    ),
    "eps of AdamW far too large": Slip(
        in_optimiser(_large_epsilon),
        "eps|adam|small(er)? steps?|update|step|denominator",
        cause="eps of AdamW is 0.1 and not 1e-8. It is far larger than most gradients, so that "
        "steps are much too small and no longer normalised.",
    ),
    "planes normalised over the batch": Slip(
        patched(Trunk, "forward", _normalised_over_the_batch),
        "batch|normali[sz]|standardi[sz]|alone|other positions",
        cause="The trunk subtracts the mean of each plane over the batch and divides by its "
        "standard deviation, also in evaluation. So an answer depends on the other "
        "positions of the batch.",
    ),
    "squeeze-and-excitation without sigmoid": Slip(
        in_network(gates_without_sigmoid),
        "squeeze|excitation|gate|sigmoid|scale|channel",
        {"trunk": {"preset": "tiny", "squeeze_excitation": True}},
        cause="The gate of squeeze-and-excitation ends in the linear layer without a sigmoid, so "
        "that channels are multiplied by unbounded numbers of both signs, which begin near 0.",
    ),
    "micro-batches not divided by their number": Slip(
        _NOT_DIVIDED,
        "micro|accumul|4 times|times (as|too) large|divid|sum|scale",
        {"micro_batch": 16, "optimiser": {"name": "sgd", "learning_rate": 0.05}},
        cause="The loss of each micro-batch is its own mean and is not divided by the number of "
        "micro-batches, so the gradient of a step is four times that of the batch's loss.",
    ),
    "weight decay on norms and biases": Slip(
        patched(optimiser_module, "parameter_groups", _everything_decays),
        "decay|norm|bias",
        cause="Norms and biases have weight decay as well; they should have none.",
    ),
    "stages of the trunk in a plain list": Slip(
        patched(Trunk, "__init__", _stages_in_a_plain_list),
        "regist|ModuleList|not (trained|saved|stored)|never trained|parameters?|stage|state_dict|"
        "plain list|train mode|batch.norm",
        cause="The stages of the trunk are kept in a plain list and not in an nn.ModuleList. Their "
        "weights are in no optimiser, in no checkpoint and not switched to eval mode.",
    ),
}
