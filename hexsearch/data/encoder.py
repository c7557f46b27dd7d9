"""Encoder of positions as planes. Training, evaluation and prediction use the same object.

`absolute`: planes blue, red, side to move (0.0 Blue, 1.0 Red, 0.5 when the game is over).
`mover`: planes own and other. If Red is to move, the board is reflected and the colours are
exchanged, so that the side to move connects top to bottom. A finished position has no side to
move; it may be encoded from either side.

With `history` a last plane shows how recently each stone was played: 1 for the last stone, and
0.79 times as much for each ply before it (after Tian and Zhu, arXiv:1511.06410). A move changes
this plane by a rule that needs no list of moves, and a stone whose ply is not known has 0.

With `edge_ring` the board lies inside a ring of cells that holds the edges as stones: the rows
above and below the board in the first plane, the columns left and right of it in the second.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hexsearch.config.trial import EncoderConfig
from hexsearch.game.symmetry import symmetry_cells

RECENCY = 2.0 ** (-1.0 / 3.0)  # what becomes of a stone's number in the history plane in a ply
ENCODER_VERSION = 1  # to be raised when the planes of a position change

Indices = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class PositionEncoder:
    """Positions of one board size to planes [B, planes, side, side]."""

    size: int
    perspective: Literal["absolute", "mover"]
    edge_ring: bool = False
    history: bool = False

    @classmethod
    def of(cls, config: EncoderConfig, size: int) -> PositionEncoder:
        """The encoder of these settings for boards of `size`."""
        return cls(size, config.perspective, config.edge_ring, config.history)

    @property
    def side(self) -> int:
        """Rows and columns of the planes: N, or N + 2 with the ring."""
        return self.size + 2 * self.edge_ring

    @property
    def planes(self) -> int:
        """Channels of the encoding."""
        return (3 if self.perspective == "absolute" else 2) + self.history

    def choose_symmetries(self, turn: Flags, red_to_move: Flags) -> NDArray[np.int64]:
        """[B] symmetries that bring each position into the network's perspective.

        Args:
            turn: [B] whether to turn the position by a half turn as well.
            red_to_move: [B] whether Red is to move; for a finished position, whether to encode it
                from Red's side.
        """
        symmetries = turn.astype(np.int64)
        if self.perspective == "mover":
            symmetries += 2 * red_to_move
        return symmetries

    def encode(
        self,
        cells: NDArray[np.integer],
        plies: Indices,
        symmetries: NDArray[np.int64],
        finished: Flags,
    ) -> NDArray[np.float32]:
        """Planes of positions that are given by the moves that led to them.

        Args:
            cells: [sum of plies] the moves of all positions, one position after the other.
            plies: [B] number of moves of each position.
            symmetries: [B] symmetry applied to each position; see hexsearch.game.symmetry.
            finished: [B] whether the game is over, so that nobody is to move.
        """
        batch, plane = len(plies), self.side * self.side
        planes = self.empty_boards(batch)
        # The work is done for each stone. So the values that are constant for a position are
        # combined into one number, which is repeated once. Narrow integers stay in the cache.
        starts = (np.cumsum(plies) - plies).astype(np.int32)
        position = np.repeat(np.arange(batch, dtype=np.int32), plies)
        colour = np.arange(len(cells), dtype=np.int32)
        colour -= starts.take(position)
        colour &= 1
        entry = (symmetries * (2 * self.size**2)).astype(np.int32).take(position)
        colour *= self.size**2
        entry += colour
        entry += cells.astype(np.int32, copy=False)
        entry = self.targets().take(entry)
        position *= self.planes * plane
        entry += position
        planes.reshape(-1)[entry] = 1.0
        if self.perspective == "absolute":
            mover = ((plies & 1) ^ (symmetries >= 2)).astype(np.float32)
            planes[:, 2] = np.where(finished, np.float32(0.5), mover)[:, None, None]
        return planes

    def encode_game(
        self,
        cells: NDArray[np.integer],
        plies: Indices,
        symmetries: NDArray[np.int64],
        finished: Flags,
        unordered: Indices,
    ) -> NDArray[np.float32]:
        """As `encode`, with the history plane if there is one.

        Args:
            unordered: [B] number of first moves that were not played in this order: set-up stones,
                or all of a board whose moves are not known. They have 0 in that plane.
        """
        planes = self.encode(cells, plies, symmetries, finished)
        if not self.history:
            return planes
        position = np.repeat(np.arange(len(plies)), plies)
        number = np.arange(len(cells)) - (np.cumsum(plies) - plies)[position]
        known = number >= unordered[position]
        position, number = position[known], number[known]
        age = plies[position] - 1 - number
        place = self.history_places()[symmetries[position], cells[known]]
        planes.reshape(len(plies), -1)[position, place] = self.recency()[age]
        return planes

    def recency(self) -> NDArray[np.float32]:
        """[N*N] number in the history plane of a stone by its age in plies. Read-only."""
        return _recency(self.size)

    def history_places(self) -> NDArray[np.int64]:
        """[4, N*N] index into the planes of one position, by symmetry and cell. Read-only."""
        return _history_places(self)

    def targets(self) -> NDArray[np.int32]:
        """Place of a stone in the planes: [4 * 2 * N*N], by symmetry, colour (Blue 0) and cell.

        The place is an index into the flattened planes of one position. Read-only.
        """
        return _targets(self.size, self.side)

    def places(self) -> NDArray[np.int64]:
        """As `targets`, but without a ring: [4 * 2 * N*N], plane * N*N + cell."""
        return _targets(self.size, self.size).astype(np.int64)

    def empty_boards(self, batch: int) -> NDArray[np.float32]:
        """Planes [batch, planes, side, side] without stones, with the ring if there is one."""
        shape = (batch, self.planes, self.side, self.side)
        if not self.edge_ring:
            return np.zeros(shape, dtype=np.float32)
        planes = np.empty(shape, dtype=np.float32)
        planes[:] = self.ring()
        return planes

    def ring(self) -> NDArray[np.float32]:
        """[planes, side, side] the edges alone.

        Each edge cell of the board touches two ring cells of its edge. So a row of the ring is one
        cell longer than the board, towards the obtuse corner. The acute corners are empty.
        """
        ring = np.zeros((self.planes, self.side, self.side), dtype=np.float32)
        if self.edge_ring:
            ring[0, 0, 1:] = ring[0, -1, :-1] = 1.0
            ring[1, 1:, 0] = ring[1, :-1, -1] = 1.0
        return ring

    def outcome(self, red_won: Flags, symmetries: NDArray[np.int64]) -> NDArray[np.float32]:
        """[B] 1.0 if the side encoded as Red wins (`absolute`), or the side to move (`mover`)."""
        shown_red_won = red_won ^ (symmetries >= 2)
        if self.perspective == "mover":
            shown_red_won = ~shown_red_won
        return shown_red_won.astype(np.float32)

    def complement(self, symmetries: NDArray[np.int64]) -> Flags:
        """[B] whether `win_prob_red` is 1 minus the probability in the network's perspective."""
        swaps = symmetries >= 2
        return ~swaps if self.perspective == "mover" else swaps


@cache
def _targets(size: int, side: int) -> NDArray[np.int32]:
    margin = (side - size) // 2
    row, column = np.divmod(symmetry_cells(size), size)
    shown = (row + margin) * side + column + margin  # [4, N*N]
    plane = np.array([[0, 1], [0, 1], [1, 0], [1, 0]]) * (side * side)  # [4, 2]
    table: NDArray[np.int32] = (plane[:, :, None] + shown[:, None, :]).astype(np.int32).reshape(-1)
    table.setflags(write=False)
    return table


@cache
def _recency(size: int) -> NDArray[np.float32]:
    numbers = (RECENCY ** np.arange(size * size)).astype(np.float32)
    numbers.setflags(write=False)
    return numbers


@cache
def _history_places(encoder: PositionEncoder) -> NDArray[np.int64]:
    area = encoder.side**2
    within = encoder.targets().reshape(4, 2, -1)[:, 0].astype(np.int64) % area
    places = (encoder.planes - 1) * area + within
    places.setflags(write=False)
    return places
