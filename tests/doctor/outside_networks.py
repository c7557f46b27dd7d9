"""Small networks of the kinds that scripts on board games use, each with a script without a slip.

`SOUND` holds the scripts; the slips of the ninth set change one thing in one of them.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from tests.doctor.outside import Foreign, Samples, as_shown

_WIDTH = 24


class Residual(nn.Module):
    """Two convolutions with a norm each, round a shortcut."""

    def __init__(self, norm: type[nn.Module] = nn.BatchNorm2d, momentum: float = 0.1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(_WIDTH, _WIDTH, 3, padding=1, bias=False)
        self.conv2 = nn.Conv2d(_WIDTH, _WIDTH, 3, padding=1, bias=False)
        grouped = norm is nn.GroupNorm
        self.norm1, self.norm2 = (
            nn.GroupNorm(4, _WIDTH) if grouped else nn.BatchNorm2d(_WIDTH, momentum=momentum)
            for _ in range(2)
        )

    def forward(self, x: Tensor) -> Tensor:
        inner = functional.relu(self.norm1(self.conv1(x)))
        return functional.relu(x + self.norm2(self.conv2(inner)))


class Tower(nn.Module):
    """A residual tower with the two heads of AlphaZero: the value ends in a tanh."""

    def __init__(self, size: int, planes: int = 2, momentum: float = 0.1) -> None:
        super().__init__()
        self.stem = nn.Conv2d(planes, _WIDTH, 3, padding=1)
        self.blocks = nn.Sequential(*(Residual(momentum=momentum) for _ in range(2)))
        self.policy = nn.Conv2d(_WIDTH, 1, 1)
        self.value_conv = nn.Conv2d(_WIDTH, 8, 1)
        self.value_norm = nn.BatchNorm2d(8, momentum=momentum)
        self.value_fc1 = nn.Linear(8 * size * size, 32)
        self.value_fc2 = nn.Linear(32, 1)

    def forward(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        features = self.blocks(functional.relu(self.stem(planes)))
        value = functional.relu(self.value_norm(self.value_conv(features))).flatten(1)
        value = self.value_fc2(functional.relu(self.value_fc1(value)))
        return self.policy(features).flatten(1), value.tanh()


class WinDrawLoss(nn.Module):
    """Residual blocks with group norm, and a value of three logits: win, draw and loss of Red."""

    def __init__(self, size: int, softmax: bool = False) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, _WIDTH, 3, padding=1)
        self.blocks = nn.Sequential(*(Residual(nn.GroupNorm) for _ in range(2)))
        self.policy = nn.Conv2d(_WIDTH, 1, 1)
        self.value = nn.Sequential(
            nn.Conv2d(_WIDTH, 8, 1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(8 * size * size, 32),
            nn.ReLU(),
            nn.Linear(32, 3),
            *([nn.Softmax(dim=1)] if softmax else []),
        )

    def forward(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        features = self.blocks(functional.relu(self.stem(planes)))
        return self.policy(features).flatten(1), self.value(features)


class BoardTransformer(nn.Module):
    """A token for each cell and its state, two layers, and heads on the tokens and on their mean.

    Without `placed`, a token says only the state and not the cell.
    """

    def __init__(self, size: int, placed: bool = True, outputs: int = 1) -> None:
        super().__init__()
        cells = torch.arange(size * size) if placed else torch.zeros(size * size).long()
        self.first: Tensor
        self.register_buffer("first", 3 * cells)
        self.states = nn.Embedding(3 * size * size, _WIDTH)
        self.side = nn.Linear(1, _WIDTH)
        layer = nn.TransformerEncoderLayer(
            _WIDTH, 4, 48, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        self.layers = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.policy = nn.Linear(_WIDTH, 1)
        self.value = nn.Sequential(nn.Linear(_WIDTH, 32), nn.GELU(), nn.Linear(32, outputs))

    def forward(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        stones, sides = planes.flatten(2).unbind(dim=1)
        tokens = self.states(stones.round().long() + 1 + self.first)
        tokens = self.layers(tokens + self.side(sides[..., None]))
        return self.policy(tokens)[..., 0], self.value(tokens.mean(dim=1))


class Pooled(nn.Module):
    """Convolutions, mean and max over the board, and one linear value in [0, 1] for Red."""

    def __init__(self, size: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for inputs in (3, 32, 32, 32):
            layers += [nn.Conv2d(inputs, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU()]
        self.trunk = nn.Sequential(*layers)
        self.policy = nn.Conv2d(32, 1, 1)
        self.value = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 1))

    def forward(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        features = self.trunk(planes)
        pooled = torch.cat([features.mean(dim=(2, 3)), features.amax(dim=(2, 3))], dim=1)
        return self.policy(features).flatten(1), self.value(pooled)


class OneOutput(nn.Module):
    """A perceptron whose one output holds the value, followed by the policy."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Flatten(),
            nn.Linear(2 * size * size, 128),
            nn.ReLU(),
            nn.Linear(128, 128),
            nn.ReLU(),
            nn.Linear(128, 1 + size * size),
        )
        self.value_first = True

    def forward(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        out = self.layers(planes)
        return (out[:, 1:], out[:, 0]) if self.value_first else (out[:, :-1], out[:, -1])


def canonical(stones: NDArray[np.int8], to_move: int) -> NDArray[np.float32]:
    """Own and other stones; transposed for Red, so that the side to move connects top to bottom."""
    shown = -stones.T if to_move > 0 else stones
    return np.stack([shown == -1, shown == 1]).astype(np.float32)


def absolute(stones: NDArray[np.int8], to_move: int) -> NDArray[np.float32]:
    """Red's stones, Blue's stones, and the side to move as -1, 0 or 1."""
    return np.stack([stones == 1, stones == -1, np.full(stones.shape, to_move)]).astype(np.float32)


def signed(stones: NDArray[np.int8], to_move: int) -> NDArray[np.float32]:
    """One plane of stones, and one of the side to move."""
    return np.stack([stones, np.full(stones.shape, to_move)]).astype(np.float32)


def of_mover(raw: Tensor, to_move: Tensor) -> Tensor:
    """Red's chance from a value in [-1, 1] of the side to move."""
    chance = (raw.reshape(len(raw)) + 1) / 2
    return torch.where(to_move > 0, chance, 1 - chance)


def win_and_half_draw(raw: Tensor) -> Tensor:
    """Red's chance from logits of win, draw and loss."""
    chances = raw.softmax(dim=1)
    return chances[:, 0] + chances[:, 1] / 2


def squared(raw: Tensor, target: Tensor) -> Tensor:
    """Mean squared error of one value."""
    return functional.mse_loss(raw.reshape(len(raw)), target)


def cross_entropy(raw: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy of one logit."""
    return functional.binary_cross_entropy_with_logits(raw.reshape(len(raw)), target)


def for_red(samples: Samples) -> Tensor:
    """1.0 where Red wins, else 0.0."""
    return (samples.won > 0).float()


ALPHAZERO = Foreign(
    Tower, canonical, lambda samples: samples.result, squared, of_mover, moves=as_shown
)
WDL = Foreign(
    WinDrawLoss,
    absolute,
    lambda samples: 1 - samples.won.long(),
    functional.cross_entropy,
    win_and_half_draw,
)
TRANSFORMER = Foreign(
    BoardTransformer, signed, for_red, cross_entropy, lambda raw: raw[:, 0].sigmoid()
)
POOLED = Foreign(Pooled, absolute, for_red, squared, lambda raw: raw[:, 0].clamp(0, 1))
ONE_OUTPUT = Foreign(OneOutput, signed, for_red, cross_entropy, torch.sigmoid)
SOUND = {
    "AlphaZero's tower": ALPHAZERO,
    "win, draw and loss": WDL,
    "transformer": TRANSFORMER,
    "pooled value": POOLED,
    "one output for both": ONE_OUTPUT,
}
