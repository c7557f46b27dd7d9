"""Learns at which place of the right planes each number on the planes stands.

Places are those of all planes together, so numbers that wander from one plane to another are
found, too. The map is then described, by the order of the axes if it is one.
"""

from __future__ import annotations

from itertools import permutations

import numpy as np
from numpy.typing import NDArray

from hexsearch.doctor.hypotheses.truth import Planes

_FEW = 30  # boards that are needed
_FITS = 0.97  # share of the places, or of the numbers, that a map must give
_AXES = ("plane", "row", "column")


def place_map(found: Planes, right: Planes) -> str:
    """In words, the fixed map of places that gives the planes; empty if there is none.

    Args:
        found, right: [R, C, H, W] planes as they are and as they should be.
    """
    if len(found) < _FEW or found.shape != right.shape:
        return ""
    return _other_axes(found, right) or _learnt(found, right)


def _other_axes(found: Planes, right: Planes) -> str:
    """In words, the order of axes under which the same numbers were written and read."""
    shape = right.shape[1:]
    for order in permutations(range(3)):
        if order == (0, 1, 2):
            continue
        axes = (0, *(axis + 1 for axis in order))
        names = ", ".join(_AXES[axis] for axis in order)
        written = right.transpose(axes).reshape(right.shape)
        if _same(written, found):
            return (
                f"numbers are written in the order ({names}) and read as (plane, row, column): a "
                "view or reshape stands where axes have to be permuted, so planes are mixed"
            )
        seen = right.reshape(len(right), *(shape[axis] for axis in order))
        back = np.argsort(order)
        if _same(seen.transpose(0, *(int(axis) + 1 for axis in back)), found):
            return (
                f"numbers in the order (plane, row, column) are read as if it were ({names}): axes "
                "are permuted that were not, or a reshape is missing before it"
            )
    return ""


def _same(some: NDArray[np.float32], others: Planes) -> bool:
    return some.shape == others.shape and float((np.abs(some - others) < 1e-3).mean()) > 0.9999


def _learnt(found: Planes, right: Planes) -> str:
    """In words, an example of the map, if every place shows that of one other place."""
    count = len(found)
    some, other = (np.asarray(each.reshape(count, -1), np.float64) for each in (found, right))
    keys = np.random.default_rng(0).integers(1, 1 << 30, count).astype(np.float64)
    own, known = keys @ some.round(3), keys @ other.round(3)
    varies = some.std(axis=0) > 1e-6
    first = {value: place for place, value in reversed(list(enumerate(known.tolist())))}
    source = np.array([first.get(value, -1) for value in own.tolist()])
    if varies.sum() < 2 or (source[varies] >= 0).mean() < _FITS:
        return ""
    moved = np.flatnonzero(varies & (source >= 0) & (own != known))
    if not len(moved):
        return ""
    sides = found.shape[1:]
    told = [
        f"plane {a[0]}, row {a[1]}, column {a[2]} shows plane {b[0]}, row {b[1]}, column {b[2]}"
        for a, b in (
            (np.unravel_index(place, sides), np.unravel_index(source[place], sides))
            for place in moved[[0, len(moved) // 2]]
        )
    ]
    return (
        f"each number stands at another place, by one fixed map of all planes ({len(moved)} of "
        f"{int(varies.sum())} places): {'; '.join(told)}"
    )
