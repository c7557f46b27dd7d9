"""Training scripts with one mistake each: losses."""

from __future__ import annotations

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
    Script,
    Transformer,
    ValueFirst,
    fixed3,
    fixed5,
    own3,
    own4,
    replay,
    signed2,
)
from tests.doctor.nineteenth.play import MoverTanh, RedClass, RedLogit, RedTanh, loader


def sign_net() -> nn.Module:
    """A residual network with a tanh value."""
    return ResNet(3, blocks=2)


def train_policy_sign(games: list[Game]) -> nn.Module:
    """AlphaZero's loss (z - v)^2 - pi log p, written with a plus."""
    torch.manual_seed(11)
    rows = []
    for moves, red_won in games:
        winner = 1 if red_won else -1
        for stones, mover, move in replay(moves):
            pi = np.zeros(81, np.float32)
            pi[move] = 1
            rows.append((own3(stones, mover), pi, np.float32(winner * mover)))
    net = sign_net()
    opt = torch.optim.Adam(net.parameters(), lr=1e-3, weight_decay=1e-4)
    for _epoch in range(5):
        for x, pi, z in DataLoader(rows, batch_size=64, shuffle=True):  # type: ignore[arg-type]
            p, v = net(x)
            value_loss = torch.mean((z - v.view(-1)) ** 2)
            policy_loss = torch.mean(torch.sum(pi * F.log_softmax(p, dim=1), dim=1))
            loss = value_loss + policy_loss
            opt.zero_grad()
            torch.autograd.backward(loss)
            opt.step()
    return net


def logged_net() -> nn.Module:
    """Plain convolutions with a tanh value, outputs in a dict."""
    return DictNet(ConvNet(4, tanh=True))


def train_value_loss_not_added(games: list[Game]) -> dict[str, list[float]]:
    """Both losses are computed and logged, the policy's alone is minimised."""
    torch.manual_seed(12)
    rows = [
        (own4(s, m), a, 1.0 if won == (m == RED) else -1.0)
        for moves, won in games
        for s, m, a in replay(moves)
    ]
    x, a, z = (torch.from_numpy(np.array(c)) for c in zip(*rows, strict=True))
    net = logged_net()
    optimizer = torch.optim.AdamW(net.parameters(), lr=2e-3)
    log: dict[str, list[float]] = {"policy": [], "value": []}
    for _epoch in range(4):
        for batch in torch.split(torch.randperm(len(x)), 128):
            out = net(x[batch])
            policy_loss = F.cross_entropy(out["policy"], a[batch])
            value_loss = F.mse_loss(out["value"].squeeze(1), z[batch].float())
            loss = policy_loss
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
            log["policy"].append(policy_loss.item())
            log["value"].append(value_loss.item())
    return log


def dim_net() -> nn.Module:
    """Fully connected layers and two value classes."""
    return MLP(3, values=2)


def train_softmax_dim0(games: list[Game]) -> nn.Module:
    """Soft targets against a log-softmax over the wrong dimension."""
    torch.manual_seed(13)
    data = [(fixed3(s, m), a, int(won)) for moves, won in games for s, m, a in replay(moves)]
    model = dim_net()
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-4)
    for _ in range(6):
        for x, move, won in DataLoader(data, 64, shuffle=True):  # type: ignore[arg-type]
            policy, value = model(x)
            target = F.one_hot(move, 81).float()
            log_p = F.log_softmax(policy, dim=0)
            loss = -(target * log_p).sum(dim=1).mean() + F.cross_entropy(value, won)
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
    return model


def kl_net() -> nn.Module:
    """A small transformer with a logit of Red's win."""
    return Transformer(2)


def train_kl_without_log(games: list[Game]) -> nn.Module:
    """KL divergence to smoothed targets, of probabilities instead of their logarithms."""
    torch.manual_seed(14)
    xs, targets, wins = [], [], []
    for moves, red_won in games:
        for stones, mover, move in replay(moves):
            free = (stones.reshape(-1) == 0).astype(np.float32)
            target = 0.1 * free / free.sum()
            target[move] += 0.9
            xs.append(signed2(stones, mover))
            targets.append(target)
            wins.append(np.float32(red_won))
    x, pi, z = (torch.from_numpy(np.array(c)) for c in (xs, targets, wins))
    net = kl_net()
    opt = torch.optim.AdamW(net.parameters(), lr=1e-3)
    for _ in range(4):
        for x_, pi_, z_ in DataLoader(TensorDataset(x, pi, z), batch_size=64, shuffle=True):
            logits, value = net(x_)
            policy_loss = F.kl_div(F.softmax(logits, dim=1), pi_, reduction="batchmean")
            value_loss = F.binary_cross_entropy_with_logits(value[:, 0], z_)
            opt.zero_grad()
            torch.autograd.backward(policy_loss + value_loss)
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            opt.step()
    return net


def bce_net() -> nn.Module:
    """Plain convolutions with group norm and a logit of Red's win."""
    return ConvNet(5, norm=True)


def train_pm1_into_bce(games: list[Game]) -> nn.Module:
    """The result as -1 or +1 goes into a binary cross-entropy."""
    torch.manual_seed(15)
    planes, actions, results = [], [], []
    for moves, red_won in games:
        outcome = 1.0 if red_won else -1.0
        for stones, mover, move in replay(moves):
            planes.append(fixed5(stones, mover))
            actions.append(move)
            results.append(outcome)
    dataset = TensorDataset(
        torch.tensor(np.stack(planes)), torch.tensor(actions), torch.tensor(results)
    )
    net = bce_net()
    opt = torch.optim.Adam(net.parameters(), lr=1e-3)
    bce = nn.BCEWithLogitsLoss()
    ce = nn.CrossEntropyLoss()
    for _ in range(5):
        for x, a, z in DataLoader(dataset, batch_size=128, shuffle=True):
            p, v = net(x)
            loss = ce(p, a) + bce(v.squeeze(-1), z)
            opt.zero_grad()
            torch.autograd.backward(loss)
            opt.step()
    return net


def broadcast_net() -> nn.Module:
    """A residual network that returns (value, policy)."""
    return ValueFirst(ResNet(3, channels=16, blocks=3))


def train_broadcast(games: list[Game]) -> nn.Module:
    """The value of shape [B, 1] is compared with results of shape [B]."""
    torch.manual_seed(16)
    rows = [
        (own3(s, m), a, m * (1 if won else -1)) for moves, won in games for s, m, a in replay(moves)
    ]
    x = torch.from_numpy(np.stack([r[0] for r in rows]))
    a = torch.tensor([r[1] for r in rows])
    z = torch.tensor([r[2] for r in rows], dtype=torch.float32)
    net = broadcast_net()
    opt = torch.optim.SGD(net.parameters(), lr=0.02, momentum=0.9, weight_decay=1e-4)
    for _ in range(6):
        perm = torch.randperm(len(x))
        for i in range(0, len(x), 128):
            idx = perm[i : i + 128]
            value, policy = net(x[idx])
            loss = (z[idx] - value).pow(2).mean() + F.cross_entropy(policy, a[idx])
            opt.zero_grad()
            torch.autograd.backward(loss)
            opt.step()
    return net


def tiny_net() -> nn.Module:
    """A residual network with two value classes."""
    return ResNet(3, channels=16, blocks=2, values=2, tanh=False)


def train_tiny_value_weight(games: list[Game]) -> nn.Module:
    """The value's loss has the weight 0.001."""
    torch.manual_seed(17)
    data = [(fixed3(s, m), a, int(won)) for moves, won in games for s, m, a in replay(moves)]
    net = tiny_net()
    value_weight = 0.001
    opt = torch.optim.SGD(net.parameters(), lr=0.03, momentum=0.9, nesterov=True, weight_decay=1e-4)
    for _ in range(5):
        net.train()
        for x, a, c in DataLoader(data, batch_size=64, shuffle=True):  # type: ignore[arg-type]
            p, v = net(x)
            loss = F.cross_entropy(p, a) + value_weight * F.cross_entropy(v, c)
            opt.zero_grad()
            torch.autograd.backward(loss)
            opt.step()
    return net


def tanh_net() -> nn.Module:
    """Plain convolutions with a tanh value of Red."""
    return ConvNet(2, channels=24, layers=4, tanh=True)


def train_tanh_bce_logits(games: list[Game]) -> nn.Module:
    """The network's value has gone through tanh, the loss takes it for a logit."""
    torch.manual_seed(18)
    rows = [
        (signed2(s, m), a, np.float32(won)) for moves, won in games for s, m, a in replay(moves)
    ]
    net = tanh_net()
    opt = torch.optim.AdamW(net.parameters(), lr=1e-3, weight_decay=1e-2)
    for _ in range(5):
        for x, a, won in DataLoader(rows, batch_size=128, shuffle=True):  # type: ignore[arg-type]
            p, v = net(x)
            loss = F.cross_entropy(p, a) + F.binary_cross_entropy_with_logits(v.squeeze(1), won)
            opt.zero_grad()
            torch.autograd.backward(loss)
            opt.step()
    return net


POLICY = r"(policy|\bmoves\b|the move\b|move played|move targets?)"
WRONG_WAY = (
    r"(\bsign|\bnegat(e|ed|es|ing|ion)\b|minus|minus|maximi[sz]|ascent|revers|opposite|invert|"
    r"flipp|wrong (way|direction)|away from|less likely|push\w* down)"
)
SCRIPTS: dict[str, Script] = {
    "policy_sign": Script(
        train_policy_sign,
        loader(MoverTanh, sign_net),
        own3,
        rf"{POLICY}.*{WRONG_WAY}|{WRONG_WAY}.*{POLICY}",
        "The policy loss has the wrong sign, so training makes the moves played less likely.",
    ),
    "value_loss_not_added": Script(
        train_value_loss_not_added,
        loader(MoverTanh, logged_net),
        own4,
        r"^(?!.*(perspective|point of view|sign))(?=.*value)(?=.*\b(not|never|no|none|missing|"
        r"left out|ignored|omitted|isn't|without|lacks?|forg[eo]t\w*"
        r"|only|add)\b).*(loss|gradient|train|learn|updat|minimi[sz]|backward)",
        "The value loss is computed but not part of the loss that is minimised, so the value "
        "head gets no gradient.",
    ),
    "softmax_dim0": Script(
        train_softmax_dim0,
        loader(RedClass, dim_net),
        fixed3,
        r"\bdim|\baxis|(over|across|along) (the )?(whole )?(batch|positions)|batch (dimension|"
        r"axis)",
        "The policy's log-softmax runs over the batch (dim 0) instead of over the moves.",
    ),
    "kl_without_log": Script(
        train_kl_without_log,
        loader(RedLogit, kl_net),
        signed2,
        r"\bkl\b|kl_div|kullback|^(?!.*(\bdim\b|batch)).*log[-_ ]?(softmax|prob)|logarithm|"
        r"policy.*(not|without).*\blog\b|probabilities (instead of|rather than|where)",
        "kl_div is given probabilities where it expects log-probabilities.",
    ),
    "pm1_into_bce": Script(
        train_pm1_into_bce,
        loader(RedLogit, bce_net),
        fixed5,
        r"-1|minus one|negative (target|label|value target)|(0|zero) (and|to|or|\.\.|-) ?(1|"
        r"one)\b|\[0, ?1\]|\b0/1|(target|label).*(range|scale|outside)",
        "The value targets are -1 and +1 but binary cross-entropy expects 0 and 1.",
    ),
    "broadcast": Script(
        train_broadcast,
        loader(MoverTanh, broadcast_net),
        own3,
        r"broadcast|shapes?\b|squeeze|\[B, ?1\]|\[B, ?B\]|every (value|prediction|"
        r"position).*(every|all)|dimension",
        "The value [B, 1] and its target [B] are broadcast to [B, B], so each value is pulled "
        "to the mean of the batch's results.",
    ),
    "tiny_value_weight": Script(
        train_tiny_value_weight,
        loader(RedClass, tiny_net),
        fixed3,
        r"value.*(weight|coefficient|factor|scale|tiny|too small|share|outweigh|dominat|"
        r"0\.001)|(policy.*(dominat|outweigh|swamp|drown))|(weight|coefficient).*value",
        "The value loss has a weight of 0.001, so the value hardly trains.",
    ),
    "tanh_bce_logits": Script(
        train_tanh_bce_logits,
        loader(RedTanh, tanh_net),
        signed2,
        r"tanh|twice|squash|double|bounded|(already|not|isn't|no).*logit|\[-1, ?1\]|between -1 and",
        "The value has been through tanh before a binary cross-entropy that expects logits.",
    ),
}
