"""Targets of the auxiliary heads, built from the moves of whole games for encoded positions.

All targets are integers. -1 marks an entry that is ignored, because it is unknown or already
decided. On maps a cell is 0 (nobody), 1 (the colour on the network's first plane) or 2 (the
colour on its second plane), so targets follow the symmetry and perspective of the planes.

* `moves_left` [B]: pairs of plies to the end of the game, rounded up; 0 on a finished board. Blue
  wins in an odd number of plies and Red in an even number, so the plies themselves would give
  the winner. A pair covers one length of each colour.
* `ownership` [B, N*N]: the owner of each cell at the end of the game, for cells that are empty.
* `winning_chain` [B, N*N]: the cells of the chain that joins the winner's edges at the end. Blue
  and Red are different classes, so the chain also tells the winner.
* `future_stones` [B, N*N]: the colour that plays on each cell within the next plies, for cells
  that are empty, while the game is not finished. Nobody plays after the end of a game.

The end of a resigned game is not known. The first three targets are ignored for such games, and
the last one is ignored for positions whose next plies go beyond the recorded moves.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from hexsearch.config.auxiliary import AuxiliaryConfig
from hexsearch.data.encoder import PositionEncoder
from hexsearch.game.symmetry import LONG_DIAGONAL, symmetry_cells

_NONE = -1  # the entry is ignored


@dataclass(frozen=True)
class WholeGames:
    """The whole games that B positions belong to.

    Attributes:
        cells: [M] int64, all moves of the first position's game, then of the second's, and so on.
        lengths: [B] int64, number of moves of each game; they sum to M.
        plies: [B] int64, number of moves that lead to each position.
        symmetries: [B] int64, symmetry under which each position is encoded.
        red_won: [B] bool, whether Red won.
        finished: [B] bool, whether the last move joined the winner's edges.
    """

    cells: Tensor
    lengths: Tensor
    plies: Tensor
    symmetries: Tensor
    red_won: Tensor
    finished: Tensor

    @cached_property
    def position(self) -> Tensor:
        """[M] index of the position to whose game each move belongs."""
        # output_size is given: without it, torch would wait for the device to compute it.
        return torch.repeat_interleave(
            torch.arange(len(self.lengths), device=self.cells.device),
            self.lengths,
            output_size=len(self.cells),
        )

    @cached_property
    def number(self) -> Tensor:
        """[M] number of each move within its game, from 0."""
        starts = torch.cumsum(self.lengths, 0) - self.lengths
        return torch.arange(len(self.cells), device=self.cells.device) - starts[self.position]


class TargetBuilder:
    """Builds the targets of one encoder's positions on a device, without waiting for it."""

    def __init__(self, encoder: PositionEncoder, device: torch.device) -> None:
        self._size = encoder.size
        self._area = encoder.size**2
        self._places = torch.from_numpy(encoder.places().copy()).to(device)
        self._cells = torch.from_numpy(symmetry_cells(encoder.size).copy()).to(device)

    def build(self, wanted: AuxiliaryConfig, games: WholeGames) -> dict[str, Tensor]:
        """The targets of the heads with a weight, by head: int64 [B] or int8 [B, N*N]."""
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
        """[B, N*N] int8, owners of the moves first..last - 1; -1 on cells of earlier moves."""
        place = self._encoded_places(games)
        number, position = games.number, games.position
        owner = 1 + place // self._area
        owner = torch.where(number < last[position], owner, 0)
        owner = torch.where(number < first[position], _NONE, owner).to(torch.int8)
        board = torch.zeros(
            len(games.lengths) * self._area, dtype=torch.int8, device=games.cells.device
        )
        board.scatter_(0, position * self._area + place % self._area, owner)
        return board.view(-1, self._area)

    def _encoded_places(self, games: WholeGames) -> Tensor:
        """[M] plane and cell of each move after encoding: plane * N*N + cell."""
        entry = games.symmetries[games.position] * (2 * self._area) + games.cells
        return self._places[entry + (games.number & 1) * self._area]

    def _chains(self, games: WholeGames) -> Tensor:
        # Games that Red won are mirrored, so that every winner connects top to bottom.
        mirrored = LONG_DIAGONAL * games.red_won.long()
        cells = self._cells[mirrored[games.position], games.cells]
        winners = (games.number & 1).bool() == games.red_won[games.position]
        stones = torch.zeros(
            len(games.lengths) * self._area, dtype=torch.bool, device=games.cells.device
        )
        stones.scatter_(0, games.position * self._area + cells, winners)
        chain = joining_stones(stones.view(-1, self._size, self._size)).view(-1, self._area)
        # Each symmetry is its own inverse, and the product of two symmetries is their XOR.
        chain = chain.gather(1, self._cells[games.symmetries ^ mirrored])
        swapped = games.symmetries >= LONG_DIAGONAL
        owner = 1 + (games.red_won ^ swapped).to(torch.int8)
        target = torch.where(chain, owner[:, None], 0)
        return target.masked_fill(~games.finished[:, None], _NONE)


def joining_stones(stones: Tensor) -> Tensor:
    """The stones that are connected with both the top row and the bottom row.

    Args:
        stones: [B, N, N] bool, stones of one colour; at most half of the cells, rounded up.
    Returns:
        [B, N, N] bool; all False for a board on which the rows are not joined.
    """
    size = stones.shape[1]
    weights = 1 << torch.arange(size, device=stones.device)
    rows = (stones * weights).sum(2).to(torch.int32)  # column c of a row in bit c
    reached = torch.zeros_like(rows).expand(2, -1, -1).clone()  # from the top, from the bottom
    reached[0, :, 0], reached[1, :, -1] = rows[:, 0], rows[:, -1]
    # The neighbours of (r, c) are (r, c+-1), (r+-1, c), (r-1, c+1) and (r+1, c-1). Each step adds
    # at least one stone, so this number of steps is always enough. Testing for an earlier end
    # would wait for the GPU.
    for _ in range((size * size + 1) // 2):
        grown = reached | (reached << 1) | (reached >> 1)
        grown[..., 1:] |= reached[..., :-1] | (reached[..., :-1] >> 1)
        grown[..., :-1] |= reached[..., 1:] | (reached[..., 1:] << 1)
        grown &= rows
        if grown.device.type == "cpu" and torch.equal(grown, reached):
            break
        reached = grown
    return ((reached[0] & reached[1])[:, :, None] & weights) != 0
