"""Faulty and sound plug-ins for the tests of faults."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from hexsearch.model.readout import Readout


class RawMseShownBySigmoid(Readout):
    """The fault of the original project: trained raw on 0 and 1, reported through a sigmoid."""

    def loss(self, raw: Tensor, target: Tensor) -> Tensor:
        return (raw - target).square()

    def win_prob(self, raw: Tensor) -> Tensor:
        return raw.sigmoid()


class SignedMseShownBySigmoid(Readout):
    """The same, trained on -1 and 1."""

    def loss(self, raw: Tensor, target: Tensor) -> Tensor:
        return (raw - (2.0 * target - 1.0)).square()

    def win_prob(self, raw: Tensor) -> Tensor:
        return raw.sigmoid()


class OtherSide(Readout):
    """Reports the probability of the outcome with target 0."""

    def loss(self, raw: Tensor, target: Tensor) -> Tensor:
        return functional.binary_cross_entropy_with_logits(raw, target, reduction="none")

    def win_prob(self, raw: Tensor) -> Tensor:
        return (-raw).sigmoid()


class SmoothsByItself(Readout):
    """Smooths labels, in addition to label_smoothing."""

    def loss(self, raw: Tensor, target: Tensor) -> Tensor:
        smoothed = 0.92 * target + 0.04
        return functional.binary_cross_entropy_with_logits(raw, smoothed, reduction="none")

    def win_prob(self, raw: Tensor) -> Tensor:
        return raw.sigmoid()


class SoundReadout(Readout):
    """Sound: squared error of the reported probability."""

    def loss(self, raw: Tensor, target: Tensor) -> Tensor:
        return (self.win_prob(raw) - target).square()

    def win_prob(self, raw: Tensor) -> Tensor:
        return (2.0 * raw).sigmoid()


class DetachedHead(nn.Module):
    """Does not train the trunk."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.output = nn.Linear(inputs, 1)

    def forward(self, features: Tensor) -> Tensor:
        out: Tensor = self.output(features.mean(dim=(2, 3)).detach())
        return out.squeeze(1)


class LoudHead(nn.Module):
    """Puts out such large values that a sigmoid saturates and passes no gradient."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.output = nn.Linear(inputs, 1)

    def forward(self, features: Tensor) -> Tensor:
        out: Tensor = 3000.0 * self.output(features.mean(dim=(2, 3)))
        return out.squeeze(1)


class MaxHead(nn.Module):
    """Sound: mean and maximum, then one layer."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.output = nn.Linear(2 * inputs, 1)

    def forward(self, features: Tensor) -> Tensor:
        pooled = torch.cat([features.mean(dim=(2, 3)), features.amax(dim=(2, 3))], dim=1)
        out: Tensor = self.output(pooled)
        return out.squeeze(1)


class EqualHead(nn.Module):
    """Begins with the same weights for every seed."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.output = nn.Linear(inputs, 1)

    def forward(self, features: Tensor) -> Tensor:
        out: Tensor = self.output(features.mean(dim=(2, 3)))
        return out.squeeze(1)


class Cautious(Readout):
    """A focal loss, which is not proper and says so."""

    proper = False

    def loss(self, raw: Tensor, target: Tensor) -> Tensor:
        entropy = functional.binary_cross_entropy_with_logits(raw, target, reduction="none")
        return (target - raw.sigmoid()).square() * entropy

    def win_prob(self, raw: Tensor) -> Tensor:
        return raw.sigmoid()


def sigmoid_layers(planes: int, side: int, features: int) -> nn.Module:
    """A trunk whose activations are sigmoids, one behind another."""
    layers: list[nn.Module] = []
    for inputs in (planes, *[features] * 7):
        layers += [nn.Conv2d(inputs, features, 3, padding=1), nn.Sigmoid()]
    return nn.Sequential(*layers)
