"""Training scripts with one mistake each: labels, targets, data and augmentation."""

from __future__ import annotations

import itertools

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from tests.doctor.nineteenth.common import (
    BLUE,
    MLP,
    RED,
    ConvNet,
    DictNet,
    Game,
    N,
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
    MoverLogit,
    MoverTanh,
    RedClass,
    RedLogit,
    loader,
)


def canonical_net() -> nn.Module:
    """A residual network with a tanh value on the turned board."""
    return ResNet(3, channels=24, blocks=2)


def train_canonical(games: list[Game]) -> nn.Module:
    """The board is turned for Red, the move is not."""
    torch.manual_seed(31)
    states, actions, results = [], [], []
    for moves, red_won in games:
        winner = RED if red_won else BLUE
        for stones, mover, move in replay(moves):
            states.append(canonical3(stones, mover))
            actions.append(move)
            results.append(1.0 if mover == winner else -1.0)
    data = TensorDataset(
        torch.from_numpy(np.stack(states)), torch.tensor(actions), torch.tensor(results)
    )
    net = canonical_net()
    opt = torch.optim.Adam(net.parameters(), lr=1e-3)
    for _ in range(5):
        for s, a, z in DataLoader(data, batch_size=64, shuffle=True):
            p, v = net(s)
            loss = F.cross_entropy(p, a) + F.mse_loss(v.squeeze(1), z)
            opt.zero_grad()
            torch.autograd.backward(loss)
            opt.step()
    return net


def previous_net() -> nn.Module:
    """Plain convolutions with a logit of the mover's win that return (value, policy)."""
    return ValueFirst(ConvNet(2, norm=True))


def train_previous_mover(games: list[Game]) -> nn.Module:
    """The result is that of the player who has just moved."""
    torch.manual_seed(32)
    planes, targets, wins = [], [], []
    for moves, red_won in games:
        winner = RED if red_won else BLUE
        board = np.zeros((N, N), np.int8)
        player = BLUE
        for move, following in itertools.pairwise(moves):
            board[move // N, move % N] = player
            planes.append(signed2(board, -player))
            targets.append(following)
            wins.append(1.0 if winner == player else 0.0)
            player = -player
    x, a, w = torch.from_numpy(np.stack(planes)), torch.tensor(targets), torch.tensor(wins)
    net = previous_net()
    opt = torch.optim.AdamW(net.parameters(), lr=1e-3)
    for _ in range(5):
        for idx in torch.split(torch.randperm(len(x)), 128):
            value, policy = net(x[idx])
            loss = F.binary_cross_entropy_with_logits(value.squeeze(1), w[idx]) + F.cross_entropy(
                policy, a[idx]
            )
            opt.zero_grad()
            torch.autograd.backward(loss)
            opt.step()
    return net


def leak_net() -> nn.Module:
    """Plain convolutions with two value classes, outputs in a dict."""
    return DictNet(ConvNet(3, channels=24, values=2))


def train_policy_previous_move(games: list[Game]) -> nn.Module:
    """The policy's target is the move that led to the position."""
    torch.manual_seed(33)
    rows = []
    for moves, red_won in games:
        history = list(replay(moves))
        for t in range(1, len(moves)):
            stones, mover, _ = history[t]
            rows.append((fixed3(stones, mover), moves[t - 1], int(red_won)))
    net = leak_net()
    opt = torch.optim.Adam(net.parameters(), lr=2e-3)
    for _ in range(5):
        for x, a, c in DataLoader(rows, batch_size=96, shuffle=True):  # type: ignore[arg-type]
            out = net(x)
            loss = F.cross_entropy(out["policy"], a) + F.cross_entropy(out["value"], c)
            opt.zero_grad()
            torch.autograd.backward(loss)
            opt.step()
    return net


def perspective_net() -> nn.Module:
    """A residual network with a tanh value."""
    return ResNet(5, channels=16, blocks=3)


def train_red_label(games: list[Game]) -> nn.Module:
    """The value learns Red's result in all positions, play takes it for the mover's."""
    torch.manual_seed(34)
    rows = [
        (fixed5(s, m), a, np.float32(1 if won else -1))
        for moves, won in games
        for s, m, a in replay(moves)
    ]
    net = perspective_net()
    opt = torch.optim.SGD(net.parameters(), lr=0.02, momentum=0.9, weight_decay=1e-4)
    for _ in range(5):
        for x, a, z in DataLoader(rows, batch_size=128, shuffle=True):  # type: ignore[arg-type]
            p, v = net(x)
            loss = F.mse_loss(v.squeeze(-1), z) + F.cross_entropy(p, a)
            opt.zero_grad()
            torch.autograd.backward(loss)
            opt.step()
    return net


def openings_net() -> nn.Module:
    """Fully connected layers with a logit of the mover's win."""
    return MLP(4, dropout=0.1)


def train_openings(games: list[Game]) -> nn.Module:
    """A limit on the moves of a game keeps only the first ten."""
    torch.manual_seed(35)
    max_moves = 10
    rows = []
    for moves, red_won in games:
        for stones, mover, move in list(replay(moves))[:max_moves]:
            rows.append((own4(stones, mover), move, np.float32(red_won == (mover == RED))))
    net = openings_net()
    opt = torch.optim.Adam(net.parameters(), lr=5e-4)
    for _ in range(20):
        for x, a, win in DataLoader(rows, batch_size=32, shuffle=True):  # type: ignore[arg-type]
            p, v = net(x)
            loss = F.cross_entropy(p, a) + F.binary_cross_entropy_with_logits(v.squeeze(1), win)
            opt.zero_grad()
            torch.autograd.backward(loss)
            opt.step()
    return net


def mirror_net() -> nn.Module:
    """A residual network with a tanh value."""
    return ResNet(3)


def train_mirror(games: list[Game]) -> nn.Module:
    """Half of the positions of a batch are mirrored left to right, which Hex does not allow."""
    torch.manual_seed(36)
    rows = [
        (own3(s, m), a, np.float32(m if won else -m))
        for moves, won in games
        for s, m, a in replay(moves)
    ]
    net = mirror_net()
    opt = torch.optim.AdamW(net.parameters(), lr=1e-3, weight_decay=1e-3)
    for _ in range(5):
        for x, a, z in DataLoader(rows, batch_size=64, shuffle=True):  # type: ignore[arg-type]
            flip = torch.rand(len(x)) < 0.5
            x = torch.where(flip[:, None, None, None], x.flip(3), x)
            a = torch.where(flip, a // N * N + (N - 1 - a % N), a)
            p, v = net(x)
            loss = F.mse_loss(v.view(-1), z) + F.cross_entropy(p, a)
            opt.zero_grad()
            torch.autograd.backward(loss)
            opt.step()
    return net


def column_net() -> nn.Module:
    """A small transformer with a logit of Red's win."""
    return Transformer(3, width=32, layers=2)


def train_col_major(games: list[Game]) -> nn.Module:
    """The policy's target numbers the cells column by column."""
    torch.manual_seed(37)
    planes, targets, wins = [], [], []
    for moves, red_won in games:
        for stones, mover, move in replay(moves):
            y, x = divmod(move, N)
            planes.append(fixed3(stones, mover))
            targets.append(x * N + y)
            wins.append(float(red_won))
    data = TensorDataset(
        torch.from_numpy(np.stack(planes)), torch.tensor(targets), torch.tensor(wins)
    )
    net = column_net()
    opt = torch.optim.Adam(net.parameters(), lr=1e-3)
    for _ in range(4):
        for x_, a_, z_ in DataLoader(data, batch_size=64, shuffle=True):
            p, v = net(x_)
            loss = F.cross_entropy(
                p, a_, label_smoothing=0.02
            ) + F.binary_cross_entropy_with_logits(v.squeeze(1), z_)
            opt.zero_grad()
            torch.autograd.backward(loss)
            opt.step()
    return net


CELL = r"(policy|\bmoves\b|the move\b|move targets?|move index|cell)"
TURN = (
    r"(transpos|\bturned\b|\bturning\b|rotat|swap|row|column|orient|canonical|frame|\bindex|"
    r"numbered)"
)
MOVER = r"(side to move|to[-_ ]move|mover|player to move|whose turn|who moves|mover's)"
SCRIPTS: dict[str, Script] = {
    "canonical_policy_not_turned": Script(
        train_canonical,
        loader(CanonicalTanh, canonical_net),
        canonical3,
        rf"{CELL}.*{TURN}|{TURN}.*{CELL}",
        "The board is transposed where Red moves but the policy's target is not.",
    ),
    "previous_mover": Script(
        train_previous_mover,
        loader(MoverLogit, previous_net),
        signed2,
        r"^(?=.*(value|result|outcome|label|target|win)).*(just moved|has moved|previous|"
        r"opponent|other (player|side|colou?r)|opposite"
        r"|wrong (side|sign|player|colou?r)"
        r"|flipp|invert|revers|negat|\bsign\b|not (for |of |from )?(the )?(side to move|mover)|"
        r"swapp|loser|off by one)",
        "The value's target is the result of the player who has just moved instead of the side "
        "to move.",
    ),
    "policy_previous_move": Script(
        train_policy_previous_move,
        loader(RedClass, leak_net),
        fixed3,
        r"previous|last move|already|occupied|off by one|after the move|one (move|ply) (late|"
        r"early|behind|before|earlier|back)|leak|not free|stone (is )?on|illegal",
        "The policy's target is the move that led to the position, whose stone is already on "
        "the board, not the next move.",
    ),
    "red_label_mover_read": Script(
        train_red_label,
        loader(MoverTanh, perspective_net),
        fixed5,
        rf"^(?!.*(policy|transpos)).*((\bred|fixed|absolute|one colou?r|same colou?r).*{MOVER}|"
        rf"{MOVER}"
        r".*(\bred|fixed|absolute|one colou?r|same colou?r)|perspective|point of view)",
        "The value is trained on Red's result but read as that of the side to move.",
    ),
    "openings_only": Script(
        train_openings,
        loader(MoverLogit, openings_net),
        own4,
        r"opening|(early|first|initial) (\w+ )?(moves?|plies|positions?|part|phase|stages?)|"
        r"late(r|st)? (\w+ )?(positions?|moves?|part|phase|stages?)|(middle|end) ?games?\b"
        r"|(beginning|start|end) of (the|each|a|every) game|fewer stones|few stones|cut off|"
        r"truncat",
        "Only the first ten positions of each game are used.",
    ),
    "mirror": Script(
        train_mirror,
        loader(MoverTanh, mirror_net),
        own3,
        r"mirror|reflect|symmetr|augment|flipped (board|position|plane|left)|(board|position|"
        r"plane)s?.*flipp|left[- ](to|and|-)[- ]?right",
        "The augmentation mirrors the board left to right, which is no symmetry of Hex.",
    ),
    "policy_col_major": Script(
        train_col_major,
        loader(RedLogit, column_net),
        fixed3,
        rf"{CELL}.*{TURN}|{TURN}.*{CELL}",
        "The policy's target is numbered column * N + row instead of row * N + column.",
    ),
}
