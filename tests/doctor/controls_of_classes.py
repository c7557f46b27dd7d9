"""Sound set-ups beside `slips_of_classes`: what the checks of these classes must leave alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from tests.doctor.outside import Foreign, as_shown
from tests.doctor.outside_networks import (
    ALPHAZERO,
    POOLED,
    WDL,
    Pooled,
    Tower,
    WinDrawLoss,
    absolute,
    canonical,
    cross_entropy,
)
from tests.doctor.slips import Slip, nothing

_HERE = "tests.doctor.plugins_of_classes:"


def _with_bias(stones: NDArray[np.int8], to_move: int) -> NDArray[np.float32]:
    """Own and other stones, a plane of ones, and one of the distance to the middle."""
    side = stones.shape[0]
    row = np.abs(np.arange(side) - (side - 1) / 2)
    far = (row[:, None] + row[None, :]) / side
    return np.concatenate([canonical(stones, to_move), np.ones((1, side, side)), far[None]]).astype(
        np.float32
    )


def _signed_zero(stones: NDArray[np.int8], to_move: int) -> NDArray[np.float32]:
    """Red, Blue, free cells and the side to move, which never are one another's copies."""
    return np.concatenate([absolute(stones, to_move), (stones == 0)[None].astype(np.float32)])


def _smoothed(raw: Tensor, target: Tensor) -> Tensor:
    return functional.cross_entropy(raw, target, label_smoothing=0.1)


class Logarithms(WinDrawLoss):
    """Gives logarithms of probabilities for policy and value. Sound."""

    def forward(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        policy, value = super().forward(planes)
        return policy.log_softmax(dim=1), value.log_softmax(dim=1)


def _wide(size: int) -> nn.Module:
    return WinDrawLossOfFour(size)


class WinDrawLossOfFour(WinDrawLoss):
    """The same for four planes."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.stem = nn.Conv2d(4, 24, 3, padding=1)


CONTROLS: dict[str, Slip | Foreign] = {
    "bias plane and distances": replace(
        ALPHAZERO, network=lambda size: Tower(size, planes=4), encode=_with_bias, moves=as_shown
    ),
    "plane of free cells": replace(WDL, network=_wide, encode=_signed_zero),
    "label smoothing of a tenth": replace(WDL, loss=_smoothed),
    "temperature at inference": replace(
        POOLED, loss=cross_entropy, decode=lambda raw: (raw[:, 0] / 1.5).sigmoid()
    ),
    "answers cut off by a thousandth": replace(
        POOLED,
        loss=cross_entropy,
        decode=lambda raw: raw[:, 0].sigmoid().clamp(1e-3, 1 - 1e-3),
    ),
    "logarithms of probabilities": replace(
        WDL, network=Logarithms, loss=functional.nll_loss, decode=lambda raw: raw[:, 0].exp()
    ),
    "value learnt with a small discount": replace(
        ALPHAZERO, targets=lambda samples: samples.result * 0.995**samples.left
    ),
    "logit in the pooled network": replace(
        POOLED, network=Pooled, loss=cross_entropy, decode=lambda raw: torch.sigmoid(raw[:, 0])
    ),
    "temperature in loss and answer": Slip(nothing, "", {"readout": {"name": _HERE + "Tempered"}}),
    "small epsilon before the logarithm": Slip(
        nothing, "", {"readout": {"name": _HERE + "SmallEpsilon"}}
    ),
}
