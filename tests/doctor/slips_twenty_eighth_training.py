"""Slips in the network, the losses and the steps, of the twenty-eighth set."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from hexsearch.model import readout as readout_module
from hexsearch.model.equivariance import TwoViewConvolution
from hexsearch.model.network import Network
from hexsearch.model.pooling import MeanMaxPooling
from hexsearch.training import prior as prior_module
from hexsearch.training import step as step_module
from hexsearch.training.optimisation import optimiser as optimiser_module
from hexsearch.training.optimisation import owner as owner_module
from hexsearch.training.optimisation.average import AveragedNetwork
from hexsearch.training.optimisation.owner import Owner
from hexsearch.training.step import Stepper
from tests.doctor.slips import Slip, before_clipping, in_network, in_value_loss, patched

_IGNORED = 0.5  # value loss below which a position is left out: an answer of 61% or more
_NOISE = 0.005  # standard deviation of the noise on each gradient


def _clipped_probabilities(_: Any) -> Any:
    def loss(self: Any, raw: Tensor, target: Tensor) -> Tensor:
        p = raw.sigmoid().clamp(0.1, 0.9)
        return functional.binary_cross_entropy(p, target, reduction="none")

    return loss


def _rectified_output(network: Network) -> None:
    head: Any = network.value_head
    head.layers.append(nn.ReLU())


def _all_matrices(sound: Any) -> Any:
    def groups(*arguments: Any) -> Any:
        found = sound(*arguments)
        for group in found:
            group["is_matrix"] = all(p.ndim >= 2 for p in group["params"])
        return found

    return groups


def _times_number_of_heads(sound: Any) -> Any:
    def init(self: Any, *arguments: Any, **more: Any) -> None:
        sound(self, *arguments, **more)
        self._taught = {name: len(self._taught) * w for name, w in self._taught.items()}

    return init


def _probability(_: Any) -> Any:
    return lambda readout, win_prob: win_prob


def _extremum_of_the_batch(_: Any) -> Any:
    def forward(self: Any, features: Tensor) -> Tensor:
        highest = features.amax(dim=(0, 2, 3)).expand(len(features), -1)
        return torch.cat([features.mean(dim=(2, 3)), highest], dim=1)

    return forward


def _in_bfloat16(sound: Any) -> Any:
    def update(self: Any, *arguments: Any) -> None:
        sound(self, *arguments)
        with torch.no_grad():
            for average in self._averages:
                average.copy_(average.bfloat16())

    return update


def _other_view_as_it_is(_: Any) -> Any:
    def forward(self: Any, input: Tensor) -> Tensor:
        other = torch.unflatten(input, 0, (2, -1)).flip(0).flatten(0, 1)
        return nn.Conv2d.forward(self, torch.cat([input, other], dim=1))

    return forward


def _smoothed_policy(_: Any) -> Any:
    def policy_loss(logits: Tensor, target: Tensor, has_move: Tensor) -> Tensor:
        losses = functional.cross_entropy(
            logits.float(), target, reduction="none", label_smoothing=0.1
        )
        mask = has_move.to(losses.dtype)
        return (losses * mask).sum() / mask.sum().clamp(min=1.0)

    return policy_loss


def _not_zeroed(_: Any) -> Any:
    def prepare(self: Any, progress: float) -> None:
        vars(owner_module)["set_learning_rate"](self.optimiser, self._config, progress)

    return prepare


def _noisy(network: Any) -> None:
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.grad is not None:
                parameter.grad.add_(torch.randn_like(parameter.grad), alpha=_NOISE)


def _first_group_only(sound: Any) -> Any:
    def set_rate(optimiser: Any, config: Any, progress: float) -> None:
        kept = [group["lr"] for group in optimiser.param_groups]
        sound(optimiser, config, progress)
        for group, rate in list(zip(optimiser.param_groups, kept, strict=True))[1:]:
            group["lr"] = rate

    return set_rate


def _average_first(sound: Any) -> Any:
    def step(self: Any, batch: Any, positions_seen: int, max_positions: int) -> None:
        average = self.average
        if average is not None:
            average.update(len(batch), positions_seen + len(batch))
        self.average = None
        try:
            sound(self, batch, positions_seen, max_positions)
        finally:
            self.average = average

    return step


def _as_it_came(features: Tensor) -> Tensor:
    return features


def _last_block_skipped(network: Network) -> None:
    trunk: Any = network.trunk
    trunk.stages[-1][-1].forward = _as_it_came


SLIPS: dict[str, Slip] = {
    "cross-entropy of clipped probabilities": Slip(
        patched(readout_module.Bce, "loss", _clipped_probabilities),
        "clip|clamp|confident|gradient.*(zero|vanish)|vanish|no gradient|read-?out|floor|saturat|"
        "bounded|cross-entropy|logit",
        cause="The value loss is the cross-entropy of the probability clamped to 0.1 to 0.9: it "
        "has no gradient for answers beyond, not even where they are confidently wrong.",
    ),
    "value head ends in a ReLU": Slip(
        in_network(_rectified_output),
        "relu|negative|below (0|half|50)|never (answers|below)|non-negative|rectif|one side|"
        "activation after|last (layer|activation)|bounded|half of",
        {"value_head": "512->64->1"},
        cause="The value head has a ReLU after its output: the logit is never negative, so no "
        "answer is below 50%, and positions with a negative logit have no gradient.",
    ),
    "Muon on the heads too": Slip(
        patched(optimiser_module, "parameter_groups", _all_matrices),
        "muon|orthogonal|is_matrix|adamw",
        {"optimiser": {"name": "muon"}, "value_head": "512->64->1"},
        cause="Muon's groups hold the matrices of the heads as well, output layers included, "
        "where the configuration means AdamW for everything but the trunk.",
    ),
    "auxiliary weights times the number of heads": Slip(
        patched(Stepper, "__init__", _times_number_of_heads),
        "auxiliary|moves_left|ownership|winning_chain|moves left|winning chain",
        {"auxiliary": {"moves_left": 0.1, "ownership": 0.1, "winning_chain": 0.1}},
        cause="The weight of each auxiliary loss is multiplied by the number of auxiliary heads: "
        "with three of them, each counts three times as much as configured.",
    ),
    "prior set as a raw value": Slip(
        patched(prior_module, "raw_of", _probability),
        "prior|start_at_prior|first answers?|initial (answers?|bias|output)|logit|bias",
        {"readout": {"name": "bce", "start_at_prior": True}},
        cause="start_at_prior sets the head's last bias to the share of wins itself and not to "
        "its logit: the first answers are near 62% in place of the share.",
    ),
    "maximum over the batch": Slip(
        patched(MeanMaxPooling, "forward", _extremum_of_the_batch),
        "maxim|\\bmax\\b|pool|rest of the batch|other (rows|positions|batch)|alone|in a batch|"
        "across (the )?batch|over the batch|mean_max",
        {"value_head": "mean_max 512->64->1"},
        cause="The mean-max pooling of the value head takes its maximum over the batch as well: "
        "half of its inputs are the same for all positions and depend on the rest of the batch.",
    ),
    "average in bfloat16": Slip(
        patched(AveragedNetwork, "update", _in_bfloat16),
        "averag|\\bema\\b|bfloat16|precision|round",
        {"optimiser": {"ema_half_life": 1000}},
        cause="The averaged weights are kept in bfloat16: an update smaller than their rounding "
        "is lost, so the average lags or stands still.",
    ),
    "other view not turned back": Slip(
        patched(TwoViewConvolution, "forward", _other_view_as_it_is),
        "turned|turn back|view|equivarian|opposite (cell|place|corner)|far (cell|place|away)|"
        "local|mixes",
        {"trunk": {"preset": "tiny", "equivariant": True}},
        cause="A convolution of the equivariant trunk reads the channels of the other view without "
        "turning them back: a cell is mixed with the opposite cell of the board.",
    ),
    "policy smoothing over occupied cells": Slip(
        patched(step_module, "policy_loss", _smoothed_policy),
        "smooth|policy (loss|target)|occupied|illegal|uniform|all cells|cross-entropy",
        cause="The policy loss has a label smoothing of 0.1 over all cells, occupied ones "
        "included, which nobody configured: the policy is taught illegal moves.",
    ),
    "gradients accumulate": Slip(
        patched(Owner, "prepare", _not_zeroed),
        "zero_grad|not (cleared|zeroed|reset)|accumul|last step|earlier (steps|batches)|previous "
        "(steps|batch)|left from|sum of|add up|steps before",
        cause="Gradients are not set to zero between steps: each step uses the sum of all "
        "gradients so far (clipped ones), not that of its batch.",
    ),
    "noise on gradients": Slip(
        before_clipping(_noisy),
        "nois|random|not (that|those) of the (loss|batch)|gradients?.*(differ|other|chang|alter)",
        cause="Normal noise of standard deviation 0.005 is added to every gradient before "
        "clipping, left over from an experiment.",
    ),
    "rate of the first group only": Slip(
        patched(owner_module, "set_learning_rate", _first_group_only),
        "schedule|learning rate|\\brates?\\b|group|warm-?up|anneal",
        cause="The schedule sets the learning rate of the optimiser's first group only: norms, "
        "biases and heads stay at the peak rate for the whole training.",
    ),
    "average before the step": Slip(
        patched(Stepper, "step", _average_first),
        "averag|\\bema\\b|lag|one step|behind|before the (step|update)|old weights|stale",
        {"optimiser": {"ema_half_life": 200}},
        cause="The average is updated before the optimiser's step and not after it: it is always "
        "one step behind, and the last weights never enter it.",
    ),
    "right answers left out of the loss": Slip(
        in_value_loss(lambda value, batch: torch.where(value < _IGNORED, 0.0, value)),
        "easy|confident|ignor|left out|leaves? out|threshold|dropped|hinge|small loss|masked|"
        "already right|value loss.*(not|other|differ|cut|0 for)",
        cause="Positions whose value loss is below 0.5 (answers right with 61% or more) count "
        "as 0 in the value loss: answers are not driven beyond 61%, and calibration suffers.",
    ),
    "last block skipped": Slip(
        in_network(_last_block_skipped),
        "block|not used|unused|no gradient|never (used|trained)|no effect|skipped|without "
        "gradient|gets no|not trained|identity|does not depend|dead",
        {"trunk": {"preset": "tiny", "blocks": [2, 2]}},
        cause="The last residual block of the trunk is built but skipped in the forward pass: its "
        "weights have no effect and are never trained.",
    ),
}
