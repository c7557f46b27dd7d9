"""How many stones each colour still lacks to connect, for many boards at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hexsearch.game.board import BLUE, RED, Stones

_CHUNK = 4096  # boards in step; their bit rows stay in the processor's cache
_ONE = np.uint32(1)

Rows = NDArray[np.uint32]


def connection_distances(stones: Stones) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
    """Fewest stones that would connect each colour if the other passed.

    A shortest path in which own stones cost 0, empty cells 1, and the other's stones block.
    0 means connected. A colour that is cut off, which happens only when the other has
    connected, gets the number of cells N * N, more than any path costs.

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

    Everything reachable for d stones is flooded at once; one step into the empty cells around
    it is what is reachable for d + 1.
    """
    full = np.uint32((1 << size) - 1)
    free = ~other & full
    distances = np.full(own.shape[1], size * size, dtype=np.int16)
    open_boards = np.arange(own.shape[1])
    reached = np.zeros_like(own)
    reached[0] = own[0]
    # The top edge itself is what costs nothing; its own stones follow from it.
    for distance in range(size * size + 1):
        reached = _flood(reached, own)
        done = reached[-1] != 0
        distances[open_boards[done]] = distance
        grown = _with_neighbours(reached)
        grown[0] |= full
        grown &= free
        going = ~done & (grown != reached).any(axis=0)
        if not going.any():
            break
        open_boards = open_boards[going]
        reached, own, free = grown[:, going], own[:, going], free[:, going]
    return distances


def _flood(reached: Rows, own: Rows) -> Rows:
    """Everything that own stones connect to what is reached."""
    active = np.arange(reached.shape[1])
    rows, stones = reached, own
    while True:
        grown = rows | (_with_neighbours(rows) & stones)
        moving = (grown != rows).any(axis=0)
        if not moving.any():
            return reached
        active = active[moving]
        rows, stones = grown[:, moving], stones[:, moving]
        reached[:, active] = rows


def _with_neighbours(rows: Rows) -> Rows:
    """Cells and their neighbours (r, c+-1), (r+-1, c), (r-1, c+1), (r+1, c-1)."""
    grown: Rows = rows | (rows << _ONE) | (rows >> _ONE)
    grown[1:] |= rows[:-1] | (rows[:-1] >> _ONE)
    grown[:-1] |= rows[1:] | (rows[1:] << _ONE)
    return grown
