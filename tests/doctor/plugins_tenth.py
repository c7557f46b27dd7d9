"""Plug-ins of a search space, each with one mistake; `slips_tenth_plugins` says which.

They follow docs/own-networks.md. That of the last part is sound.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from tests.doctor.plugins_ninth import Network

_WIDTH = 32


class Block(nn.Module):
    """A residual block."""

    def __init__(self, width: int = _WIDTH) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, padding=1)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)
        self.norm = nn.GroupNorm(4, width)

    def inner(self, x: Tensor) -> Tensor:
        out: Tensor = self.conv2(functional.relu(self.conv1(x)))
        return out

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.norm(x + self.inner(x)))


class FromTheInput(Block):
    """The second convolution reads the block's input and not the first one's output."""

    def inner(self, x: Tensor) -> Tensor:
        out: Tensor = functional.relu(self.conv1(x))
        out = self.conv2(x)
        return out


class Blocks(Network):
    """The plain network with residual blocks in place of its convolutions."""

    def __init__(self, planes: int, side: int, size: int) -> None:
        super().__init__(planes, side, size)
        del self.conv1, self.conv2, self.norm
        self.blocks = self.make()

    def make(self) -> nn.Sequential:
        return nn.Sequential(*(Block() for _ in range(4)))

    def features(self, planes: Tensor) -> Tensor:
        out: Tensor = self.blocks(functional.relu(self.stem(planes)))
        return out


class OneBlockFourTimes(Blocks):
    def make(self) -> nn.Sequential:
        return nn.Sequential(*([Block()] * 4))


class SecondReadsTheInput(Blocks):
    def make(self) -> nn.Sequential:
        return nn.Sequential(*(FromTheInput() for _ in range(4)))


class ValueFromTheStem(Blocks):
    """The value head gets `x`, the stem's features, and not `out`, those of the blocks."""

    def forward(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        x = functional.relu(self.stem(planes))
        out = self.blocks(x)
        return self.moves(out).flatten(1), self.judged(x)


class NormBeforeTheMean(nn.Module):
    """A value head that normalises each map of a position and then takes its mean."""

    def __init__(self, inputs: int, hidden: int = 32) -> None:
        super().__init__()
        self.norm = nn.InstanceNorm2d(inputs, affine=True)
        self.layers = nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, 1))

    def forward(self, features: Tensor) -> Tensor:
        out: Tensor = self.layers(self.norm(features).mean(dim=(2, 3)))[:, 0]
        return out


class HexConvolution(nn.Conv2d):
    """A convolution over a cell and its six neighbours. Sound."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, 3, padding=1)
        mask = torch.ones(3, 3)
        mask[0, 0] = mask[2, 2] = 0.0
        self.mask: Tensor
        self.register_buffer("mask", mask)

    def forward(self, input: Tensor) -> Tensor:
        return functional.conv2d(input, self.weight * self.mask, self.bias, padding=1)


class HexNetwork(Blocks):
    """Convolutions over six neighbours, SiLU and dropout. Sound."""

    def make(self) -> nn.Sequential:
        layers: list[nn.Module] = []
        for _ in range(3):
            layers += [HexConvolution(_WIDTH, _WIDTH), nn.GroupNorm(4, _WIDTH), nn.SiLU()]
        return nn.Sequential(*layers, nn.Dropout2d(0.1))
