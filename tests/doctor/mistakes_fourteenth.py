"""The wrong parts of the scripts in `slips_fourteenth_scripts`, each a mistake of its own."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from tests.doctor.outside import Encode, Samples, encoded
from tests.doctor.outside_networks import Tower, absolute, canonical

_SMALL_BATCH = 16
_STEPS = 250  # of the last generation's training
_BATCH = 128
_FEW_GAMES = 16  # of which every second one is in the training


def reshaped(stones: NDArray[np.int8], to_move: int) -> NDArray[np.float32]:
    """Planes stacked behind rows and columns, and brought to the front by reshape."""
    last = np.ascontiguousarray(np.moveaxis(absolute(stones, to_move), 0, -1))
    return last.reshape(-1, *stones.shape)


def half_turned(planes: Tensor, moves: Tensor, draw: torch.Generator) -> tuple[Tensor, Tensor]:
    """Every second board turned by a half turn, with its move. This is sound."""
    turned = torch.rand(len(planes), generator=draw) < 0.5
    shown = torch.where(turned[:, None, None, None], planes.flip(2, 3), planes)
    last = planes.shape[-1] ** 2 - 1
    return shown, torch.where(turned & (moves >= 0), last - moves, moves)


def squared_chance(raw: Tensor, target: Tensor) -> Tensor:
    """Squared error of the sigmoid. This is sound."""
    return functional.mse_loss(raw[:, 0].sigmoid(), target)


def bootstrapped(samples: Samples, sign: float = 1.0) -> Tensor:
    """The value of the next position, by the network of the last generation; -1 is sound."""
    planes, size = encoded(samples, canonical), samples.stones.shape[1]
    old = Tower(size)
    optimiser, draw = torch.optim.AdamW(old.parameters(), lr=3e-3), torch.Generator().manual_seed(1)
    for _ in range(_STEPS):
        rows = torch.randint(len(planes), (_BATCH,), generator=draw)
        shown, _ = half_turned(planes[rows], samples.played[rows], draw)
        optimiser.zero_grad()
        torch.autograd.backward(functional.mse_loss(old(shown)[1][:, 0], samples.result[rows]))
        optimiser.step()
    with torch.no_grad():
        following = old.eval()(planes)[1][:, 0].roll(-1)
    return torch.where(samples.left == 0, samples.result, sign * following)


def unshuffled(rows: Tensor, draw: torch.Generator) -> Iterator[Tensor]:
    """One epoch of batches in the order of the samples, game after game: `shuffle=False`."""
    yield from torch.split(rows, _SMALL_BATCH)


def over_the_batch(raw: Tensor, target: Tensor) -> Tensor:
    """Negative log likelihood of a softmax along the first dimension, which is the batch."""
    return functional.nll_loss(raw.log_softmax(dim=0), target)


def read_over_the_batch(raw: Tensor) -> Tensor:
    """Chances of win, draw and loss by the same softmax."""
    chances = raw.softmax(dim=0)
    return chances[:, 0] + chances[:, 1] / 2


def loss_and_half_draw(raw: Tensor) -> Tensor:
    """The last class is taken for Red's win."""
    chances = raw.softmax(dim=1)
    return chances[:, 2] + chances[:, 1] / 2


def of_few_games(samples: Samples) -> Tensor:
    """The samples of the first few games, which make dozens of epochs."""
    return (samples.game < _FEW_GAMES).nonzero()[:, 0]


def with_all_symmetries(
    planes: Tensor, moves: Tensor, draw: torch.Generator
) -> tuple[Tensor, Tensor]:
    """One of the eight symmetries of Go for each board, with its move."""
    size = planes.shape[-1]
    cells = torch.arange(size * size, dtype=planes.dtype).view(1, 1, size, size)
    drawn = torch.randint(8, (len(planes),), generator=draw)
    shown, played = planes.clone(), moves.clone()
    for symmetry in range(8):
        rows = drawn == symmetry
        shown[rows] = _symmetric(planes[rows], symmetry)
        old = _symmetric(cells, symmetry).flatten().long()  # the old cell of each new one
        new = torch.where(moves[rows] >= 0, old.argsort()[moves[rows]], -1)
        played[rows] = new
    return shown, played


def _symmetric(planes: Tensor, symmetry: int) -> Tensor:
    turned = planes.rot90(symmetry % 4, (2, 3))
    return turned.flip(3) if symmetry >= 4 else turned


def squared_of_all_pairs(raw: Tensor, target: Tensor) -> Tensor:
    """Chances [B, 1] minus targets [B], which broadcast to [B, B]."""
    return (raw.sigmoid() - target).square().mean()


def with_last_board(samples: Samples, encode: Encode) -> Tensor:
    """The board was appended without a copy, so all samples of a game show its last board."""
    last = np.flatnonzero(samples.left.numpy() == 0)
    ends = last[np.searchsorted(last, np.arange(len(samples.stones)))]
    return encoded(samples._replace(stones=samples.stones[ends]), encode)
