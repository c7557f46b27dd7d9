"""The Hex board: cells, their names, and the winner of a board.

Blue moves first and connects top to bottom (row 1 to row N). Red connects left to
right (column a to the last column). A cell is `row * N + column`, counted from 0. Its
name is the column letter and the row number: `a1` is at the top left, an acute corner.
"""

from __future__ import annotations

import re
from functools import cache

import numpy as np
from numpy.typing import NDArray

BLUE = -1
RED = 1
EMPTY = 0
MIN_SIZE, MAX_SIZE = 3, 19

COLOUR_NAMES = {BLUE: "blue", RED: "red"}
_CELL = re.compile(r"([a-z])([1-9][0-9]?)\Z")

Stones = NDArray[np.int8]


def cell_name(cell: int, size: int) -> str:
    """Column letter and row number of a cell.

    >>> cell_name(0, 13), cell_name(168, 13)
    ('a1', 'm13')
    """
    row, column = divmod(cell, size)
    return f"{chr(ord('a') + column)}{row + 1}"


def parse_cell(name: str, size: int) -> int:
    """The cell that a name such as `k10` stands for.

    Raises:
        ValueError: the text is not a cell name, or the cell is off the board.
    """
    match = _CELL.match(name)
    if match is None:
        raise ValueError(f"'{name}' is not a cell name (a letter, then a number)")
    column, row = ord(match[1]) - ord("a"), int(match[2]) - 1
    if row >= size or column >= size:
        last = chr(ord("a") + size - 1)
        raise ValueError(f"move '{name}' is off a {size}x{size} board (a-{last}, 1-{size})")
    return row * size + column


@cache
def cells_by_name(size: int) -> dict[str, int]:
    """Every cell name of a board, with its cell. A lookup here is faster than `parse_cell`.

    >>> cells_by_name(3)["c2"]
    5
    """
    return {cell_name(cell, size): cell for cell in range(size * size)}


def colour_to_move(ply: int) -> int:
    """The colour to move when `ply` stones lie on the board. Blue moves first."""
    return BLUE if ply % 2 == 0 else RED


def stones_after(moves: NDArray[np.integer] | list[int] | tuple[int, ...], size: int) -> Stones:
    """Board [N, N] after all of `moves`. The colours alternate, and Blue moves first."""
    cells = np.asarray(moves, dtype=np.int64)
    stones = np.zeros(size * size, dtype=np.int8)
    stones[cells[0::2]] = BLUE
    stones[cells[1::2]] = RED
    return stones.reshape(size, size)


def winners(stones: Stones) -> NDArray[np.int8]:
    """The colour that has connected, for many boards at once.

    Args:
        stones: [G, N, N] int8 holding RED (+1), BLUE (-1) or 0.
    Returns:
        [G] int8: RED, BLUE, or 0 where nobody has connected. Both colours cannot connect.
    """
    blue = top_to_bottom(stones == BLUE)
    red = top_to_bottom(stones.transpose(0, 2, 1) == RED)
    return red.astype(np.int8) - blue.astype(np.int8)


def winner(stones: Stones) -> int:
    """The colour that has connected on one board [N, N]: RED, BLUE or 0."""
    return int(winners(stones[None])[0])


def _row_bits(occupied: NDArray[np.bool_]) -> NDArray[np.uint32]:
    """[G, N, N] bool -> [G, N] with column c of a row in bit c."""
    packed = np.zeros((*occupied.shape[:2], 4), dtype=np.uint8)
    octets = np.packbits(occupied, axis=2, bitorder="little")
    packed[..., : octets.shape[2]] = octets
    return packed.view("<u4")[..., 0].astype(np.uint32, copy=False)


def top_to_bottom(occupied: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """[G] whether a chain of occupied cells of [G, N, N] joins the first row and the last.

    All boards are flooded together from the first row. One integer holds one row of stones. The
    neighbours of (r, c) are (r, c+-1), (r+-1, c), (r-1, c+1) and (r+1, c-1). The flood
    ends when no board has grown. It takes at most as many steps as the longest chain has cells.
    """
    rows = _row_bits(occupied)
    reached = np.zeros_like(rows)
    reached[:, 0] = rows[:, 0]
    while True:
        grown = reached | (reached << np.uint32(1)) | (reached >> np.uint32(1))
        grown[:, 1:] |= reached[:, :-1] | (reached[:, :-1] >> np.uint32(1))
        grown[:, :-1] |= reached[:, 1:] | (reached[:, 1:] << np.uint32(1))
        grown &= rows
        if np.array_equal(grown, reached):
            connected: NDArray[np.bool_] = reached[:, -1] != 0
            return connected
        reached = grown
