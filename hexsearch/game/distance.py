"""The number of stones that each colour still needs to connect, for many boards at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hexsearch.game.board import BLUE, RED, Stones

_CHUNK = 4096  # boards that are computed together; their bit rows fit in the processor's cache
_ONE = np.uint32(1)

Rows = NDArray[np.uint32]


def connection_distances(stones: Stones) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
    """The fewest stones that would connect each colour if the other colour passed.

    This is a shortest path: own stones cost 0, empty cells cost 1, and the other colour's
    stones block. 0 means connected. A colour is cut off only when the other colour has
    connected; its distance is then N * N, the number of cells, which no path reaches.

    Args:
        stones: [G, N, N] int8 holding RED (+1), BLUE (-1) or 0.
    Returns:
        Blue's and Red's distances, [G] int16 each.
    """
    boards, size = stones.shape[0], stones.shape[1]
    blue = np.empty(boards, dtype=np.int16)
    red = np.empty(boards, dtype=np.int16)
    for start in range(0, boards, _CHUNK):
        chunk = slice(start, start + _CHUNK)
        part = stones[chunk]
        blue[chunk] = _distances(_bit_rows(part == BLUE), _bit_rows(part == RED), size)
        turned = part.transpose(0, 2, 1)
        red[chunk] = _distances(_bit_rows(turned == RED), _bit_rows(turned == BLUE), size)
    return blue, red


def _bit_rows(occupied: NDArray[np.bool_]) -> Rows:
    """[G, N, N] bool -> [N, G] with column c of a row in bit c."""
    weights = _ONE << np.arange(occupied.shape[2], dtype=np.uint32)
    rows: Rows = np.einsum("grc,c->rg", occupied, weights, dtype=np.uint32, casting="unsafe")
    return rows


def _distances(own: Rows, other: Rows, size: int) -> NDArray[np.int16]:
    """[G] cost of the cheapest path from the first row to the last.

    The cells that are reachable with d stones are flooded together. One step further into the
    empty cells around them gives the cells that are reachable with d + 1 stones.
    """
    full = np.uint32((1 << size) - 1)
    free = ~other & full
    distances = np.full(own.shape[1], size * size, dtype=np.int16)
    open_boards = np.arange(own.shape[1])
    reached = np.zeros_like(own)
    reached[0] = own[0]
    # The path starts at the top edge, which costs nothing: own stones in row 0 are reached first.
    for distance in range(size * size + 1):
        reached = _flood(reached, own)
        done = reached[-1] != 0
        distances[open_boards[done]] = distance
        grown = _with_neighbours(reached)
        grown[0] |= full
        grown &= free
        growing = ~done & (grown != reached).any(axis=0)
        if not growing.any():
            break
        open_boards = open_boards[growing]
        reached, own, free = grown[:, growing], own[:, growing], free[:, growing]
    return distances


def _flood(reached: Rows, own: Rows) -> Rows:
    """The reached cells, with all own stones that are connected to them."""
    active = np.arange(reached.shape[1])
    rows, stones = reached, own
    while True:
        grown = rows | (_with_neighbours(rows) & stones)
        growing = (grown != rows).any(axis=0)
        if not growing.any():
            return reached
        active = active[growing]
        rows, stones = grown[:, growing], stones[:, growing]
        reached[:, active] = rows


def _with_neighbours(rows: Rows) -> Rows:
    """Cells and their neighbours (r, c+-1), (r+-1, c), (r-1, c+1), (r+1, c-1)."""
    grown: Rows = rows | (rows << _ONE) | (rows >> _ONE)
    grown[1:] |= rows[:-1] | (rows[:-1] >> _ONE)
    grown[:-1] |= rows[1:] | (rows[1:] << _ONE)
    return grown
