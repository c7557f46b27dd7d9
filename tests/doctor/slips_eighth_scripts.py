"""Slips of foreign scripts and exports, taken from public reports.

See `slips_eighth_data` for their origin and for what counts as named.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm

from tests.doctor.scripts import NOT_LEARNT, Script, asked_with, of_the_mover


def _filled(value: float) -> Any:
    """Planes whose third one is constant."""

    def shown(planes: Tensor) -> Tensor:
        made = planes.clone()
        made[:, 2] = value
        return made

    return shown


def _third_zero(planes: NDArray[np.float32]) -> NDArray[np.float32]:
    planes[2] = 0.0
    return planes


def _of_side(samples: Any, target: Tensor) -> Tensor:
    side: Tensor = samples.to_move
    return torch.where(side > 0, target, 1 - target)


def _tanh_loss(raw: Tensor, target: Tensor) -> Tensor:
    return functional.mse_loss(raw[:, 0].tanh(), 2 * target - 1)


def _sigmoid_to_signed(raw: Tensor, target: Tensor) -> Tensor:
    return functional.mse_loss(raw[:, 0].sigmoid(), 2 * target - 1)


def _leaky(network: Any, planes: Tensor) -> tuple[Tensor, Tensor]:
    features = planes
    for layer in network.trunk:
        rectifies = isinstance(layer, nn.ReLU)
        features = functional.leaky_relu(features, 0.1) if rectifies else layer(features)
    return network.policy(features).flatten(1), network.value(features)


def _beta_lost(network: nn.Module) -> None:
    network.eval()
    for module in network.modules():
        if isinstance(module, _BatchNorm):
            nn.init.zeros_(module.bias)


def _in_training_mode(network: Any, planes: Tensor) -> tuple[Tensor, Tensor]:
    network.train()
    outputs: tuple[Tensor, Tensor] = network.answer(planes)
    return outputs


def _masked_by_product(network: Any, planes: Tensor) -> tuple[Tensor, Tensor]:
    policy, value = network.answer(planes)
    empty = planes[:, :2].sum(dim=1).flatten(1) == 0
    return policy * empty, value


def _activation_missing(network: Any, planes: Tensor) -> tuple[Tensor, Tensor]:
    features = network.trunk(planes)
    hidden = network.value[1](network.value[0](features))
    return network.policy(features).flatten(1), network.value[3](hidden)


SCRIPTS: dict[str, Script] = {
    "plane of ones filled with zeros at inference": Script(
        "plane.*(3|ones|zero|constant|fill|side)|side.to.move.*(plane|constant|ignor)",
        shown=_filled(1.0),
        asked=asked_with(_third_zero, "absolute"),
        cause="The third plane holds ones in training and zeros at inference.",
        report="glinscott/leela-chess#558",
    ),
    "value of the mover without a mover on the planes": Script(
        "side.to.move.*(not|missing|never|no plane|constant|ignor)|(does not|no).*side to move",
        shown=_filled(0.0),
        asked=asked_with(_third_zero, "absolute"),
        targets=_of_side,
        decode=of_the_mover,
        cause="The value belongs to the side to move, which no plane shows.",
        report="google-deepmind/open_spiel#730",
    ),
    "tanh in training, sigmoid at inference": Script(
        "tanh|scale|temperature|too (close|near)|half|under-?confident|too cautious",
        loss=_tanh_loss,
        cause="The value was trained as tanh(raw) in [-1, 1] and is read as sigmoid(raw).",
        report="leela-zero/leela-zero#1484",
    ),
    "mover's value read as one colour's": Script(
        "side to move|mover|odd pl|one colour|Red is to move",
        view="mover",
        cause="The value belongs to the side to move and is read as Red's.",
        report="leela-zero/leela-zero#1311",
    ),
    "leaky ReLU at inference": Script(
        "relu|activation|negative|train.*infer|other (network|weights|answers)",
        answering=_leaky,
        cause="The network was trained with ReLU and answers with leaky ReLU.",
        report="pytorch/ELF#13",
    ),
    "shifts of the batch norms lost in the conversion": Script(
        "norm.*(shift|bias|beta|zero|lost)|(bias|shift).*norm",
        after=_beta_lost,
        cause="The shifts of the batch norms are 0 in the exported network.",
        report="leela-zero/leela-zero#1186",
    ),
    "predictions in training mode": Script(
        "eval|training mode|rest of the batch|batch.*statistic|depend.*batch",
        answering=_in_training_mode,
        cause="The network answers in training mode, so answers depend on the batch.",
        report="YAndrewL/CLAPE#1",
    ),
    "sigmoid before a loss on logits": Script(
        "sigmoid|twice|logit|0\\.5 (and|to) 0\\.73|range|squash",
        last=nn.Sigmoid,
        decode=lambda raw: raw.reshape(len(raw)),
        cause="The loss applies a sigmoid to a value that is already a probability.",
        report="BentouAI/AlphaZero-Chain-Reaction#2, forum",
    ),
    "illegal moves multiplied by 0": Script(
        "policy.*(occupied|illegal|legal|mask|taken|zero)",
        answering=_masked_by_product,
        cause="Logits of occupied cells are multiplied by 0, so these cells keep a probability.",
        report="CSSLab/maia2#14",
    ),
    "loss of a column against a row": Script(
        "broadcast|every label|mean|constant|same answer|" + NOT_LEARNT,
        loss=lambda raw, target: (raw.sigmoid() - target).square().mean(),
        cause="Outputs [B, 1] and labels [B] are broadcast to [B, B], so the mean is learnt.",
        report="forum",
    ),
    "board kept as unsigned bytes in training": Script(
        "255|-1|unsigned|plane.*(scale|value|other)|(stones|colour).*(-1|255|other)",
        view="signed",
        shown=lambda planes: torch.where(planes < 0, 255.0, planes),
        cause="Stones of -1 became 255 in training; at inference they are -1.",
        report="forum",
    ),
    "cross-entropy over one class": Script(
        "value.*(loss|constant|never|not|untrained|always)|" + NOT_LEARNT,
        loss=lambda raw, target: functional.cross_entropy(raw, torch.zeros(len(raw)).long()),
        cause="Softmax cross-entropy over a single output is always 0: the value learns nothing.",
        report="forum",
    ),
    "probabilities taught -1 and 1": Script(
        "-1|range|sigmoid|lost.*0|never below|half|0\\.5",
        loss=_sigmoid_to_signed,
        decode=lambda raw: (raw.reshape(len(raw)).sigmoid() + 1) / 2,
        cause="A sigmoid output is taught -1 and 1, so answers never fall below a half.",
        report="forum",
    ),
    "inputs standardised in training only": Script(
        "plane.*(scale|standard|normalis|shift|mean)|input.*(scale|standard|normalis)|inputs",
        shown=lambda planes: (planes - 0.2) / 0.4,
        cause="Planes are standardised in training, and not at inference.",
        report="forum",
    ),
    "activation missing in the exported head": Script(
        "relu|activation|value head.*(export|infer|other)|train.*infer|non-?linear",
        answering=_activation_missing,
        cause="The export leaves out the ReLU between the value head's two layers.",
        report="LeelaChessZero/lc0#2305",
    ),
}
