"""Training scripts with one mistake each: optimiser, gradients and the network."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from tests.doctor.nineteenth.common import (
    MLP,
    RED,
    ConvNet,
    DictNet,
    Game,
    ResNet,
    fixed3,
    fixed5,
    own3,
    own4,
    replay,
    signed2,
)
from tests.doctor.nineteenth.mistakes_d import (
    ReluNet,
    big_net,
    list_net,
    straight_net,
    train_big_init,
    train_no_activation,
    train_plain_list,
    train_relu_logits,
)
from tests.doctor.nineteenth.play import (
    MoverLogit,
    MoverTanh,
    MoverWDL,
    RedClass,
    RedLogit,
    RedTanh,
    loader,
)


def accumulation_net() -> nn.Module:
    """Plain convolutions with a logit of the mover's win."""
    return ConvNet(4)


def train_accumulation(games: list[Game]) -> nn.Module:
    """Gradients of eight parts are summed, the learning rate is meant for their mean."""
    torch.manual_seed(21)
    rows = [
        (own4(s, m), a, np.float32(won == (m == RED)))
        for moves, won in games
        for s, m, a in replay(moves)
    ]
    net = accumulation_net()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.2, momentum=0.9)
    accumulate = 8
    loader_: DataLoader[Any] = DataLoader(rows, batch_size=32, shuffle=True, drop_last=True)  # type: ignore[arg-type]
    for _ in range(6):
        for i, (x, a, win) in enumerate(loader_):
            policy, value = net(x)
            loss = F.cross_entropy(policy, a) + F.binary_cross_entropy_with_logits(
                value.view(-1), win
            )
            torch.autograd.backward(loss)
            if (i + 1) % accumulate == 0:
                optimizer.step()
                optimizer.zero_grad()
    return net


def lr_net() -> nn.Module:
    """A residual network with three value classes, outputs in a dict."""
    return DictNet(ResNet(3, channels=16, values=3, tanh=False))


def train_lr_low(games: list[Game]) -> nn.Module:
    """Adam with a learning rate of a millionth."""
    torch.manual_seed(22)
    config = {"lr": 1e-6, "batch": 128, "epochs": 6}
    rows = [
        (own3(s, m), a, 2 if won == (m == RED) else 0)
        for moves, won in games
        for s, m, a in replay(moves)
    ]
    net = lr_net()
    opt = torch.optim.Adam(net.parameters(), lr=config["lr"])
    for _ in range(int(config["epochs"])):
        for x, a, c in DataLoader(rows, int(config["batch"]), shuffle=True):  # type: ignore[arg-type]
            out = net(x)
            loss = F.cross_entropy(out["policy"], a) + F.cross_entropy(out["value"], c)
            opt.zero_grad()
            torch.autograd.backward(loss)
            opt.step()
    return net


def decay_net() -> nn.Module:
    """Plain convolutions with a tanh value of Red."""
    return ConvNet(5, channels=32, layers=4, tanh=True)


def train_weight_decay(games: list[Game]) -> nn.Module:
    """SGD with a weight decay of 0.1."""
    torch.manual_seed(23)
    x = torch.from_numpy(
        np.stack([fixed5(s, m) for moves, _ in games for s, m, _a in replay(moves)])
    )
    a = torch.tensor([move for moves, _ in games for move in moves])
    z = torch.tensor([1.0 if won else -1.0 for moves, won in games for _move in moves])
    net = decay_net()
    opt = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9, weight_decay=0.1)
    for _ in range(6):
        for x_, a_, z_ in DataLoader(TensorDataset(x, a, z), batch_size=64, shuffle=True):
            p, v = net(x_)
            loss = F.cross_entropy(p, a_) + F.mse_loss(v.flatten(), z_)
            opt.zero_grad()
            torch.autograd.backward(loss)
            opt.step()
    return net


def other_net() -> nn.Module:
    """Fully connected layers with a logit of Red's win."""
    return MLP(2)


def train_other_net(games: list[Game]) -> nn.Module:
    """The network is built anew after the optimiser was made."""
    model = other_net()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    torch.manual_seed(24)
    model = other_net()
    rows = [
        (signed2(s, m), a, np.float32(won)) for moves, won in games for s, m, a in replay(moves)
    ]
    for _ in range(8):
        model.train()
        for x, a, won in DataLoader(rows, batch_size=64, shuffle=True):  # type: ignore[arg-type]
            p, v = model(x)
            loss = F.cross_entropy(p, a) + F.binary_cross_entropy_with_logits(v.squeeze(1), won)
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
    return model


def frozen_net() -> ResNet:
    """A residual network with a tanh value."""
    return ResNet(3, channels=24, blocks=3)


def train_frozen_trunk(games: list[Game]) -> nn.Module:
    """The trunk is frozen as for fine-tuning, but its weights are random."""
    torch.manual_seed(25)
    net = frozen_net()
    for weight in net.trunk.parameters():
        weight.requires_grad = False
    opt = torch.optim.AdamW((w for w in net.parameters() if w.requires_grad), lr=2e-3)
    rows = [
        (own3(s, m), a, np.float32(m if won else -m))
        for moves, won in games
        for s, m, a in replay(moves)
    ]
    for _ in range(5):
        for x, a, z in DataLoader(rows, batch_size=96, shuffle=True):  # type: ignore[arg-type]
            h = net.trunk(x)
            loss = F.cross_entropy(net.policy_head(h), a) + F.mse_loss(
                net.value_head(h).squeeze(1), z
            )
            opt.zero_grad()
            torch.autograd.backward(loss)
            opt.step()
    return net


TRAIN_B = {
    "accumulation": (train_accumulation, loader(MoverLogit, accumulation_net), own4),
    "lr_low": (train_lr_low, loader(MoverWDL, lr_net), own3),
    "weight_decay": (train_weight_decay, loader(RedTanh, decay_net), fixed5),
    "other_net": (train_other_net, loader(RedLogit, other_net), signed2),
    "frozen_trunk": (train_frozen_trunk, loader(MoverTanh, frozen_net), own3),
    "plain_list": (train_plain_list, loader(RedLogit, list_net), fixed3),
    "no_activation": (train_no_activation, loader(RedClass, straight_net), fixed5),
    "big_init": (train_big_init, loader(MoverTanh, big_net), own3),
    "relu_logits": (train_relu_logits, loader(MoverLogit, ReluNet), own3),
}
