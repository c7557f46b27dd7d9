"""Training scripts with one mistake each, with the words that name it, and sound ones."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from tests.doctor.own_scripts import (
    SIZE,
    Board,
    Chances,
    MoversPlay,
    Net,
    Planes,
    Play,
    Script,
    Unregistered,
    bce,
    encode,
    huge,
    log_cosh,
    squared_tanh,
    with_entropy,
)


def adam(rate: float, **more: Any) -> Callable[[Net], torch.optim.Optimizer]:
    return lambda net: torch.optim.Adam(net.parameters(), rate, **more)


def without_value(net: Net) -> torch.optim.Optimizer:
    return torch.optim.Adam([*net.body.parameters(), *net.policy.parameters()], 1e-3)


def of_another(net: Net) -> torch.optim.Optimizer:
    return torch.optim.Adam(Net().parameters(), 1e-3)


def transposed(stones: Board, to_move: int) -> Planes:
    return encode(stones.T, to_move)


def of_255(stones: Board, to_move: int) -> Planes:
    return encode(stones, to_move) * np.float32(255)


def exchanged(stones: Board, to_move: int) -> Planes:
    return encode(-stones, to_move)


def half_noisy(red_won: bool, mover: int, game: int) -> float:
    return float(red_won) if torch.rand(()) < 0.7 else float(not red_won)


SOUND: dict[str, tuple[Script, Play]] = {
    "of Red's chance": (Script(), Play()),
    "of the side to move": (
        Script(label=lambda red_won, mover, game: float(red_won == (mover == 1))),
        MoversPlay(),
    ),
    "of a tanh": (Script(loss=squared_tanh), Play(lambda raw: (raw.tanh() + 1) / 2)),
    "of a log-cosh error": (
        Script(loss=lambda raw, won: log_cosh(raw.tanh() - (2 * won - 1))),
        Play(lambda raw: (raw.tanh() + 1) / 2),
    ),
    "with a bonus for entropy": (Script(policy_loss=with_entropy), Play()),
    "with momentum and half turns": (
        Script(
            optimiser=lambda net: torch.optim.SGD(net.parameters(), 0.02, momentum=0.9),
            augment=True,
        ),
        Play(),
    ),
    "that ends on its own": (Script(epochs=1, batch=256), Play()),
}
MISTAKES: dict[str, tuple[Script, str]] = {
    "labels of the side to move": (
        Script(label=lambda red_won, mover, game: float(red_won == (mover == 1))),
        "trained for the side to move, and read as Red's",
    ),
    "labels of the other side": (
        Script(label=lambda red_won, mover, game: float(red_won != (mover == 1))),
        "trained for the side that has just moved",
    ),
    "inverted labels": (
        Script(label=lambda red_won, mover, game: float(not red_won)),
        "every label is inverted",
    ),
    "noisy labels": (Script(label=half_noisy), "label noise"),
    "half of the games": (
        Script(label=lambda red_won, mover, game: float(red_won == (game % 2 == 0))),
        "inverted (exactly )?in games of (even|odd) number",
    ),
    "squared error read by a sigmoid": (
        Script(loss=lambda raw, won: (raw - won).square().mean()),
        "trained as the raw value.*, reported as sigmoid\\(raw\\)",
    ),
    "0 and 1 for a tanh": (
        Script(loss=lambda raw, won: (raw.tanh() - won).square().mean()),
        "targets of 0 and 1 for a tanh",
    ),
    "0 and 1 for the log-cosh error of a tanh": (
        Script(loss=lambda raw, won: log_cosh(raw.tanh() - won)),
        "targets of 0 and 1 for a tanh",
    ),
    "an absolute error read by a sigmoid": (
        Script(loss=lambda raw, won: (raw - won).abs().mean()),
        "trained as the raw value with targets of 0 and 1, reported as sigmoid",
    ),
    "a discount": (Script(discount=0.97), "discounted by a factor of 0.97 for each ply"),
    "values broadcast against labels": (
        Script(loss=lambda raw, won: (raw[:, None] - won).square().mean()),
        "broadcast to \\[B, B\\]",
    ),
    "a loss that is maximised": (
        Script(loss=lambda raw, won: -(raw.sigmoid() - won).square().mean()),
        "sign of the value loss is wrong",
    ),
    "a small weight": (Script(weight=1e-4), "weighs 0.0001 of the policy loss"),
    "gradients that are never cleared": (Script(before=""), "never\\s+cleared"),
    "gradients cleared too late": (Script(after="clear"), "cleared between backward"),
    "a hard clip": (Script(after="clip"), "clipped in every step"),
    "a clip of each number": (Script(after="clip values"), "clip_grad_value_"),
    "gradients with another sign": (Script(after="negate"), "sign of the gradient is changed"),
    "no step": (Script(after="no step"), "step\\(\\) is never called"),
    "a value that is not held": (Script(optimiser=without_value), "value is not given to the"),
    "another network's weights": (Script(optimiser=of_another), "weights of another network"),
    "detached features": (Script(network=partial(Net, detached=True)), "detached from the trunk"),
    "a detached value": (
        Script(loss=lambda raw, won: bce(raw.detach(), won)),
        "no loss trains the value",
    ),
    "a tiny rate": (Script(optimiser=adam(1e-9)), "learning rate is 0 or far too small"),
    "a huge rate": (Script(optimiser=adam(5.0)), "learning rate is far too high"),
    "a strong decay": (Script(optimiser=adam(1e-3, weight_decay=0.5)), "decay is so strong"),
    "eval mode": (Script(mode=False), "trained in eval mode"),
    "no shuffling": (Script(shuffled=False), "not shuffled"),
    "batches of two": (Script(batch=2), "too small for batch norm"),
    "openings": (Script(plies=lambda length: range(6)), "only openings"),
    "ends": (Script(plies=lambda length: range(length - 1, length)), "only the last positions"),
    "transposed boards": (Script(shown=transposed), "boards are transposed"),
    "other numbers": (Script(shown=of_255), "holds 0, 255 in training and 0, 1"),
    "exchanged colours": (Script(shown=exchanged), "planes 0 and 1 are exchanged"),
    "the move before": (
        Script(move=lambda moves, ply: moves[max(ply - 1, 0)]),
        "1 ply earlier than the next move",
    ),
    "a policy loss that is maximised": (Script(sign=-1.0), "sign of the policy loss is wrong"),
    "a plain list": (Script(network=Unregistered), "modules are not registered"),
    "huge weights": (Script(network=huge), "initial weights"),
    "a slow rate": (Script(optimiser=adam(1e-6)), "learning rate is far too low"),
    "a mirror": (
        Script(shown=lambda stones, to_move: encode(stones[:, ::-1], to_move)),
        "no symmetry of Hex",
    ),
    "a plane of the winner": (Script(told=True), "holds the winner of the game"),
    "games that Red won": (Script(kept=lambda red_won: red_won), "only games that Red won"),
    "boards after the move": (
        Script(later=True),
        "boards of training are those after the move",
    ),
    "two softmaxes": (Script(network=Chances), "two softmaxes"),
    "a softmax over the batch": (
        Script(policy_loss=lambda logits, cells: functional.nll_loss(logits.log_softmax(0), cells)),
        "over the batch",
    ),
    "probabilities in a likelihood": (
        Script(policy_loss=lambda logits, cells: functional.nll_loss(logits.softmax(1), cells)),
        "probabilities for log probabilities",
    ),
    "a relu of logits": (
        Script(policy_loss=lambda logits, cells: functional.cross_entropy(logits.relu(), cells)),
        "a ReLU stands behind",
    ),
    "a tanh in a cross-entropy": (
        Script(loss=lambda raw, won: bce(raw.tanh(), won)),
        "a tanh stands behind the value",
    ),
    "columns first": (
        Script(move=lambda moves, ply: moves[ply] % SIZE * SIZE + moves[ply] // SIZE),
        "numbered by columns",
    ),
}
