"""What training samples should look like, worked out from the games alone.

Neither the encoder nor the symmetry tables are used, so that a fault in them shows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hexsearch.data.archive import GameArchive
from hexsearch.data.baselines import stones_at
from hexsearch.game.board import BLUE, RED, Stones

Flags = NDArray[np.bool_]
Ints = NDArray[np.int64]
Planes = NDArray[np.float32]
SWAPS: Flags = np.array([False, False, True, True])  # symmetries that exchange the colours
_CLOSE = 1e-3


@dataclass(frozen=True)
class Truth:
    """[B] positions of an archive as they really are.

    Attributes:
        boards: [B, N, N]. red_to_move: by ply, whether or not the game is over.
        finished: somebody has connected, so nobody is to move.
        next_cell: [B], -1 where there is no next move.
    """

    archive: GameArchive
    game: Ints
    ply: Ints
    boards: Stones
    red_to_move: Flags
    finished: Flags
    has_move: Flags
    red_won: Flags
    next_cell: Ints

    @property
    def size(self) -> int:
        """Side of the board."""
        return int(self.boards.shape[1])

    def moved(self, games: int = 0, plies: int = 0) -> Truth:
        """The same positions of a neighbouring game, or earlier or later in their own."""
        game = (self.game + games) % len(self.archive)
        lengths = self.archive.lengths[game]
        return truth_of(self.archive, game, np.clip(self.ply + plies, 0, lengths))

    def at_ply(self, ply: int) -> Truth:
        """The positions of the same games after some moves."""
        lengths = self.archive.lengths[self.game].astype(np.int64)
        return truth_of(self.archive, self.game, np.minimum(ply, lengths))

    def at_the_end(self) -> Truth:
        """The last positions of the same games."""
        return truth_of(self.archive, self.game, self.archive.lengths[self.game].astype(np.int64))

    def rows(self, index: Ints | Flags) -> Truth:
        """Some of the positions."""
        return truth_of(self.archive, self.game[index], self.ply[index])

    def stone_planes(self, symmetry: int) -> Planes:
        """[B, 2, N, N] Blue's and Red's stones under a symmetry of Hex."""
        return stone_planes(image(self.boards, symmetry))

    def mover_plane(self, symmetry: int) -> Planes:
        """[B] value of the side-to-move plane under a symmetry: 0 Blue, 1 Red, 0.5 nobody."""
        mover = (self.red_to_move ^ bool(SWAPS[symmetry])).astype(np.float32)
        return np.where(self.finished, np.float32(0.5), mover)

    def next_cells(self, symmetry: int) -> Ints:
        """[B] the next move under a symmetry; only meaningful where there is one."""
        row, column = np.divmod(self.next_cell, self.size)
        last = self.size - 1
        if symmetry == 0:
            return self.next_cell
        if symmetry == 1:
            return (last - row) * self.size + last - column
        if symmetry == 2:
            return column * self.size + row
        return (last - column) * self.size + last - row

    def outcome(self, symmetry: int, perspective: Literal["absolute", "mover"]) -> Flags:
        """[B] whether the label is 1 under a symmetry."""
        shown = self.red_won ^ bool(SWAPS[symmetry])
        return ~shown if perspective == "mover" else shown


def truth_of(archive: GameArchive, games: Ints, plies: Ints) -> Truth:
    """The truth about positions, from the archive."""
    lengths = archive.lengths[games]
    starts = archive.offsets[games].astype(np.int64)
    has_move = plies < lengths
    at = np.where(has_move, starts + plies, starts)
    return Truth(
        archive=archive,
        game=games,
        ply=plies,
        boards=stones_at(archive, games, plies),
        red_to_move=plies % 2 == 1,
        finished=(plies == lengths) & (archive.finished[games] == 1),
        has_move=has_move,
        red_won=archive.winners[games] == RED,
        next_cell=np.where(has_move, archive.moves[at].astype(np.int64), -1),
    )


def image(boards: Stones, symmetry: int) -> Stones:
    """Boards [B, N, N] under a symmetry of Hex: half turn, long and short diagonal."""
    if symmetry == 0:
        return boards
    if symmetry == 1:
        return boards[:, ::-1, ::-1]
    turned = -boards.transpose(0, 2, 1)
    return turned if symmetry == 2 else turned[:, ::-1, ::-1]


def stone_planes(boards: Stones) -> Planes:
    """[B, 2, N, N] Blue's and Red's stones."""
    return np.stack([boards == BLUE, boards == RED], axis=1).astype(np.float32)


def inside_ring(planes: Planes, size: int) -> Planes:
    """Planes [B, C, N, N] without the ring that an encoder may paint round the board."""
    margin = (planes.shape[-1] - size) // 2
    return planes[:, :, margin : margin + size, margin : margin + size]


def stone_planes_of(planes: Planes, size: int) -> Planes:
    """[B, 2, N, N] the first two planes, without the painted ring."""
    return np.ascontiguousarray(inside_ring(planes, size)[:, :2])


def ring_planes(side: int) -> Planes:
    """[2, side, side] the painted edges: Blue's above and below, Red's left and right."""
    ring = np.zeros((2, side, side), dtype=np.float32)
    ring[0, 0, 1:] = ring[0, -1, :-1] = 1.0
    ring[1, 1:, 0] = ring[1, :-1, -1] = 1.0
    return ring


def in_ring(planes: Planes) -> Planes:
    """[B, 2, N + 2, N + 2] planes of stones [B, 2, N, N] inside the painted edges."""
    side = planes.shape[-1] + 2
    whole = np.repeat(ring_planes(side)[None], len(planes), axis=0)
    whole[:, :, 1:-1, 1:-1] = planes
    return whole


def same(some: Planes, others: Planes) -> Flags:
    """[B] whether planes [B, ...] agree in every cell."""
    if some.shape != others.shape:
        return np.zeros(len(some), dtype=bool)
    gaps = np.abs(some - others).reshape(len(some), -1)
    agree: Flags = gaps.max(axis=1) < _CLOSE
    return agree
