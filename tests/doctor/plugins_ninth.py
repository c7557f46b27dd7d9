"""Plug-ins of a search space, each with one mistake; `slips_ninth_plugins` says which.

They follow docs/own-networks.md: a head ends in a plain linear output, a read-out has a loss and
a probability, and a whole network gives logits of moves and a raw value. Those of the last part
are sound.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from hexsearch.model.readout import Readout


class AttentionHead(nn.Module):
    """Pools the cells by learnt weights."""

    def __init__(self, inputs: int, hidden: int = 32) -> None:
        super().__init__()
        self.score = nn.Linear(inputs, 1)
        self.layers = nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, 1))

    def forward(self, features: Tensor) -> Tensor:
        cells = features.flatten(2).transpose(1, 2)
        weights = self.score(cells)[..., 0].softmax(dim=0)
        pooled = (cells * weights[..., None]).sum(dim=1)
        out: Tensor = self.layers(pooled)[:, 0]
        return out


class CentredHead(nn.Module):
    """Takes the running mean of its answers away from them in training, as PopArt does."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(inputs, 32), nn.ReLU(), nn.Linear(32, 1))
        self.mean: Tensor
        self.register_buffer("mean", torch.zeros(()))

    def forward(self, features: Tensor) -> Tensor:
        out: Tensor = 4.0 + self.layers(features.mean(dim=(2, 3)))[:, 0]
        if not self.training:
            return out
        self.mean.lerp_(out.detach().mean(), 0.1)
        return out - self.mean


class Focal(Readout):
    """Focal loss with exponent 2; not proper, as the contract wants to have it said."""

    proper = False

    def loss(self, raw: Tensor, target: Tensor) -> Tensor:
        entropy = functional.binary_cross_entropy_with_logits(raw, target, reduction="none")
        right = target * raw.sigmoid() + (1 - target) * (1 - raw.sigmoid())
        return (1 - right).square() * entropy

    def win_prob(self, raw: Tensor) -> Tensor:
        return raw.sigmoid()


class SignedShownClamped(Readout):
    """AlphaZero's loss, and its value as a probability."""

    def loss(self, raw: Tensor, target: Tensor) -> Tensor:
        return (raw.tanh() - (2 * target - 1)).square()

    def win_prob(self, raw: Tensor) -> Tensor:
        return raw.tanh().clamp(0, 1)


class Smoothed(Readout):
    """Cross-entropy with smoothed targets."""

    def loss(self, raw: Tensor, target: Tensor) -> Tensor:
        smooth = target * (1 - 0.3) + 0.3
        return functional.binary_cross_entropy_with_logits(raw, smooth, reduction="none")

    def win_prob(self, raw: Tensor) -> Tensor:
        return raw.sigmoid()


class Clipped(Readout):
    """Cross-entropy with a logit that is clipped for stability."""

    def loss(self, raw: Tensor, target: Tensor) -> Tensor:
        logit = raw.clamp(-3, 3)
        return functional.binary_cross_entropy_with_logits(logit, target, reduction="none")

    def win_prob(self, raw: Tensor) -> Tensor:
        return raw.clamp(-3, 3).sigmoid()


class Network(nn.Module):
    """A plain convolutional network with two heads."""

    def __init__(self, planes: int, side: int, size: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(planes, 32, 3, padding=1)
        self.conv1 = nn.Conv2d(32, 32, 3, padding=1)
        self.conv2 = nn.Conv2d(32, 32, 3, padding=1)
        self.norm = nn.GroupNorm(4, 32)
        self.policy = nn.Conv2d(32, 1, 1)
        self.value = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1))
        self.margin, self.size = (side - size) // 2, size

    def features(self, planes: Tensor) -> Tensor:
        x = functional.relu(self.stem(planes))
        x = x + functional.relu(self.conv1(x))
        return functional.relu(self.norm(x + self.conv2(x)))

    def moves(self, features: Tensor) -> Tensor:
        """[B, N, N] logits of the board without its ring."""
        ends = slice(self.margin, self.margin + self.size)
        out: Tensor = self.policy(features)[:, 0, ends, ends]
        return out

    def judged(self, features: Tensor) -> Tensor:
        pooled = torch.cat([features.mean(dim=(2, 3)), features.amax(dim=(2, 3))], dim=1)
        out: Tensor = self.value(pooled)[:, 0]
        return out

    def forward(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        features = self.features(planes)
        return self.moves(features).flatten(1), self.judged(features)


class ByColumns(Network):
    def forward(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        features = self.features(planes)
        return self.moves(features).transpose(1, 2).flatten(1), self.judged(features)


class FirstPlane(Network):
    def __init__(self, planes: int, side: int, size: int) -> None:
        super().__init__(1, side, size)

    def features(self, planes: Tensor) -> Tensor:
        return super().features(planes[:, :1])


class EndsInTanh(Network):
    def judged(self, features: Tensor) -> Tensor:
        return super().judged(features).tanh()


class Detached(Network):
    def judged(self, features: Tensor) -> Tensor:
        return super().judged(features.detach())


def sigmoid_trunk(planes: int, side: int, features: int) -> nn.Module:
    """Eight convolutions with a sigmoid after each."""
    layers: list[nn.Module] = []
    for inputs in (planes, *[features] * 7):
        layers += [nn.Conv2d(inputs, features, 3, padding=1), nn.Sigmoid()]
    return nn.Sequential(*layers)


def always_equal(planes: int, side: int, size: int) -> nn.Module:
    """The network, with the seed that makes a script reproducible."""
    torch.manual_seed(42)
    return Network(planes, side, size)


class Spherical(Readout):
    """The spherical score, which is proper. Sound."""

    def loss(self, raw: Tensor, target: Tensor) -> Tensor:
        p = raw.sigmoid()
        right = target * p + (1 - target) * (1 - p)
        return 1 - right / (p.square() + (1 - p).square()).sqrt()

    def win_prob(self, raw: Tensor) -> Tensor:
        return raw.sigmoid()


class Mapped(nn.Module):
    """Gives a mapping, a value [B, 1], and sums over rows and columns. Sound."""

    def __init__(self, planes: int, side: int, size: int) -> None:
        super().__init__()
        self.inner = Network(planes, side, size)
        self.value = nn.Sequential(nn.Linear(2 * 32 * side, 48), nn.SiLU(), nn.Linear(48, 1))

    def forward(self, planes: Tensor) -> dict[str, Tensor]:
        features = self.inner.features(planes)
        lines = torch.cat([features.mean(dim=2), features.mean(dim=3)], dim=1).flatten(1)
        return {
            "policy": self.inner.moves(features).flatten(1),
            "value": self.value(lines) + self.inner.judged(features)[:, None],
        }
