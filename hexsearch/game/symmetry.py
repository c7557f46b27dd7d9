"""The four symmetries of Hex. Each acts on stones, mover, winner and move together.

The half turn keeps each colour's edges. A reflection in a diagonal exchanges the edges, so
it must exchange the colours of stones, mover and winner too. Otherwise the labels are wrong.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

IDENTITY, HALF_TURN, LONG_DIAGONAL, SHORT_DIAGONAL = range(4)
SYMMETRIES = (IDENTITY, HALF_TURN, LONG_DIAGONAL, SHORT_DIAGONAL)
SWAPS_COLOURS: NDArray[np.bool_] = np.array([False, False, True, True])
SWAPS_COLOURS.setflags(write=False)


@cache
def symmetry_cells(size: int) -> NDArray[np.int64]:
    """The cell that each cell is moved to: [4, N*N], one row for each symmetry. Read-only.

    Each symmetry is its own inverse. The long diagonal joins the acute corners, a1 and the
    last cell. The short diagonal joins the obtuse corners.
    """
    row, column = np.divmod(np.arange(size * size), size)
    last = size - 1
    table = np.stack(
        [
            row * size + column,
            (last - row) * size + (last - column),
            column * size + row,
            (last - column) * size + (last - row),
        ]
    ).astype(np.int64)
    table.setflags(write=False)
    return table


def transform_stones(stones: NDArray[np.int8], symmetry: int) -> NDArray[np.int8]:
    """Board [N, N] under a symmetry. A reflection exchanges the colours as well."""
    size = stones.shape[0]
    moved = np.empty(size * size, dtype=np.int8)
    moved[symmetry_cells(size)[symmetry]] = stones.reshape(-1)
    if SWAPS_COLOURS[symmetry]:
        np.negative(moved, out=moved)
    return moved.reshape(size, size)


def canonical_moves(moves: NDArray[np.integer], size: int) -> bytes:
    """One byte string for a game and all of its symmetric copies.

    It is the smallest of the four transformed move sequences, as big-endian 16-bit cells. The
    two reflections are included although they change the colour that moves first: a file in
    which the first mover has the other edges holds its games in that form.
    """
    sequences = symmetry_cells(size)[:, np.asarray(moves, dtype=np.int64)].astype(">u2")
    forms: list[bytes] = [row.tobytes() for row in sequences]
    return min(forms)
