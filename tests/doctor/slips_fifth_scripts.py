"""Slips in the training or the inference of foreign networks, of the fifth set."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from tests.doctor.healthy_networks import ENCODERS
from tests.doctor.scripts import Script

_NOT_LEARNT = "learnt nothing|untrained|the value has not"


def _canonical(stones: NDArray[np.int8], to_move: int) -> NDArray[np.float32]:
    """The board times the player, as in games whose sides have the same aim; a third plane of 0."""
    shown = stones if to_move > 0 else -stones
    return np.stack([shown == 1, shown == -1, np.zeros_like(shown)]).astype(np.float32)


def _as_canonical(planes: Tensor) -> Tensor:
    """The same from planes blue, red, side to move."""
    red = planes[:, 2, :1, :1] > 0.75
    own = torch.where(red, planes[:, 1], planes[:, 0])
    other = torch.where(red, planes[:, 0], planes[:, 1])
    return torch.stack([own, other, torch.zeros_like(own)], dim=1)


def _for_the_mover(samples: Any, target: Tensor) -> Tensor:
    return torch.where(samples.to_move > 0, samples.red_won, 1 - samples.red_won)


def _of_the_mover(raw: Tensor, to_move: Tensor) -> Tensor:
    p = raw.reshape(len(raw)).sigmoid()
    return torch.where(to_move > 0, p, 1 - p)


def _finished_for_red(raw: Tensor, to_move: Tensor) -> Tensor:
    """Nobody is to move on a finished board, which encoder and decoding treat differently."""
    p = raw.reshape(len(raw)).sigmoid()
    return torch.where(to_move >= 0, p, 1 - p)


def _by_quarters(planes: Tensor) -> Tensor:
    return torch.rot90(planes, int(torch.randint(4, ())), (2, 3)).contiguous()


def _without_scales(network: nn.Module) -> None:
    for module in network.eval().modules():
        if isinstance(module, _BatchNorm):
            nn.init.ones_(module.weight)
            nn.init.zeros_(module.bias)


def _other_convention(stones: NDArray[np.int8], to_move: int) -> NDArray[np.float32]:
    return ENCODERS["absolute"](-stones, -to_move)


class _OneArray:
    """An encoder that fills one array and returns it each time."""

    def __init__(self) -> None:
        self.array: NDArray[np.float32] | None = None

    def __call__(self, stones: NDArray[np.int8], to_move: int) -> NDArray[np.float32]:
        made = ENCODERS["absolute"](stones, to_move)
        if self.array is None or self.array.shape != made.shape:
            self.array = np.empty_like(made)
        self.array[:] = made
        return self.array


def _one_row_too_low(stones: NDArray[np.int8], to_move: int) -> NDArray[np.float32]:
    planes = ENCODERS["absolute"](stones, to_move)
    planes[:2, 1:] = planes[:2, :-1].copy()
    planes[:2, 0] = 0.0
    return planes


def _probabilities(network: Any, planes: Tensor) -> tuple[Tensor, Tensor]:
    policy, value = network.answer(planes)
    return policy.softmax(dim=1), value


def _swap_first(network: Any, planes: Tensor) -> tuple[Tensor, Tensor]:
    policy, value = network.answer(planes)
    return torch.cat([torch.zeros(len(policy), 1), policy], dim=1), value


def _noisy_policy(network: Any, planes: Tensor) -> tuple[Tensor, Tensor]:
    policy, value = network.answer(planes)
    return policy + 3 * torch.randn_like(policy), value


def _value_first(network: Any, planes: Tensor) -> tuple[Tensor, Tensor]:
    policy, value = network.answer(planes)
    return value, policy


def _already_sigmoid(network: Any, planes: Tensor) -> tuple[Tensor, Tensor]:
    policy, value = network.answer(planes)
    return policy, value.sigmoid()


def _muzero(raw: Tensor, target: Tensor) -> Tensor:
    """sign(x) (sqrt(|x| + 1) - 1) of a result of -1 or 1."""
    signed = 2 * target - 1
    transformed = signed.sign() * ((signed.abs() + 1).sqrt() - 1)
    return (raw[:, 0] - transformed).square().mean()


def _discounted(samples: Any, target: Tensor) -> Tensor:
    place = torch.arange(len(target))
    last = torch.zeros(int(samples.game.max()) + 1, dtype=torch.long)
    last.scatter_reduce_(0, samples.game, place, "amax")
    return 0.5 + (target - 0.5) * 0.8 ** (last[samples.game] - place)


SCRIPTS: dict[str, Script] = {
    "board times player, edges forgotten": Script(
        "transpos|reflect|edges|side.to.move|mover",
        shown=_as_canonical,
        targets=_for_the_mover,
        asked=_canonical,
        decode=_of_the_mover,
    ),
    "turned by quarters in training": Script("quarter|rotat|symmetr|turn", shown=_by_quarters),
    "batch-norm scales lost": Script(
        "batch.?norm|scales|loaded|" + _NOT_LEARNT, after=_without_scales
    ),
    "sigmoid twice": Script("sigmoid|twice|probabilit|0 and 1", answering=_already_sigmoid),
    "colours of another convention": Script(
        "exchanged|colour|transpos|invert",
        asked=_other_convention,
        decode=lambda raw: 1 - raw.reshape(len(raw)).sigmoid(),
    ),
    "one array for all planes": Script(
        "same array|same object|reuse|copy|memory|overwrit|earlier call|one array",
        asked=_OneArray(),
    ),
    "finished boards of the wrong side": Script("finished", view="mover", decode=_finished_for_red),
    "policy put out as probabilities": Script(
        "probabilit|softmax|logits|temperature|flat", answering=_probabilities
    ),
    "a swap entry before the cells": Script(
        "swap|pass|26|25|cells|shape|entries|outputs", answering=_swap_first
    ),
    "MuZero's value read without its inverse": Script(
        "scale|squeez|transform|confident|range|flat|temperature|times",
        loss=_muzero,
        decode=lambda raw: (raw.reshape(len(raw)) + 1) / 2,
    ),
    "discount of a fifth a move": Script(
        "discount|early|confident|flat|draw|moves to the end|temperature", targets=_discounted
    ),
    "Red's value decoded as the mover's": Script(
        "side.to.move|mover|odd|even", decode=_of_the_mover
    ),
    "checkpoint of the twelfth step": Script(
        "short|early|too little|weak|" + _NOT_LEARNT, steps=12
    ),
    "board one row too low at inference": Script("shift|row|lower|offset", asked=_one_row_too_low),
    "noise of self-play left in the policy": Script(
        "random|noise|repeat|same answer|policy", answering=_noisy_policy
    ),
    "value before policy": Script(
        "order|policy.*value|value.*policy|exchanged|shape", answering=_value_first
    ),
}
