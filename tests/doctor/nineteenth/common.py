"""Boards, planes and small networks that the training scripts of this folder share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

N = 9
BLUE, RED = -1, 1
Game = tuple[list[int], bool]
Planes = NDArray[np.float32]
Stones = NDArray[np.int8]


@dataclass(frozen=True)
class Script:
    """One training script: what doctor is given, and what it ought to say about it."""

    train: Callable[[list[Game]], Any]
    load: Callable[[], Any]
    encode: Callable[[Stones, int], Planes]
    named_by: str
    cause: str


def replay(moves: list[int]) -> Iterator[tuple[Stones, int, int]]:
    """Yield the stones, the side to move and the move for each position of a game."""
    stones = np.zeros((N, N), np.int8)
    mover = BLUE
    for move in moves:
        yield stones.copy(), mover, move
        stones[move // N, move % N] = mover
        mover = -mover


def mover_of(stones: Stones, to_move: int) -> int:
    """Return the side to move, by the number of stones where none is given."""
    return to_move or (BLUE if int(stones.sum()) == 0 else RED)


def fixed3(stones: Stones, to_move: int) -> Planes:
    """Blue's stones, Red's stones, and who is to move as -1 or +1."""
    return np.stack([stones == BLUE, stones == RED, np.full((N, N), to_move)]).astype(np.float32)


def fixed5(stones: Stones, to_move: int) -> Planes:
    """Blue's and Red's stones, free cells, 1 where Red is to move, and a plane of ones."""
    turn, ones = np.full((N, N), to_move == RED), np.ones((N, N))
    return np.stack([stones == BLUE, stones == RED, stones == 0, turn, ones]).astype(np.float32)


def own3(stones: Stones, to_move: int) -> Planes:
    """The mover's stones, the other side's, and 1 where Red is to move."""
    mover = mover_of(stones, to_move)
    return np.stack([stones == mover, stones == -mover, np.full((N, N), mover == RED)]).astype(
        np.float32
    )


def own4(stones: Stones, to_move: int) -> Planes:
    """The mover's stones, the other side's, free cells, and 1 where Red is to move."""
    mover = mover_of(stones, to_move)
    return np.stack(
        [stones == mover, stones == -mover, stones == 0, np.full((N, N), mover == RED)]
    ).astype(np.float32)


def signed2(stones: Stones, to_move: int) -> Planes:
    """One plane of stones as -1, 0, +1 and one of the side to move."""
    return np.stack([stones, np.full((N, N), to_move)]).astype(np.float32)


def canonical3(stones: Stones, to_move: int) -> Planes:
    """The board turned for the mover to connect top and bottom, and 1 where Red moves."""
    mover = mover_of(stones, to_move)
    board = stones if mover == BLUE else stones.T
    return np.stack([board == mover, board == -mover, np.full((N, N), mover == RED)]).astype(
        np.float32
    )


class ConvNet(nn.Module):
    """Plain convolutions, a policy by 1x1 convolution, and a value of one or more outputs."""

    def __init__(
        self,
        planes: int,
        channels: int = 32,
        layers: int = 3,
        values: int = 1,
        tanh: bool = False,
        norm: bool = False,
    ) -> None:
        super().__init__()
        body: list[nn.Module] = []
        for i in range(layers):
            body.append(nn.Conv2d(planes if i == 0 else channels, channels, 3, padding=1))
            body += [nn.GroupNorm(4, channels)] if norm else []
            body.append(nn.ReLU())
        self.body = nn.Sequential(*body)
        self.policy = nn.Conv2d(channels, 1, 1)
        self.reduce = nn.Conv2d(channels, 4, 1)
        self.value = nn.Sequential(nn.Linear(4 * N * N, 64), nn.ReLU(), nn.Linear(64, values))
        self.tanh = tanh

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return policy logits and value."""
        h = self.body(x)
        value = self.value(F.relu(self.reduce(h)).flatten(1))
        return self.policy(h).flatten(1), torch.tanh(value) if self.tanh else value


class Block(nn.Module):
    """A residual block with batch norm."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's output."""
        h = F.relu(self.bn1(self.conv1(x)))
        return F.relu(x + self.bn2(self.conv2(h)))


class Stem(nn.Sequential):
    """The first convolution of a residual network."""

    def __init__(self, planes: int, channels: int) -> None:
        super().__init__(
            nn.Conv2d(planes, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
        )


class PolicyHead(nn.Sequential):
    """AlphaZero's policy head."""

    def __init__(self, channels: int) -> None:
        conv = nn.Conv2d(channels, 2, 1, bias=False)
        super().__init__(
            conv, nn.BatchNorm2d(2), nn.ReLU(), nn.Flatten(), nn.Linear(2 * N * N, N * N)
        )


class ValueHead(nn.Sequential):
    """AlphaZero's value head, without its tanh where tanh is False."""

    def __init__(self, channels: int, values: int = 1, tanh: bool = True) -> None:
        conv = nn.Conv2d(channels, 2, 1, bias=False)
        layers: list[nn.Module] = [
            conv,
            nn.BatchNorm2d(2),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(2 * N * N, 32),
            nn.ReLU(),
        ]
        layers.append(nn.Linear(32, values))
        super().__init__(*layers, *([nn.Tanh()] if tanh else []))


class ResNet(nn.Module):
    """A small AlphaZero network."""

    def __init__(
        self, planes: int, channels: int = 24, blocks: int = 3, values: int = 1, tanh: bool = True
    ) -> None:
        super().__init__()
        self.trunk = nn.Sequential(
            Stem(planes, channels), *[Block(channels) for _ in range(blocks)]
        )
        self.policy_head = PolicyHead(channels)
        self.value_head = ValueHead(channels, values, tanh)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return policy logits and value."""
        h = self.trunk(x)
        return self.policy_head(h), self.value_head(h)


class MLP(nn.Module):
    """Fully connected layers on the flattened planes."""

    def __init__(
        self, planes: int, width: int = 256, values: int = 1, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Flatten(),
            nn.Linear(planes * N * N, width),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(width, width),
            nn.ReLU(),
        )
        self.pi = nn.Linear(width, N * N)
        self.v = nn.Linear(width, values)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return policy logits and value."""
        h = self.body(x)
        return self.pi(h), self.v(h)


class Transformer(nn.Module):
    """One token for each cell and one for the value."""

    def __init__(self, planes: int, width: int = 32, layers: int = 2, values: int = 1) -> None:
        super().__init__()
        self.embed = nn.Linear(planes, width)
        self.place = nn.Parameter(torch.randn(1, N * N + 1, width) * 0.02)
        layer = nn.TransformerEncoderLayer(
            width, 4, 2 * width, dropout=0.0, batch_first=True, norm_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.pi = nn.Linear(width, 1)
        self.v = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, values))

    def features(self, x: Tensor) -> Tensor:
        """Return the tokens, the value's first."""
        cells = self.embed(x.flatten(2).transpose(1, 2))
        tokens = torch.cat([torch.zeros_like(cells[:, :1]), cells], 1) + self.place
        out: Tensor = self.encoder(tokens)
        return out

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return policy logits and value."""
        h = self.features(x)
        return self.pi(h[:, 1:]).squeeze(2), self.v(h[:, 0])


class ValueFirst(nn.Module):
    """A network that returns (value, policy)."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return value and policy logits."""
        policy, value = self.net(x)
        return value, policy


class DictNet(nn.Module):
    """A network that returns a dict."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Return policy logits and value by name."""
        policy, value = self.net(x)
        return {"policy": policy, "value": value}
