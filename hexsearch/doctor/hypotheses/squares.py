"""Symmetries and shifts of a square board as maps of cells, for targets that are elsewhere."""

from __future__ import annotations

from itertools import product
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

Cells = TypeVar("Cells", NDArray[np.int64], Tensor)  # [B] row * N + column


def moved_cells(cells: Cells, size: int) -> dict[str, Cells]:
    """Where the seven other symmetries of a square move cells, by words that can follow 'is'."""
    row, column, last = cells // size, cells % size, size - 1
    return {
        "transposed": column * size + row,
        "turned by 180 degrees": (last - row) * size + last - column,
        "mirrored in the short diagonal": (last - column) * size + last - row,
        "upside down": (last - row) * size + column,
        "mirrored left to right": row * size + last - column,
        "given a quarter turn to the left": (last - column) * size + row,
        "given a quarter turn to the right": column * size + last - row,
    }


def neighbours(cells: Cells, size: int) -> dict[tuple[int, int], Cells]:
    """The eight shifts of cells by at most one row and column, which wrap around at the edges."""
    row, column = cells // size, cells % size
    return {
        (rows, columns): (row + rows) % size * size + (column + columns) % size
        for rows, columns in product((-1, 0, 1), repeat=2)
        if (rows, columns) != (0, 0)
    }
