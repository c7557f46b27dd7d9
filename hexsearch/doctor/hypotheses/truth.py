"""What training samples should be, computed from the games.

Neither the encoder nor the symmetry tables are used, so that a fault in them is found.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hexsearch.data.archive import GameArchive
from hexsearch.data.baselines import stones_at
from hexsearch.game.board import BLUE, RED, Stones

Flags = NDArray[np.bool_]
Ints = NDArray[np.int64]
Planes = NDArray[np.float32]
SWAPS: Flags = np.array([False, False, True, True])  # whether a symmetry exchanges the colours
_CLOSE = 1e-3


@dataclass(frozen=True)
class Truth:
    """B positions of an archive, as the games say. Symmetries of Hex are numbered as in `image`.

    Attributes:
        game, ply: [B] index of the game in the archive, and number of moves.
        boards: [B, N, N] stones.
        red_to_move: [B] whether Red moves after so many moves, also if the game is over.
        finished: [B] whether a colour has connected, so that nobody is to move.
        has_move: [B] whether the game has a next move.
        red_won: [B] whether Red won the game.
        next_cell: [B] cell of the next move; -1 where there is none.
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
        """The positions that are so many games later in the archive, and so many plies later."""
        game = (self.game + games) % len(self.archive)
        lengths = self.archive.lengths[game]
        return truth_of(self.archive, game, np.clip(self.ply + plies, 0, lengths))

    def at_ply(self, ply: int) -> Truth:
        """Positions of the same games after `ply` moves, or at their end if they are shorter."""
        lengths = self.archive.lengths[self.game].astype(np.int64)
        return truth_of(self.archive, self.game, np.minimum(ply, lengths))

    def at_the_end(self) -> Truth:
        """Last positions of the same games."""
        return truth_of(self.archive, self.game, self.archive.lengths[self.game].astype(np.int64))

    def rows(self, index: Ints | Flags) -> Truth:
        """The positions at an index, or those that a mask chooses."""
        return truth_of(self.archive, self.game[index], self.ply[index])

    def stone_planes(self, symmetry: int) -> Planes:
        """[B, 2, N, N] planes of Blue's and Red's stones under a symmetry."""
        return stone_planes(image(self.boards, symmetry))

    def all_stone_planes(self) -> list[Planes]:
        """The same under each of the four symmetries."""
        return [self.stone_planes(symmetry) for symmetry in range(4)]

    def mover_plane(self, symmetry: int) -> Planes:
        """[B] value of the side-to-move plane under a symmetry: 0 Blue, 1 Red, 0.5 nobody."""
        mover = (self.red_to_move ^ bool(SWAPS[symmetry])).astype(np.float32)
        return np.where(self.finished, np.float32(0.5), mover)

    def next_cells(self, symmetry: int) -> Ints:
        """[B] cell of the next move under a symmetry; meaningless where there is no next move."""
        row, column = np.divmod(self.next_cell, self.size)
        last = self.size - 1
        if symmetry == 0:
            return self.next_cell
        if symmetry == 1:
            return (last - row) * self.size + last - column
        if symmetry == 2:
            return column * self.size + row
        return (last - column) * self.size + last - row

    def cells_under(self, symmetry: Ints) -> Ints:
        """[B] cell of the next move, each under its own symmetry [B]; -1 where there is none."""
        cells = np.stack([self.next_cells(s) for s in range(4)])
        return np.where(self.has_move, cells[symmetry, np.arange(len(symmetry))], -1)

    def planes_under(self, symmetry: Ints) -> Planes:
        """[B, 2, N, N] planes of the stones, each under its own symmetry [B]."""
        planes = np.stack(self.all_stone_planes())
        chosen: Planes = planes[symmetry, np.arange(len(symmetry))]
        return chosen

    def outcome(self, symmetry: int | Ints, perspective: str) -> Flags:
        """[B] whether the label is 1 under a symmetry, or under one for each position [B]."""
        encoded: Flags = self.red_won ^ SWAPS[symmetry]
        return ~encoded if perspective == "mover" else encoded


def truth_of(archive: GameArchive, games: Ints, plies: Ints) -> Truth:
    """The Truth of positions, from the archive.

    Args:
        games, plies: [B] index of the game, and number of moves.
    """
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
    """Boards [B, N, N] under a symmetry of Hex.

    0 is the identity and 1 the half turn; 2 and 3 are the reflections in the long and in the short
    diagonal, which exchange the colours.
    """
    if symmetry == 0:
        return boards
    if symmetry == 1:
        return boards[:, ::-1, ::-1]
    turned = -boards.transpose(0, 2, 1)
    return turned if symmetry == 2 else turned[:, ::-1, ::-1]


def stone_planes(boards: Stones) -> Planes:
    """[B, 2, N, N] planes of Blue's and Red's stones."""
    return np.stack([boards == BLUE, boards == RED], axis=1).astype(np.float32)


def inside_ring(planes: Planes, size: int) -> Planes:
    """[B, C, N, N] planes without the ring of edges that an encoder may add."""
    margin = (planes.shape[-1] - size) // 2
    return planes[:, :, margin : margin + size, margin : margin + size]


def ring_planes(side: int) -> Planes:
    """[2, side, side] the ring of edges: Blue's above and below, Red's left and right."""
    ring = np.zeros((2, side, side), dtype=np.float32)
    ring[0, 0, 1:] = ring[0, -1, :-1] = 1.0
    ring[1, 1:, 0] = ring[1, :-1, -1] = 1.0
    return ring


def in_ring(planes: Planes) -> Planes:
    """[B, 2, N + 2, N + 2] planes of stones [B, 2, N, N] inside the ring of edges."""
    side = planes.shape[-1] + 2
    whole = np.repeat(ring_planes(side)[None], len(planes), axis=0)
    whole[:, :, 1:-1, 1:-1] = planes
    return whole


def same(some: Planes, others: Planes) -> Flags:
    """[B] whether two arrays of planes [B, ...] are equal; all False if their shapes differ."""
    if some.shape != others.shape:
        return np.zeros(len(some), dtype=bool)
    gaps = np.abs(some - others).reshape(len(some), -1)
    agree: Flags = gaps.max(axis=1) < _CLOSE
    return agree
