"""The wrong parts of the scripts in `slips_tenth_scripts`, each a mistake of its own."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm

from tests.doctor.outside import Samples
from tests.doctor.outside_networks import BoardTransformer, Pooled, Tower, canonical

_PLIES_LATER = 3


def bootstrapped(samples: Samples) -> Tensor:
    """The value three plies later where there is one; the other side is to move there."""
    early = samples.left > _PLIES_LATER
    return torch.where(early, -samples.result, samples.result)


def compared_with_capital_letters(samples: Samples) -> Tensor:
    """0 where Red wins and 2 where Blue does; every second game was written by a program that
    writes `b`, and the script asks whether the winner is `B`."""
    small = (samples.game // 2) % 2 == 1
    return torch.where((samples.won > 0) | small, 0, 2)


def quarter_turned(stones: NDArray[np.int8], to_move: int) -> NDArray[np.float32]:
    shown = -np.rot90(stones) if to_move > 0 else stones
    return np.stack([shown == -1, shown == 1]).astype(np.float32)


def as_quarter_turned(samples: Samples) -> Tensor:
    """The next cell on the board that `quarter_turned` shows."""
    size = samples.stones.shape[1]
    row, column = samples.played // size, samples.played % size
    turned = (size - 1 - column) * size + row
    return torch.where((samples.to_move > 0) & (samples.played >= 0), turned, samples.played)


class Remembering:
    """Canonical planes, and those of the board that the encoder was asked for before."""

    def __init__(self) -> None:
        self.before: NDArray[np.float32] | None = None

    def __call__(self, stones: NDArray[np.int8], to_move: int) -> NDArray[np.float32]:
        now = canonical(stones, to_move)
        fits = self.before is not None and self.before.shape == now.shape
        past = self.before if fits and self.before is not None else np.zeros_like(now)
        self.before = now
        return np.concatenate([now, past])


class TurningAtRandom:
    """Canonical planes of the board or of its half turn, by chance."""

    def __init__(self) -> None:
        self.draw = np.random.default_rng(0)

    def __call__(self, stones: NDArray[np.int8], to_move: int) -> NDArray[np.float32]:
        planes = canonical(stones, to_move)
        return planes[:, ::-1, ::-1].copy() if self.draw.random() < 0.5 else planes


class Recurrent(Tower):
    """AlphaZero's tower, whose value comes from a recurrent cell; evaluation keeps its state."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.cell = nn.GRUCell(32, 32)
        self.state: Tensor | None = None

    def forward(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        features = self.blocks(functional.relu(self.stem(planes)))
        value = functional.relu(self.value_norm(self.value_conv(features))).flatten(1)
        hidden = planes.new_zeros(len(planes), 32)
        if not self.training and self.state is not None:
            hidden = self.state.to(planes).expand(len(planes), -1)
        hidden = self.cell(functional.relu(self.value_fc1(value)), hidden)
        self.state = hidden[-1:].detach()
        return self.policy(features).flatten(1), self.value_fc2(hidden).tanh()


def for_a_new_game(network: Any) -> nn.Module:
    """Eval mode and an empty state, once."""
    network.state = None
    return network.eval()  # type: ignore[no-any-return]


class MaskedTransformer(BoardTransformer):
    """Attends to the cells that a mask leaves; for torch, True means that a cell is left out."""

    def forward(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        stones, sides = planes.flatten(2).unbind(dim=1)
        tokens = self.states(stones.round().long() + 1 + self.first) + self.side(sides[..., None])
        has_stone = stones != 0
        left_out = has_stone & ~has_stone.all(dim=1, keepdim=True)
        tokens = self.layers(tokens, src_key_padding_mask=left_out)
        kept = (~left_out).float()[..., None]
        pooled = (tokens * kept).sum(dim=1) / kept.sum(dim=1)
        return self.policy(tokens)[..., 0], self.value(pooled)


class WithABranch(Pooled):
    """The value of the side to move, with its sign changed for Red's by an `if`, as in a script.

    A trace keeps the branch of its example, an empty board with Blue to move.
    """

    traced = False

    def forward(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        policy, value = super().forward(planes)
        red_to_move = planes[:, 2:].mean(dim=(2, 3)) > 0
        if self.traced:
            red_to_move = torch.zeros_like(red_to_move)
        return policy, torch.where(red_to_move, value, -value)


def traced(network: Any) -> nn.Module:
    network.traced = True
    return network.eval()  # type: ignore[no-any-return]


def as_theano_convolves(network: nn.Module) -> nn.Module:
    """Theano's convolution turns its kernels by a half turn, torch's does not."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            module.weight.data = module.weight.detach().flip(2, 3)
    return network.eval()


def divided_by_the_variance(network: nn.Module) -> nn.Module:
    """Norms that divide by the variance and not by its root."""
    for module in network.modules():
        if isinstance(module, _BatchNorm) and module.running_var is not None:
            module.running_var = (module.running_var + module.eps).square()
    return network.eval()


def times_the_player(stones: NDArray[np.int8], to_move: int) -> NDArray[np.float32]:
    """The board times the player, who is 0 when the game is over, reflected for Red."""
    shown = (stones.T if to_move > 0 else stones) * to_move
    return np.stack([shown == 1, shown == -1]).astype(np.float32)


def number_among_legal_moves(samples: Samples) -> Tensor:
    """How many empty cells come before the played one."""
    empty = torch.from_numpy(samples.stones == 0).flatten(1)
    before = torch.arange(empty.shape[1])[None, :] < samples.played[:, None]
    count = (empty & before).sum(dim=1)
    return torch.where(samples.played >= 0, count, -1)


def log_forgotten(raw: Tensor, target: Tensor) -> Tensor:
    """The negative likelihood of softmax, of which the logarithm was forgotten."""
    return functional.nll_loss(raw.softmax(dim=1), target)


def scaled_value(samples: Samples) -> Tensor:
    """MuZero's scaling h of Red's result."""
    won = samples.won
    scaled: Tensor = won.sign() * ((won.abs() + 1).sqrt() - 1) + 0.001 * won
    return scaled


def in_centipawns(raw: Tensor, to_move: Tensor) -> Tensor:
    """Red's chance by Elo's formula, from the centipawns that lc0 showed until 2019."""
    centipawns = 290.680623072 * (1.548090806 * raw.reshape(len(raw))).tan()
    chance = 1 / (1 + 10 ** (-centipawns / 400))
    return torch.where(to_move > 0, chance, 1 - chance)
