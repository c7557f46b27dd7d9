"""Six sound training scripts of different styles."""

from __future__ import annotations

import copy
import math
import random
from collections import deque

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

from tests.doctor.nineteenth.common import (
    MLP,
    RED,
    ConvNet,
    DictNet,
    Game,
    N,
    Planes,
    ResNet,
    Script,
    Transformer,
    ValueFirst,
    canonical3,
    fixed3,
    fixed5,
    own3,
    own4,
    replay,
    signed2,
)
from tests.doctor.nineteenth.play import (
    CanonicalTanh,
    MoverTanh,
    MoverWDL,
    RedClass,
    RedLogit,
    loader,
)


def bce_net() -> nn.Module:
    """Plain convolutions with a logit of Red's win."""
    return ConvNet(3)


def train_bce(games: list[Game]) -> nn.Module:
    """Logit of Red's win, Adam, and the half turn as augmentation."""
    torch.manual_seed(1)
    xs, ps, zs = [], [], []
    for moves, red_won in games:
        for stones, mover, move in replay(moves):
            xs.append(fixed3(stones, mover))
            ps.append(move)
            zs.append(float(red_won))
            xs.append(fixed3(stones[::-1, ::-1], mover))
            ps.append(N * N - 1 - move)
            zs.append(float(red_won))
    x, p, z = torch.tensor(np.stack(xs)), torch.tensor(ps), torch.tensor(zs)
    net = bce_net()
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    for _ in range(5):
        for batch in torch.split(torch.randperm(len(x)), 128):
            logits, value = net(x[batch])
            loss = F.cross_entropy(logits, p[batch]) + F.binary_cross_entropy_with_logits(
                value.squeeze(1), z[batch]
            )
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
    return net


class MoverSet(Dataset[tuple[Planes, int, np.float32]]):
    """Positions with the move played and the result for the side to move."""

    def __init__(self, games: list[Game]) -> None:
        self.items = [(s, m, move, won) for moves, won in games for s, m, move in replay(moves)]

    def __len__(self) -> int:
        """Return the number of positions."""
        return len(self.items)

    def __getitem__(self, i: int) -> tuple[Planes, int, np.float32]:
        """Return planes, move and result."""
        stones, mover, move, red_won = self.items[i]
        return own3(stones, mover), move, np.float32(1 if red_won == (mover == RED) else -1)


def alphazero_net() -> nn.Module:
    """A residual network with a tanh value of the side to move."""
    return ResNet(3)


def train_alphazero(games: list[Game]) -> nn.Module:
    """Mean squared error of a tanh value for the side to move, SGD with momentum, DataLoader."""
    torch.manual_seed(2)
    data = DataLoader(MoverSet(games), batch_size=64, shuffle=True, drop_last=True)
    net = alphazero_net()
    opt = torch.optim.SGD(net.parameters(), lr=0.02, momentum=0.9, nesterov=True, weight_decay=1e-4)
    for _epoch in range(4):
        net.train()
        for planes, move, z in data:
            opt.zero_grad(set_to_none=True)
            p, v = net(planes)
            loss = F.mse_loss(v[:, 0], z) + F.nll_loss(F.log_softmax(p, dim=1), move)
            torch.autograd.backward(loss)
            opt.step()
    return net


def wdl_net() -> nn.Module:
    """Group norm, three value classes, outputs in a dict."""
    return DictNet(ConvNet(4, values=3, norm=True))


def train_wdl(games: list[Game]) -> nn.Module:
    """Loss, draw and win of the side to move, label smoothing, AdamW with one cycle."""
    torch.manual_seed(3)
    rows = [
        (own4(s, m), a, 2 if won == (m == RED) else 0)
        for moves, won in games
        for s, m, a in replay(moves)
    ]
    planes, actions, classes = (torch.from_numpy(np.array(c)) for c in zip(*rows, strict=True))
    batches = DataLoader(TensorDataset(planes, actions, classes), batch_size=96, shuffle=True)
    model = wdl_net()
    epochs = 6
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, 3e-3, total_steps=epochs * len(batches)
    )
    policy_loss = nn.CrossEntropyLoss(label_smoothing=0.05)
    value_loss = nn.CrossEntropyLoss()
    for _ in range(epochs):
        for x, a, c in batches:
            out = model(x)
            loss = policy_loss(out["policy"], a) + 0.5 * value_loss(out["value"], c)
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
            schedule.step()
    return model


def transformer_net() -> Transformer:
    """A small transformer with a logit of Red's win."""
    return Transformer(5)


def soft_policy(stones: np.ndarray, move: int) -> np.ndarray:
    """Return nine tenths on the move and the rest on the free cells."""
    free = (stones == 0).reshape(-1).astype(np.float32)
    target: np.ndarray = 0.1 * free / free.sum()
    target[move] += 0.9
    return target


def train_replay(games: list[Game]) -> nn.Module:
    """Samples of a replay buffer, soft policy targets, sums over four parts, clipping."""
    random.seed(4)
    torch.manual_seed(4)
    net = transformer_net()
    opt = torch.optim.AdamW(net.parameters(), lr=2e-3)
    buffer: deque[tuple[Planes, np.ndarray, float]] = deque(maxlen=20000)
    for moves, red_won in games:
        buffer.extend(
            (fixed5(s, m), soft_policy(s, a), float(red_won)) for s, m, a in replay(moves)
        )
    parts = 4
    for _step in range(150):
        opt.zero_grad()
        for _part in range(parts):
            sample = random.sample(buffer, 32)
            x, pi, z = (
                torch.from_numpy(np.array(c, np.float32)) for c in zip(*sample, strict=True)
            )
            tokens = net.features(x)
            logits, value = net.pi(tokens[:, 1:]).squeeze(2), net.v(tokens[:, 0]).squeeze(1)
            loss = -(pi * logits.log_softmax(1)).sum(1).mean() + F.binary_cross_entropy_with_logits(
                value, z
            )
            torch.autograd.backward(loss / parts)
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        opt.step()
    return net


def mlp_net() -> nn.Module:
    """Fully connected layers with dropout and two value classes."""
    return MLP(2, values=2, dropout=0.1)


def train_two_class(games: list[Game]) -> nn.Module:
    """Two classes (Blue wins, Red wins), games set aside for validation, the best weights kept."""
    torch.manual_seed(5)
    games = random.Random(5).sample(games, len(games))
    cut = max(1, len(games) // 10)

    def tensors(part: list[Game]) -> tuple[Tensor, Tensor, Tensor]:
        rows = [(signed2(s, m), a, int(won)) for moves, won in part for s, m, a in replay(moves)]
        x, a, c = (np.array(col) for col in zip(*rows, strict=True))
        return torch.from_numpy(x), torch.from_numpy(a), torch.from_numpy(c)

    x, a, c = tensors(games[cut:])
    val_x, val_a, val_c = tensors(games[:cut])
    net = mlp_net()
    opt = torch.optim.RMSprop(net.parameters(), lr=5e-4)
    best, best_state = math.inf, copy.deepcopy(net.state_dict())
    for _ in range(8):
        net.train()
        order = torch.randperm(len(x))
        for i in range(0, len(order), 64):
            pick = order[i : i + 64]
            p, v = net(x[pick])
            loss = F.cross_entropy(p, a[pick]) + F.cross_entropy(v, c[pick])
            opt.zero_grad()
            torch.autograd.backward(loss)
            opt.step()
        net.eval()
        with torch.no_grad():
            p, v = net(val_x)
            score = float(F.cross_entropy(p, val_a) + F.cross_entropy(v, val_c))
        if score < best:
            best, best_state = score, copy.deepcopy(net.state_dict())
    net.load_state_dict(best_state)
    return net


def canonical_net() -> nn.Module:
    """A residual network on the turned board that returns (value, policy)."""
    return ValueFirst(ResNet(3, channels=16, blocks=2))


def train_canonical(games: list[Game]) -> nn.Module:
    """Board and move turned for Red, Huber loss of the value, warm-up, averaged weights."""
    torch.manual_seed(6)
    xs, ps, zs = [], [], []
    for moves, red_won in games:
        winner = RED if red_won else -RED
        for stones, mover, move in replay(moves):
            row, column = divmod(move, N)
            xs.append(canonical3(stones, mover))
            ps.append(column * N + row if mover == RED else move)
            zs.append(1.0 if winner == mover else -1.0)
    data = TensorDataset(torch.from_numpy(np.stack(xs)), torch.tensor(ps), torch.tensor(zs))
    net = canonical_net()
    average = copy.deepcopy(net).requires_grad_(False)
    decay = [w for w in net.parameters() if w.ndim > 1]
    rest = [w for w in net.parameters() if w.ndim <= 1]
    opt = torch.optim.AdamW(
        [{"params": decay, "weight_decay": 1e-2}, {"params": rest, "weight_decay": 0.0}], lr=2e-3
    )
    warmup = torch.optim.lr_scheduler.LambdaLR(opt, lambda step: min(1.0, (step + 1) / 10))
    for _ in range(5):
        for x, a, z in DataLoader(data, batch_size=128, shuffle=True):
            value, policy = net(x)
            loss = F.huber_loss(value.squeeze(-1), z) + F.cross_entropy(policy, a)
            opt.zero_grad()
            torch.autograd.backward(loss)
            opt.step()
            warmup.step()
            with torch.no_grad():
                for slow, fast in zip(
                    average.state_dict().values(), net.state_dict().values(), strict=True
                ):
                    slow.copy_(slow.lerp(fast, 0.05) if slow.is_floating_point() else fast)
    return average


NONE = r"(?!)"
SOUND: dict[str, Script] = {
    "bce_half_turn": Script(
        train_bce, loader(RedLogit, bce_net), fixed3, NONE, "Nothing is wrong."
    ),
    "alphazero_sgd": Script(
        train_alphazero, loader(MoverTanh, alphazero_net), own3, NONE, "Nothing is wrong."
    ),
    "wdl_onecycle": Script(train_wdl, loader(MoverWDL, wdl_net), own4, NONE, "Nothing is wrong."),
    "replay_transformer": Script(
        train_replay, loader(RedLogit, transformer_net), fixed5, NONE, "Nothing is wrong."
    ),
    "two_class_mlp": Script(
        train_two_class, loader(RedClass, mlp_net), signed2, NONE, "Nothing is wrong."
    ),
    "canonical_ema": Script(
        train_canonical, loader(CanonicalTanh, canonical_net), canonical3, NONE, "Nothing is wrong."
    ),
}
