"""Plug-ins of a search space, each with one mistake; `slips_eleventh_plugins` says which.

They follow docs/own-networks.md. That of the last part is sound.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from tests.doctor.plugins_ninth import Network


def pointwise_trunk(planes: int, side: int, features: int) -> nn.Module:
    """Convolutions with norm and ReLU, whose kernel size was left at 1."""
    layers: list[nn.Module] = []
    for inputs in (planes, features, features, features):
        layers += [nn.Conv2d(inputs, features, 1), nn.GroupNorm(4, features), nn.ReLU()]
    return nn.Sequential(*layers)


class WithoutActivations(nn.Module):
    """Convolutions one after the other, and two layers for the value, with nothing in between."""

    def __init__(self, planes: int, side: int, size: int) -> None:
        super().__init__()
        layers = [nn.Conv2d(inputs, 32, 3, padding=1) for inputs in (planes, 32, 32, 32)]
        self.trunk = nn.Sequential(*layers)
        self.policy = nn.Conv2d(32, 1, 1)
        self.value = nn.Sequential(nn.Linear(32, 64), nn.Linear(64, 1))
        self.margin, self.size = (side - size) // 2, size

    def forward(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        features = self.trunk(planes)
        ends = slice(self.margin, self.margin + self.size)
        policy = self.policy(features)[:, 0, ends, ends].flatten(1)
        return policy, self.value(features.mean(dim=(2, 3)))[:, 0]


class LogSoftmaxPolicy(Network):
    """Its policy is a log-softmax of the logits, which cross-entropy leaves as it is. Sound."""

    def forward(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        features = self.features(planes)
        logits = self.moves(features).flatten(1)
        return functional.log_softmax(logits, dim=1), self.judged(features)


class Twins(nn.Module):
    """The mean of two networks side by side, each with its own weights. Sound."""

    def __init__(self, planes: int, side: int, size: int) -> None:
        super().__init__()
        self.first, self.second = Network(planes, side, size), LogSoftmaxPolicy(planes, side, size)

    def forward(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        answers = [self.first(planes), self.second(planes)]
        policy, value = (torch.stack(each).mean(dim=0) for each in zip(*answers, strict=True))
        return policy, value
