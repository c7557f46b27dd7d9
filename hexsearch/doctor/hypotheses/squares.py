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


def numbering(cells: NDArray[np.int64], numbers: NDArray[np.int64], size: int) -> str:
    """In words, how cells of the board have got other numbers; those below 0 are not known."""
    known = (cells >= 0) & (numbers >= 0)
    cells, numbers = cells[known], numbers[known]
    if len(np.unique(numbers)) >= len(np.unique(cells)):
        return "in another order: a fixed permutation of the board"
    parts = {"row": cells // size, "column": cells % size}
    named = next((name for name, part in parts.items() if _depends_on(numbers, part)), "")
    reason = f"only the {named} of a cell counts" if named else "they are cut off or rounded"
    return f"so that several cells have one number: {reason}"


def _depends_on(numbers: NDArray[np.int64], part: NDArray[np.int64]) -> bool:
    return all(len(np.unique(numbers[part == each])) == 1 for each in np.unique(part))
