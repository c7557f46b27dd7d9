"""Unusual but sound pipelines beside the twenty-third set, which must raise no error.

A rate and a beta that are not those of the configuration are worth a warning.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from hexsearch.data import position_set as position_set_module
from hexsearch.model import trunk as trunk_module
from hexsearch.model.readout import Bce
from hexsearch.training.optimisation import owner as owner_module
from tests.doctor.controls_of_twenty_second import by_generator
from tests.doctor.slips import Slip, in_optimiser, patched
from tests.doctor.slips_twenty_second_training import in_policy_loss


def _drawn_by_numpy(_: Any) -> Any:
    """The usual distribution, drawn by numpy from a seed that torch's generator gives."""

    def initialise(trunk: nn.Module) -> None:
        rng = np.random.default_rng(int(torch.randint(1 << 62, ())))
        for module in trunk.modules():
            if isinstance(module, nn.Conv2d):
                deviation = (2.0 / (module.out_channels * module.weight[0, 0].numel())) ** 0.5
                drawn = rng.normal(0.0, deviation, size=tuple(module.weight.shape))
                with torch.no_grad():
                    module.weight.copy_(torch.from_numpy(drawn.astype(np.float32)))
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    return initialise


def _two_logsigmoids(_: Any) -> Any:
    def loss(self: Any, raw: Tensor, target: Tensor) -> Tensor:
        won, lost = functional.logsigmoid(raw), functional.logsigmoid(-raw)
        return -(target * won + (1.0 - target) * lost)

    return loss


def _gathered_log_softmax(_: Any) -> Any:
    """The same cross-entropy by a log-softmax, over the rows that have a move."""

    def loss(logits: Tensor, target: Tensor, has_move: Tensor) -> Tensor:
        chosen = logits.float().log_softmax(1).gather(1, target[:, None])[:, 0]
        return torch.where(has_move, -chosen, 0.0).sum() / has_move.sum().clamp(min=1)

    return loss


def _trapezoid(_: Any) -> Any:
    """Warm-up, the peak rate, and a straight line to zero over the last 40%."""

    def set_rates(optimiser: Any, config: Any, progress: float) -> None:
        rising = min(0.04 + 0.96 * progress / max(config.warmup, 1e-9), 1.0)
        falling = min(max(1.0 - progress, 0.0) / 0.4, 1.0)
        for group in optimiser.param_groups:
            group["lr"] = config.learning_rate * min(rising, falling) * group["factor"]

    return set_rates


def _shorter_memory(optimiser: Any) -> None:
    for group in optimiser.param_groups:
        group["betas"] = (group["betas"][0], 0.98)


CONTROLS: dict[str, Slip] = {
    "initial weights drawn by numpy": Slip(
        patched(trunk_module, "_initialise", _drawn_by_numpy),
        "$^",
        cause="Convolutions of the trunk are drawn by numpy from the usual distribution.",
    ),
    "cross-entropy by two logsigmoids": Slip(
        patched(Bce, "loss", _two_logsigmoids), "$^", cause="The same loss by two logsigmoids."
    ),
    "order of draws by numpy": Slip(
        patched(position_set_module, "without_replacement", by_generator),
        "$^",
        cause="Each pass is a permutation of numpy's generator.",
    ),
    "policy loss by a gathered log-softmax": Slip(
        in_policy_loss(_gathered_log_softmax),
        "$^",
        cause="The same policy loss by another formula.",
    ),
    "trapezoidal schedule": Slip(
        patched(owner_module, "set_learning_rate", _trapezoid),
        "$^",
        cause="Warm-up, constant rate, then a straight line to zero.",
    ),
    "second beta of 0.98": Slip(
        in_optimiser(_shorter_memory), "$^", cause="AdamW's second moments have a beta of 0.98."
    ),
}
