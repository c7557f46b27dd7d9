"""Slips of networks, losses and steps of the sixth set, written before they were run.

See `slips_sixth_data` for what counts as named.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from hexsearch.data.batch import Batch
from hexsearch.model.network import Network
from hexsearch.training.optimisation import owner as steps
from hexsearch.training.optimisation.optimiser import parameter_groups
from tests.doctor.slips import (
    Inject,
    Patch,
    Slip,
    before_clipping,
    each_group,
    in_losses,
    in_network,
    in_part,
    in_value_loss,
)

_SGD = {"optimiser": {"name": "sgd", "learning_rate": 0.05}}


def _values_and_answers(batch: Batch, stepper: Any) -> tuple[Any, Tensor]:
    readout = stepper._readouts[0]
    return readout, stepper.network(batch.planes).value_raw.float()


def _absolute_error(losses: Any, batch: Batch, stepper: Any) -> Any:
    readout, raw = _values_and_answers(batch, stepper)
    return losses._replace(values=((readout.win_prob(raw) - batch.outcome).abs(),))


def _confidence_penalty(losses: Any, batch: Batch, stepper: Any) -> Any:
    readout, raw = _values_and_answers(batch, stepper)
    p = readout.win_prob(raw).clamp(1e-6, 1 - 1e-6)
    entropy = -(p * p.log() + (1 - p) * (1 - p).log())
    return losses._replace(values=(losses.value - 0.5 * entropy,))


def _with_penalty(losses: Any, batch: Batch, stepper: Any) -> Any:
    penalty = sum(p.square().sum() for p in stepper.network.parameters())
    return losses._replace(values=(losses.value + 0.01 * penalty,))


def _each_with_every(losses: Any, batch: Batch, stepper: Any) -> Any:
    readout, raw = _values_and_answers(batch, stepper)
    shape = (len(raw), len(raw))
    each = readout.loss(raw[:, None].expand(shape), batch.outcome[None].expand(shape))
    return losses._replace(values=(each.mean(dim=1),))


def _played_move_masked(losses: Any, batch: Batch, stepper: Any) -> Any:
    """The mask of legal moves is that of the board after the move."""
    logits = stepper.network(batch.planes).policy_logits.float()
    masked = logits.scatter(1, batch.policy_target[:, None], -30.0)
    each = functional.cross_entropy(masked, batch.policy_target, reduction="none")
    policy = (each * batch.has_move).sum() / batch.has_move.sum().clamp(min=1)
    return losses._replace(policy=policy)


def _decay_in_the_gradient(patch: Patch) -> None:
    each_group(lambda group: True, weight_decay=0.0)(patch)

    def add(network: Any) -> None:
        for parameter in network.parameters():
            if parameter.grad is not None and parameter.ndim >= 2:
                parameter.grad.add_(parameter.detach(), alpha=0.1)

    before_clipping(add)(patch)


def _rmsprop(patch: Patch) -> None:
    def build(network: Any, config: Any, device: torch.device) -> Any:
        return torch.optim.RMSprop(parameter_groups(network, config), lr=config.learning_rate)

    patch.setattr(steps, "build_optimiser", build)


def _summed_over_workers(network: Any) -> None:
    for parameter in network.parts()["trunk"].parameters():
        if parameter.grad is not None:
            parameter.grad.mul_(4.0)


def _hundredth(features: Tensor) -> Tensor:
    return 0.99 * features.detach() + 0.01 * features


def _column_by_column(logits: Tensor) -> Tensor:
    return logits.reshape(-1, 5, 5).transpose(1, 2).flatten(1)


class _SkippedAtRandom(nn.Module):
    """A block that training skips half of the time, without a factor in evaluation."""

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.block = block

    def forward(self, x: Tensor) -> Tensor:
        if self.training and float(torch.rand(())) < 0.5:
            return x
        out: Tensor = self.block(x)
        return out


def _skipped_at_random(network: Network) -> None:
    stages: Any = network.trunk.stages
    stages[0][0] = _SkippedAtRandom(stages[0][0])


def _before(part: str, module: Callable[[], nn.Module]) -> Inject:
    return in_network(lambda n: setattr(n, part, nn.Sequential(module(), getattr(n, part))))


def _after(part: str, module: Callable[[], nn.Module]) -> Inject:
    return in_network(lambda n: setattr(n, part, nn.Sequential(getattr(n, part), module())))


SLIPS: dict[str, Slip] = {
    "dropout on the input": Slip(
        _before("trunk", lambda: nn.Dropout(0.3)),
        "(dropout|stones|cells|planes|input).*(drop|missing|random|training)|dropout",
        cause="Dropout acts on the planes: stones are missing at random in training.",
    ),
    "mask of the policy on the value loss": Slip(
        in_value_loss(lambda value, batch: value * batch.has_move),
        "(finished|final|no next move|over).*(loss|weight|left out|0|count)"
        "|(loss|value).*(finished|final|no next move)",
        cause="Finished boards have no value loss.",
    ),
    "wins weigh three times": Slip(
        in_value_loss(lambda value, batch: value * (1 + 2 * batch.outcome)),
        "(label|target|won|win|outcome|winner|ones?).*(weigh|times|factor|3)"
        "|(weigh|times|factor|3).*(label|target|won|win|outcome|winner)",
        cause="The value loss of won positions is multiplied by 3.",
    ),
    "absolute error in place of the configured loss": Slip(
        in_losses(_absolute_error),
        "absolute|another (loss|formula)|other (loss|formula)|L1|linear",
        cause="The value loss is |p - label|.",
    ),
    "policy loss summed over the batch": Slip(
        in_losses(lambda m, batch, _: m._replace(policy=m.policy * batch.has_move.sum())),
        "policy.*(sum|times|multipl|factor|not divided|number of)",
        cause="The policy loss is a sum over the batch.",
    ),
    "confidence penalty on the value": Slip(
        in_losses(_confidence_penalty),
        "entropy|confiden|penalty|towards|0\\.5|a half",
        cause="Half of the answer's entropy is subtracted from the value loss.",
    ),
    "penalty on all weights inside the loss": Slip(
        in_losses(_with_penalty),
        "penalty|square|weights|L2|norm|decay",
        cause="0.01 times the sum of squared weights is added to the value loss.",
    ),
    "loss of every answer with every label": Slip(
        in_losses(_each_with_every),
        "broadcast|every (label|row)|all labels|mean label|\\[B, B\\]|other rows|whole batch",
        cause="Each answer is compared with all labels of the batch, by broadcasting.",
    ),
    "played move masked out": Slip(
        in_losses(_played_move_masked),
        "policy.*(mask|played|legal|target|right move|30)|mask",
        cause="The logit of the played move is masked in the policy loss.",
    ),
    "L2 in the gradient instead of decoupled decay": Slip(
        _decay_in_the_gradient,
        "decay|L2|decoupled|weights.*gradient|gradient.*weights",
        {"optimiser": {"weight_decay": 0.1}},
        cause="Weight decay is added to the gradient before Adam, not decoupled.",
    ),
    "dampening of the momentum": Slip(
        each_group(lambda group: True, dampening=0.9),
        "dampen|momentum|0\\.1|tenth|smaller|Nesterov",
        _SGD,
        cause="SGD's gradient enters the momentum with a factor of 0.1.",
    ),
    "RMSprop of the last experiment": Slip(
        _rmsprop,
        "RMSprop|without momentum|no momentum|another optimiser|other optimiser|not (those of )?"
        "AdamW|beta",
        cause="The optimiser is RMSprop, not AdamW.",
    ),
    "gradients of the trunk summed over workers": Slip(
        before_clipping(_summed_over_workers),
        "trunk.*(4|times|multipl|factor|larger)|(4|times|multipl).*trunk",
        cause="The trunk's gradients are multiplied by 4, those of the heads are not.",
    ),
    "a hundredth of the value gradient reaches the trunk": Slip(
        in_part("value_head", before=_hundredth),
        "value.*(trunk|reach|0\\.01|1%|hundred)|detach",
        cause="The value gradient that reaches the trunk is multiplied by 0.01.",
    ),
    "policy map flattened column by column": Slip(
        in_part("policy_head", after=_column_by_column),
        "policy.*(column|transpos|axes|row)|transpos",
        {"policy_head": {"family": "convolution", "weight": 1.0}},
        cause="Logits of the policy stand in the transposed order of cells.",
    ),
    "board seen through a max pooling": Slip(
        _before("trunk", lambda: nn.MaxPool2d(3, 1, 1)),
        "pool|blur|neighbour|single (stone|cell)|cells.*(not|same)|distinguish|tell.*apart|input",
        cause="The input goes through a max pooling of 3x3: single stones cannot be told apart.",
    ),
    "dropout on the value output": Slip(
        _after("value_head", lambda: nn.Dropout(0.3)),
        "dropout.*(output|value|last)|(output|value).*(dropout|dropped|0 in training|random)",
        cause="Dropout acts on the value itself: it is 0 for three of ten positions in training.",
    ),
    "blocks skipped at random and not scaled": Slip(
        in_network(_skipped_at_random),
        "train.*eval|eval.*train|random|skipp|stochastic|modes?\\b",
        cause="Training skips a block half of the time; evaluation uses it with its full weight.",
    ),
}
