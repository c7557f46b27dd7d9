"""Learns where the stone of each cell is shown, if that is a fixed map of cells."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hexsearch.doctor.hypotheses.truth import Ints, Planes

_FEW = 5  # boards with a stone on a cell that are needed to learn where it goes
_FITS = 0.97  # share of the boards that the map must give
_TOLD = 4  # cells that are listed


def cell_map(found: Planes, right: Planes, symmetry: Ints) -> str:
    """In words, to which cells stones are moved on the board as played; empty if by no fixed map.

    Args:
        found, right: [R, 2, N, N] planes of stones, as they are and as they should be.
        symmetry: [R] symmetry under which both are encoded.
    """
    own: NDArray[np.bool_] = np.asarray(_as_played(right, symmetry) > 0.5)
    other: NDArray[np.bool_] = np.asarray(_as_played(found, symmetry) > 0.5)
    cells = own.shape[2]
    target = np.full(cells, -1, dtype=np.int64)
    for cell in range(cells):
        both = [other[own[:, plane, cell], plane] for plane in range(2)]
        shown: NDArray[np.bool_] = np.concatenate(both)
        if len(shown) < _FEW:
            target[cell] = cell
            continue
        always: NDArray[np.bool_] = np.asarray(shown.all(axis=0))
        if not always.any():
            return ""
        # Of the cells that always hold a stone then, it is the one that seldom does otherwise.
        usual = other.mean(axis=(0, 1))
        target[cell] = cell if always[cell] else int(np.where(always, usual, 2.0).argmin())
    made = np.zeros_like(own)
    for cell in range(cells):
        made[:, :, target[cell]] |= own[:, :, cell]
    moved = np.flatnonzero(target != np.arange(cells))
    if not len(moved) or (made == other).all(axis=(1, 2)).mean() < _FITS:
        return ""
    shifts = np.unique(target[moved] - moved)
    how = (
        f"{abs(int(shifts[0]))} cells {'later' if shifts[0] > 0 else 'earlier'}"
        if len(shifts) == 1
        else "on "
        + ", ".join(f"cell {target[cell]} for cell {cell}" for cell in moved[:_TOLD].tolist())
    )
    lost = len(np.unique(target)) < cells
    return (
        f"stones on {len(moved)} of {cells} cells (numbers {moved[0]} to {moved[-1]}) are shown "
        f"{how}; those on other cells are right"
        + (
            ": two cells share one place, as where a number overflows or loses bits"
            if lost
            else ": cells are numbered in another way"
        )
    )


def _as_played(planes: Planes, symmetry: Ints) -> NDArray[np.float32]:
    """[R, 2, N*N] planes of the boards as played: every symmetry undoes itself."""
    made = planes.copy()
    for number in range(4):
        rows = symmetry == number
        some = planes[rows]
        if number >= 2:
            some = some[:, ::-1].transpose(0, 1, 3, 2)
        if number % 2:
            some = some[:, :, ::-1, ::-1]
        made[rows] = some
    return made.reshape(len(planes), 2, -1)
