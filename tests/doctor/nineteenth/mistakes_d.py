"""Training scripts with one mistake each: the network itself."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader

from tests.doctor.nineteenth.common import (
    RED,
    Block,
    ConvNet,
    Game,
    N,
    PolicyHead,
    Stem,
    Transformer,
    ValueFirst,
    ValueHead,
    fixed3,
    fixed5,
    own3,
    replay,
)


class ListNet(nn.Module):
    """A residual network that keeps its blocks in a list."""

    def __init__(self, planes: int, channels: int = 24, blocks: int = 3) -> None:
        super().__init__()
        self.stem = Stem(planes, channels)
        self.blocks = [Block(channels) for _ in range(blocks)]
        self.policy_head = PolicyHead(channels)
        self.value_head = ValueHead(channels, tanh=False)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return policy logits and value."""
        h = self.stem(x)
        for block in self.blocks:
            h = block(h)
        return self.policy_head(h), self.value_head(h)


def list_net() -> nn.Module:
    """The network with a list of blocks."""
    return ListNet(3)


def train_plain_list(games: list[Game]) -> nn.Module:
    """Nothing but the network is wrong."""
    torch.manual_seed(26)
    rows = [(fixed3(s, m), a, np.float32(won)) for moves, won in games for s, m, a in replay(moves)]
    net = list_net()
    opt = torch.optim.Adam(net.parameters(), lr=1e-3)
    for _ in range(5):
        for x, a, won in DataLoader(rows, batch_size=128, shuffle=True):  # type: ignore[arg-type]
            p, v = net(x)
            loss = F.cross_entropy(p, a) + F.binary_cross_entropy_with_logits(v[:, 0], won)
            opt.zero_grad()
            torch.autograd.backward(loss)
            opt.step()
    return net


class StraightNet(nn.Module):
    """Convolutions with batch norm one after another."""

    def __init__(self, planes: int, channels: int = 32, layers: int = 4) -> None:
        super().__init__()
        self.convs = nn.ModuleList(
            nn.Conv2d(planes if i == 0 else channels, channels, 3, padding=1) for i in range(layers)
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(channels) for _ in range(layers))
        self.pi = nn.Linear(channels * N * N, N * N)
        self.v = nn.Linear(channels * N * N, 2)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return policy logits and value."""
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = norm(conv(x))
        return self.pi(x.flatten(1)), self.v(x.flatten(1))


def straight_net() -> nn.Module:
    """The network without activations."""
    return StraightNet(5)


def train_no_activation(games: list[Game]) -> nn.Module:
    """Nothing but the network is wrong."""
    torch.manual_seed(27)
    rows = [(fixed5(s, m), a, int(won)) for moves, won in games for s, m, a in replay(moves)]
    net = straight_net()
    opt = torch.optim.AdamW(net.parameters(), lr=5e-4)
    batches: DataLoader[Any] = DataLoader(rows, batch_size=128, shuffle=True)  # type: ignore[arg-type]
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(opt, 6 * len(batches))
    for x, a, c in itertools.chain.from_iterable(itertools.repeat(batches, 6)):
        p, v = net(x)
        loss = F.cross_entropy(p, a) + F.cross_entropy(v, c)
        opt.zero_grad()
        torch.autograd.backward(loss)
        opt.step()
        schedule.step()
    return net


def big_net() -> nn.Module:
    """Plain convolutions, all weights drawn with a standard deviation of one."""
    net = ValueFirst(ConvNet(3, layers=3, tanh=True))
    for module in net.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.normal_(module.weight)
            nn.init.constant_(module.bias, 0.0)  # type: ignore[arg-type]
    return net


def train_big_init(games: list[Game]) -> nn.Module:
    """Nothing but the initial weights is wrong."""
    torch.manual_seed(28)
    rows = [
        (own3(s, m), a, np.float32(m if won else -m))
        for moves, won in games
        for s, m, a in replay(moves)
    ]
    net = big_net()
    opt = torch.optim.Adam(net.parameters(), lr=1e-3)
    for _ in range(5):
        for x, a, z in DataLoader(rows, batch_size=64, shuffle=True):  # type: ignore[arg-type]
            value, policy = net(x)
            loss = F.mse_loss(value.squeeze(1), z) + F.cross_entropy(policy, a)
            opt.zero_grad()
            torch.autograd.backward(loss)
            opt.step()
    return net


class ReluNet(nn.Module):
    """A transformer with one layer more on the policy, and a ReLU after it."""

    def __init__(self) -> None:
        super().__init__()
        self.base = Transformer(3)
        self.base.pi = nn.Linear(32, 32)
        self.policy = nn.Sequential(nn.ReLU(), nn.Linear(32, 1), nn.ReLU())

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return policy logits and value."""
        h = self.base.features(x)
        return self.policy(self.base.pi(h[:, 1:])).flatten(1), self.base.v(h[:, 0])


def train_relu_logits(games: list[Game]) -> nn.Module:
    """Nothing but the network's policy head is wrong."""
    torch.manual_seed(29)
    rows = [
        (own3(s, m), a, np.float32(won == (m == RED)))
        for moves, won in games
        for s, m, a in replay(moves)
    ]
    net = ReluNet()
    opt = torch.optim.AdamW(net.parameters(), lr=1e-3, weight_decay=0.01)
    for _ in range(4):
        for x, a, win in DataLoader(rows, batch_size=64, shuffle=True):  # type: ignore[arg-type]
            p, v = net(x)
            loss = F.cross_entropy(p, a) + F.binary_cross_entropy_with_logits(v.squeeze(-1), win)
            opt.zero_grad()
            torch.autograd.backward(loss)
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            opt.step()
    return net
