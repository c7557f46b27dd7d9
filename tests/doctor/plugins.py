"""Faulty plug-ins, named by import path in the fault suite."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from hexsearch.model.readout import Readout


class RawMseShownBySigmoid(Readout):
    """The fault that started it all: trained raw against 0 and 1, read out through a sigmoid."""

    def loss(self, raw: Tensor, target: Tensor) -> Tensor:
        return (raw - target).square()

    def win_prob(self, raw: Tensor) -> Tensor:
        return raw.sigmoid()


class SignedMseShownBySigmoid(Readout):
    """Trained raw against -1 and 1."""

    def loss(self, raw: Tensor, target: Tensor) -> Tensor:
        return (raw - (2.0 * target - 1.0)).square()

    def win_prob(self, raw: Tensor) -> Tensor:
        return raw.sigmoid()


class OtherSide(Readout):
    """Reports the chance of the outcome that target 0 stands for."""

    def loss(self, raw: Tensor, target: Tensor) -> Tensor:
        return functional.binary_cross_entropy_with_logits(raw, target, reduction="none")

    def win_prob(self, raw: Tensor) -> Tensor:
        return (-raw).sigmoid()


class SmoothsByItself(Readout):
    """Moves targets towards 0.5 although label_smoothing does so as well."""

    def loss(self, raw: Tensor, target: Tensor) -> Tensor:
        smoothed = 0.92 * target + 0.04
        return functional.binary_cross_entropy_with_logits(raw, smoothed, reduction="none")

    def win_prob(self, raw: Tensor) -> Tensor:
        return raw.sigmoid()


class SoundReadout(Readout):
    """Nothing wrong with it: sigmoid and squared error, in one formula."""

    def loss(self, raw: Tensor, target: Tensor) -> Tensor:
        return (self.win_prob(raw) - target).square()

    def win_prob(self, raw: Tensor) -> Tensor:
        return (2.0 * raw).sigmoid()


class DetachedHead(nn.Module):
    """Learns itself, but teaches the trunk nothing."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.output = nn.Linear(inputs, 1)

    def forward(self, features: Tensor) -> Tensor:
        out: Tensor = self.output(features.mean(dim=(2, 3)).detach())
        return out.squeeze(1)


class LoudHead(nn.Module):
    """Puts out hundreds, so that a sigmoid over it answers 0 or 1 and passes no gradient."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.output = nn.Linear(inputs, 1)

    def forward(self, features: Tensor) -> Tensor:
        out: Tensor = 3000.0 * self.output(features.mean(dim=(2, 3)))
        return out.squeeze(1)


class MaxHead(nn.Module):
    """Nothing wrong with it: mean and maximum, then one layer."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.output = nn.Linear(2 * inputs, 1)

    def forward(self, features: Tensor) -> Tensor:
        pooled = torch.cat([features.mean(dim=(2, 3)), features.amax(dim=(2, 3))], dim=1)
        out: Tensor = self.output(pooled)
        return out.squeeze(1)
