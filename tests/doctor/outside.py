"""Networks that a researcher trained with a script of his own, as `doctor --model` gets them.

Nothing of hexsearch takes part in the training: positions, planes, targets and the loop are those
of a plain script. `Foreign` lists the places where such scripts differ, so that a slip changes one
of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from hexsearch.data.archive import GameArchive
from tests.doctor.slips import Named

Encode = Callable[[NDArray[np.int8], int], NDArray[np.float32]]


class Trained(NamedTuple):
    """What `doctor --model` and `--encoder` get."""

    network: nn.Module
    encode: Encode


class Samples(NamedTuple):
    """Positions of games, one row each.

    Attributes:
        stones: [P, N, N] int8, with RED (+1), BLUE (-1) and 0.
        to_move: [P] +1 for Red, -1 for Blue, 0 on a finished board.
        won: [P] +1.0 where Red wins the game, else -1.0.
        played: [P] the next cell, -1 on a finished board.
        game, ply, left: [P] number of the game, plies from its beginning and to its end.
    """

    stones: NDArray[np.int8]
    to_move: Tensor
    won: Tensor
    played: Tensor
    game: Tensor
    ply: Tensor
    left: Tensor

    @property
    def result(self) -> Tensor:
        """[P] +1.0 where the side to move wins, else -1.0; that of Blue on a finished board."""
        return torch.where(self.to_move > 0, self.won, -self.won)


def samples_of(archive: GameArchive, size: int, first: int = 0) -> Samples:
    """Every position of every second game: `first` is 0 for training and 1 for a test."""
    boards, rows = [], []
    for index in range(first, len(archive), 2):
        game = archive.game(index)
        board = np.zeros((size, size), dtype=np.int8)
        for ply, cell in enumerate((*game.moves, -1)):
            mover = 0 if cell < 0 else -1 if ply % 2 == 0 else 1
            boards.append(board.copy())
            rows.append((mover, game.winner, cell, index, ply, len(game.moves) - ply))
            if cell >= 0:
                board[divmod(cell, size)] = mover
    columns = torch.tensor(rows).T
    won = columns[1].float()
    return Samples(np.stack(boards), columns[0], won, *columns[2:])


def encoded(samples: Samples, encode: Encode) -> Tensor:
    """Planes [P, C, N, N] of the samples, each encoded from a copy of its board."""
    sides = samples.to_move.tolist()
    pairs = zip(samples.stones, sides, strict=True)
    return torch.from_numpy(np.stack([encode(board.copy(), side) for board, side in pairs]))


def as_shown(samples: Samples) -> Tensor:
    """The next cell on the board of the side to move, which is transposed for Red."""
    size = samples.stones.shape[1]
    row, column = samples.played // size, samples.played % size
    red = (samples.to_move > 0) & (samples.played >= 0)
    return torch.where(red, column * size + row, samples.played)


def as_played(samples: Samples) -> Tensor:
    """The next cell."""
    return samples.played


def at_random(rows: Tensor, draw: torch.Generator) -> Iterator[Tensor]:
    """Batches of 128 rows, 250 of them."""
    for _ in range(250):
        yield rows[torch.randint(len(rows), (128,), generator=draw)]


def adam(network: nn.Module) -> torch.optim.Optimizer:
    """Adam with decoupled weight decay."""
    return torch.optim.AdamW(network.parameters(), lr=3e-3, weight_decay=0.01)


def to_eval(network: nn.Module) -> nn.Module:
    """The network in eval mode."""
    return network.eval()


@dataclass(frozen=True)
class Foreign(Named):
    """How a network is trained and used.

    Attributes:
        network: makes it for a board size: planes to policy logits and raw values.
        encode: planes of a board and the side to move.
        targets: [P] value targets.
        loss: value loss of raw values and targets.
        decode: win_prob_red of the network.
        named_by, cause, report: as in Slip.
        planes: planes in training.
        moves: policy targets.
        rows: samples that are used in training.
        turned: augmentation of planes and policy targets.
        batches, optimiser: rows of each step, and what makes the steps.
        after: what happens to the network after training.
        asked: encoder at inference, if it is another one.
    """

    network: Callable[[int], nn.Module]
    encode: Encode
    targets: Callable[[Samples], Tensor]
    loss: Callable[[Tensor, Tensor], Tensor]
    decode: Callable[..., Tensor]
    named_by: str = ""
    cause: str = ""
    report: str = ""
    planes: Callable[[Samples, Encode], Tensor] = encoded
    moves: Callable[[Samples], Tensor] = as_played
    rows: Callable[[Samples], Tensor] = lambda samples: torch.arange(len(samples.stones))
    turned: Callable[[Tensor, Tensor, torch.Generator], tuple[Tensor, Tensor]] | None = None
    batches: Callable[[Tensor, torch.Generator], Iterator[Tensor]] = at_random
    optimiser: Callable[[nn.Module], torch.optim.Optimizer] = adam
    after: Callable[[Any], nn.Module] = to_eval
    asked: Encode | None = None

    def begun(self, steps: int) -> Foreign:
        """The same script, which ends after some steps."""
        return replace(self, batches=lambda rows, draw: islice(self.batches(rows, draw), steps))

    def trained(self, archive: GameArchive, size: int, seed: int = 0) -> Trained:
        """The network and the encoder that the script gives."""
        torch.manual_seed(seed)
        samples, draw = samples_of(archive, size), torch.Generator().manual_seed(seed)
        planes, targets = self.planes(samples, self.encode), self.targets(samples)
        moves, network = self.moves(samples), self.network(size)
        optimiser = self.optimiser(network)
        for rows in self.batches(self.rows(samples), draw):
            shown, played = planes[rows], moves[rows]
            if self.turned is not None:
                shown, played = self.turned(shown, played, draw)
            policy, raw = network(shown)
            loss = self.loss(raw, targets[rows])
            loss = loss + 0.5 * functional.cross_entropy(policy, played, ignore_index=-1)
            optimiser.zero_grad()
            torch.autograd.backward(loss)
            optimiser.step()
        network = self.after(network)
        network.win_prob_red = self.decode  # type: ignore[assignment]
        return Trained(network, self.asked or self.encode)
