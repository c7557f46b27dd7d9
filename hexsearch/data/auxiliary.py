"""Targets of the auxiliary heads, from the moves of whole games to the board as it is shown.

All of them are whole numbers, and -1 is what does not count: it is unknown, or no question any
more. On maps a cell is 0 (nobody's), 1 (of the colour on the network's first plane) or 2 (of the
second), so that reflection, change of colours and perspective are those of the planes.

* `moves_left` [B]: pairs of plies to the end, rounded up. Blue ends games of odd length, Red of
  even, so the number of plies would tell who wins; of the two lengths of a pair one is Blue's
  and one is Red's, whoever is to move. 0 on a finished board.
* `ownership` [B, N*N]: whose stone lies on a cell at the end; counts on cells still free.
* `winning_chain` [B, N*N]: the cells of the chain that joins its owner's edges at the end. Blue
  and Red have a class each, so that to draw the chain is to say who wins.
* `future_stones` [B, N*N]: who plays on a cell within the next plies; counts on cells still free
  while the game goes on. A finished game simply ends there: nobody plays after it.

The end of a game that was given up is not known: the first three do not count there, nor does the
last one where it would have to look beyond what was played.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from hexsearch.config.auxiliary import AuxiliaryConfig
from hexsearch.data.encoder import PositionEncoder
from hexsearch.game.symmetry import LONG_DIAGONAL, symmetry_cells

_NONE = -1  # does not count


@dataclass(frozen=True)
class WholeGames:
    """The games that B positions come from, beside the positions.

    Attributes:
        cells: [M] int64, all moves of the first position's game, then of the second's, and so on.
        lengths: [B] int64, moves of each game; they sum to M.
        plies: [B] int64, how many of them have been played.
        symmetries: [B] int64, under which each position is shown.
        red_won: [B] bool; finished: [B] bool, whether the last move joined the winner's edges.
    """

    cells: Tensor
    lengths: Tensor
    plies: Tensor
    symmetries: Tensor
    red_won: Tensor
    finished: Tensor

    @cached_property
    def position(self) -> Tensor:
        """[M] whose game each move belongs to."""
        # Told how many there are, so that the device need not be asked, which would wait for it.
        return torch.repeat_interleave(
            torch.arange(len(self.lengths), device=self.cells.device),
            self.lengths,
            output_size=len(self.cells),
        )

    @cached_property
    def number(self) -> Tensor:
        """[M] of each move within its game, from 0."""
        starts = torch.cumsum(self.lengths, 0) - self.lengths
        return torch.arange(len(self.cells), device=self.cells.device) - starts[self.position]


class TargetBuilder:
    """Builds the targets of one encoder's positions on one device; nothing waits for it there."""

    def __init__(self, encoder: PositionEncoder, device: torch.device) -> None:
        self._size = encoder.size
        self._area = encoder.size**2
        self._places = torch.from_numpy(encoder.places().copy()).to(device)
        self._cells = torch.from_numpy(symmetry_cells(encoder.size).copy()).to(device)

    def build(self, wanted: AuxiliaryConfig, games: WholeGames) -> dict[str, Tensor]:
        """The targets of every head that is wanted, by its name: int64 [B], or int8 [B, N*N]."""
        targets: dict[str, Tensor] = {}
        for name in wanted.weights:
            if name == "moves_left":
                pairs = (games.lengths - games.plies + 1) // 2
                targets[name] = torch.where(games.finished, pairs, _NONE)
            elif name == "ownership":
                owner = self._stones(games, games.plies, games.lengths)
                targets[name] = owner.masked_fill(~games.finished[:, None], _NONE)
            elif name == "winning_chain":
                targets[name] = self._chains(games)
            else:
                targets[name] = self._future(games, wanted.future_stones.plies)
        return targets

    def _future(self, games: WholeGames, plies: int) -> Tensor:
        until = games.plies + plies
        unknown = ~games.finished & (until > games.lengths)
        over = games.plies == games.lengths
        return self._stones(games, games.plies, until).masked_fill((unknown | over)[:, None], _NONE)

    def _stones(self, games: WholeGames, first: Tensor, last: Tensor) -> Tensor:
        """[B, N*N] int8, owners of the moves first..last - 1; -1 where stones lie before them."""
        place = self._shown(games)
        number, position = games.number, games.position
        owner = 1 + place // self._area
        owner = torch.where(number < last[position], owner, 0)
        owner = torch.where(number < first[position], _NONE, owner).to(torch.int8)
        board = torch.zeros(
            len(games.lengths) * self._area, dtype=torch.int8, device=games.cells.device
        )
        board.scatter_(0, position * self._area + place % self._area, owner)
        return board.view(-1, self._area)

    def _shown(self, games: WholeGames) -> Tensor:
        """[M] plane and cell of each move as shown: plane * N*N + cell."""
        entry = games.symmetries[games.position] * (2 * self._area) + games.cells
        return self._places[entry + (games.number & 1) * self._area]

    def _chains(self, games: WholeGames) -> Tensor:
        # Seen as if the winner were Blue, who connects top to bottom: one flood for both colours.
        mirrored = LONG_DIAGONAL * games.red_won.long()
        cells = self._cells[mirrored[games.position], games.cells]
        winners = (games.number & 1).bool() == games.red_won[games.position]
        stones = torch.zeros(
            len(games.lengths) * self._area, dtype=torch.bool, device=games.cells.device
        )
        stones.scatter_(0, games.position * self._area + cells, winners)
        chain = joining_stones(stones.view(-1, self._size, self._size)).view(-1, self._area)
        # Symmetries are their own inverses, and one after the other is their exclusive or.
        chain = chain.gather(1, self._cells[games.symmetries ^ mirrored])
        swapped = games.symmetries >= LONG_DIAGONAL
        owner = 1 + (games.red_won ^ swapped).to(torch.int8)
        target = torch.where(chain, owner[:, None], 0)
        return target.masked_fill(~games.finished[:, None], _NONE)


def joining_stones(stones: Tensor) -> Tensor:
    """The stones that are connected with both the top and the bottom row.

    Args:
        stones: [B, N, N] bool, one colour's; at most every other cell, rounded up, as in a game.
    Returns:
        [B, N, N] bool; none where the rows are not joined.
    """
    size = stones.shape[1]
    weights = 1 << torch.arange(size, device=stones.device)
    rows = (stones * weights).sum(2).to(torch.int32)  # column c of a row in bit c
    reached = torch.zeros_like(rows).expand(2, -1, -1).clone()  # from the top, from the bottom
    reached[0, :, 0], reached[1, :, -1] = rows[:, 0], rows[:, -1]
    # The neighbours of (r, c) are (r, c+-1), (r+-1, c), (r-1, c+1) and (r+1, c-1). A step reaches
    # a stone further, so that so many always suffice; to ask a GPU whether fewer do would wait.
    for _ in range((size * size + 1) // 2):
        grown = reached | (reached << 1) | (reached >> 1)
        grown[..., 1:] |= reached[..., :-1] | (reached[..., :-1] >> 1)
        grown[..., :-1] |= reached[..., 1:] | (reached[..., 1:] << 1)
        grown &= rows
        if grown.device.type == "cpu" and torch.equal(grown, reached):
            break
        reached = grown
    return ((reached[0] & reached[1])[:, :, None] & weights) != 0
