"""Whether the planes of a user's encoder show the stones of a board, and which ones they do not.

An encoder is free in its planes: colours or own and other, signs, scales, reflected boards, further
planes. If the numbers of all planes on a cell tell what lies there, all stones are shown. If not,
each plane is fitted by a table: its value on a cell, by what lies there and by who is to move. A
plane that a table nearly gives shows stones, and its exceptions are described.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hexsearch.doctor.hypotheses.general.regions import Columns, region
from hexsearch.doctor.hypotheses.squares import moved_cells

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Board = NDArray[np.int8]
_NEAR = 0.9  # share of the cells, and of the stones, that a plane that nearly shows stones gives
_CLOSE = 1e-3
_APART = 0.1  # difference of the values of two contents, in the spread of the plane
_FEW = 40  # boards that are needed


@dataclass(frozen=True)
class _Shown:
    """A plane against the boards of one view.

    Attributes:
        agrees: [P, N, N] whether the cell has the usual value of its content.
        apart: whether a stone has another value than a free cell.
    """

    plane: int
    agrees: Flags
    apart: bool


def hidden_stones(planes: Floats, stones: Board, to_move: NDArray[np.int64]) -> str:
    """In words, which stones are shown wrongly; empty if all are shown, or nothing is known.

    Args:
        planes: [P, C, N, N] planes of the encoder.
        stones: [P, N, N] stones, -1, 0 or 1.
        to_move: [P] -1 or 1 on boards that are not finished.
    """
    if len(planes) < _FEW or planes.shape[2:] != stones.shape[1:]:
        return ""
    if _all_shown(planes, stones, to_move):
        return ""
    best: tuple[float, str] = (0.0, "")
    for boards in _views(stones, to_move):
        for each in _shown(planes, boards, to_move):
            share = float(each.agrees.mean())
            on_stones = float(each.agrees[boards != 0].mean())
            if share == 1.0 or min(share, on_stones) < _NEAR or not each.apart:
                continue
            if share > best[0]:
                best = share, _described(each, boards, to_move)
    return best[1]


def lost_colour(planes: Floats, stones: Board, to_move: NDArray[np.int64]) -> str:
    """Whose stones look like free cells if all others are shown; empty if nobody's.

    Arguments as above.
    """
    if len(planes) < _FEW or planes.shape[2:] != stones.shape[1:]:
        return ""
    if _all_shown(planes, stones, to_move):
        return ""
    own = stones * to_move[:, None, None]
    for whose, kept in (
        ("Red", stones < 0),
        ("Blue", stones > 0),
        ("the side that has just moved", own > 0),
        ("the side to move", own < 0),
    ):
        if _all_shown(planes, kept.astype(np.int8), to_move):
            return whose
    return ""


def are_reshaped(planes: Floats, stones: Board, to_move: NDArray[np.int64]) -> bool:
    """Whether only the same numbers as [N, N, C] show all stones. Arguments as above."""
    if len(planes) < _FEW or planes.shape[2:] != stones.shape[1:] or planes.shape[1] == 1:
        return False
    count, channels, rows, columns = planes.shape
    last = planes.reshape(count, rows, columns, channels).transpose(0, 3, 1, 2)
    return not _all_shown(planes, stones, to_move) and _all_shown(last, stones, to_move)


def _views(stones: Board, to_move: NDArray[np.int64]) -> Iterator[Board]:
    """The boards as an encoder may draw them: for one side to move as they are, or for none."""
    yield stones
    red = (to_move > 0)[:, None, None]
    for turned in _turned(stones):
        yield np.where(red, turned, stones)
        yield np.where(red, stones, turned)
        yield turned


def _turned(stones: Board) -> Iterator[Board]:
    """The boards under the seven other symmetries of a square."""
    flat, size = stones.reshape(len(stones), -1), stones.shape[1]
    for to in moved_cells(np.arange(size * size), size).values():
        yield flat[:, to].reshape(stones.shape)


def _all_shown(planes: Floats, stones: Board, to_move: NDArray[np.int64]) -> bool:
    """Whether planes show all stones, for each side to move under a symmetry of its own."""
    return all(
        any(_told_apart(planes[rows], b) for b in (stones[rows], *_turned(stones[rows])))
        for rows in (to_move > 0, to_move <= 0)
        if rows.any()
    )


def _told_apart(planes: Floats, boards: Board) -> bool:
    """Whether the numbers on a cell tell what lies there."""
    values = planes.transpose(0, 2, 3, 1).reshape(-1, planes.shape[1]).round(4)
    keys = np.random.default_rng(0).normal(size=values.shape[1])
    _, group = np.unique((values @ keys).round(6), return_inverse=True)
    content = boards.reshape(-1)
    first = np.full(int(group.max()) + 1, 2)
    first[group[::-1]] = content[::-1]
    return bool((first[group] == content).all())


def _shown(planes: Floats, boards: Board, to_move: NDArray[np.int64]) -> Iterator[_Shown]:
    for number in range(planes.shape[1]):
        plane = planes[:, number]
        spread = float(plane.std())
        if spread < 1e-9:
            continue
        usual = np.zeros((2, 3))
        agrees = np.zeros(boards.shape, dtype=bool)
        apart = False
        for row, side in enumerate((-1, 1)):
            of_side = (to_move == side)[:, None, None]
            for content in (-1, 0, 1):
                here = of_side & (boards == content)
                usual[row, content + 1] = np.median(plane[here]) if here.any() else 0.0
            for content in (1, -1, 0):
                fits = np.abs(plane - usual[row, content + 1]) < _CLOSE
                agrees |= of_side & fits & (boards == content)
            for one, other in ((-1, 0), (0, 1)):
                gap = abs(usual[row, one + 1] - usual[row, other + 1])
                apart |= bool(gap > _APART * spread)
        yield _Shown(number, agrees, apart)


def _described(shown: _Shown, boards: Board, to_move: NDArray[np.int64]) -> str:
    wrong = ~shown.agrees
    extra = wrong & (boards == 0)
    missing = wrong & (boards != 0)
    of_board = wrong.sum(axis=(1, 2))
    parts = []
    if extra.any():
        parts.append(f"stones where the board is free ({extra.sum():,} cells)")
    if missing.any():
        parts.append(f"free cells where a stone lies ({missing.sum():,} cells)")
    usual = int(np.median(of_board[of_board > 0]))
    place = region(wrong.reshape(-1), _columns(boards, to_move))
    return (
        f"plane {shown.plane} shows {' and '.join(parts)}, {usual} on each of "
        f"{int((of_board > 0).sum())} of {len(boards)} boards"
        + (f", {place}" if place else "")
        + "; no other plane tells these cells apart"
    )


def _columns(boards: Board, to_move: NDArray[np.int64]) -> Columns:
    count, side = boards.shape[:2]
    cells = np.tile(np.arange(side * side), count)
    flat = boards.reshape(count, -1)
    free = flat == 0
    first = free & (free.cumsum(axis=1) == 1)
    last = free & (free[:, ::-1].cumsum(axis=1)[:, ::-1] == 1)
    return {
        "row": cells // side,
        "column": cells % side,
        "number of stones": np.repeat((~free).sum(axis=1), side * side),
        "where the cell is the first free one": first.reshape(-1),
        "where the cell is the last free one": last.reshape(-1),
        "where Red is to move": np.repeat(to_move > 0, side * side),
        "where the cell is free": free.reshape(-1),
        "where the cell holds a stone of the side to move": (flat == to_move[:, None]).reshape(-1),
        "where the cell holds a stone of the side that has moved": (
            flat == -to_move[:, None]
        ).reshape(-1),
    }
