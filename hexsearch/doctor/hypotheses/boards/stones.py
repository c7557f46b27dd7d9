"""Learns which stones are missing from planes: by colour, by age, by place on the board."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hexsearch.doctor.hypotheses.general.regions import region
from hexsearch.doctor.hypotheses.truth import Ints, Planes, Truth

_FEW = 20  # boards that are needed
_SMALL = 3  # side of a square that is called small


def missing_stones(some: Planes, truth: Truth) -> str:
    """In words, which stones are missing from boards; empty if nothing was learnt.

    Args:
        some: [S, 2, N, N] planes that hold part of the stones of the right board, under a symmetry.
        truth: the right positions.
    """
    numbers = np.stack([under(move_numbers(truth), symmetry) for symmetry in range(4)])
    right = np.stack(truth.all_stone_planes())
    within = (right - some[None] >= -1e-3).all(axis=(2, 3, 4))
    # A stone is there or not: other values are another fault.
    plain = (np.minimum(np.abs(some), np.abs(some - 1.0)) < 1e-3).all(axis=(1, 2, 3))
    fits = within.any(axis=0) & plain
    if fits.sum() < _FEW:
        return ""
    # Of several symmetries under which all stones are on the board, it is that with most of them.
    gaps = np.where(within, (right - some[None]).sum(axis=(2, 3, 4)), np.inf)
    rows, chosen = np.flatnonzero(fits), gaps.argmin(axis=0)[fits]
    board, order = right[chosen, rows], numbers[chosen, rows]
    sample, plane, row, column = np.nonzero(board > 0.5)
    missing = some[rows][sample, plane, row, column] < 0.5
    number, ply = order[sample, row, column], truth.ply[rows][sample]
    later = ply - 1 - number
    columns: dict[str, NDArray[Any]] = {
        "it is a stone of Red": number % 2 == 1,
        "it is a stone of Blue": number % 2 == 0,
        "the board is finished": truth.finished[rows][sample],
        "the board is not finished": ~truth.finished[rows][sample],
        "it is on the first plane": plane == 0,
        "number of later moves": later,
        "number of later moves of its colour": later // 2,
        "number of its move": number,
        "row": row,
        "column": column,
        "number of stones": ply,
    }
    named = {f"where {n}" if c.dtype == np.bool_ else n: c for n, c in columns.items()}
    place = region(missing, named)
    if place.startswith("exactly"):
        return f"missing are the stones {place}"
    return _square(some[rows], board) or (f"missing are stones {place}" if place else "")


def _square(some: Planes, board: Planes) -> str:
    """In words, the size of the square in which all stones of each board are missing."""
    lost = np.asarray(((board - some) > 0.5).any(axis=1))
    several = lost.sum(axis=(1, 2)) > 1
    if several.sum() < _FEW // 2:
        return ""
    sides = []
    for lines in (np.any(lost[several], axis=2), np.any(lost[several], axis=1)):
        first, last = lines.argmax(axis=1), lines.shape[1] - 1 - lines[:, ::-1].argmax(axis=1)
        sides.append(int((last - first + 1).max()))
    if max(sides) > min(_SMALL, board.shape[-1] // 2):
        return ""
    return (
        f"the stones that are missing from a board always lie within {sides[0]} x {sides[1]} "
        "cells, which are empty there (a blanked square, cut out at another place of each board)"
    )


def move_numbers(truth: Truth) -> Ints:
    """[B, N, N] number of the move that put a stone on each cell; -1 where there is none."""
    size = truth.size
    numbers = np.full((len(truth.game), size * size), -1, dtype=np.int64)
    starts = truth.archive.offsets[truth.game].astype(np.int64)
    plies = truth.ply.astype(np.int64)
    rows = np.repeat(np.arange(len(plies)), plies)
    order = np.arange(plies.sum()) - np.repeat(np.cumsum(plies) - plies, plies)
    numbers[rows, truth.archive.moves[np.repeat(starts, plies) + order]] = order
    return numbers.reshape(-1, size, size)


def under(numbers: Ints, symmetry: int) -> Ints:
    """The same under a symmetry of Hex."""
    turned = numbers.transpose(0, 2, 1) if symmetry >= 2 else numbers
    return turned[:, ::-1, ::-1] if symmetry % 2 else turned
