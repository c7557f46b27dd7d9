"""Explains why policy targets are not the moves that were played."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hexsearch.doctor.hypotheses.squares import moved_cells, neighbours, numbering
from hexsearch.doctor.hypotheses.table import (
    TOGETHER,
    Flags,
    Hypothesis,
    Score,
    lag_score,
    share_score,
)
from hexsearch.doctor.hypotheses.truth import Ints, Truth, truth_of

_PART, _NEARLY_ALL = 0.1, 0.97  # shares of the samples
_FEW_LATER = 32  # wrong targets that are enough to say that all are later moves
_BY_ROWS = "number cells row * N + column, in planes and policy alike"


def target_scores(
    target: Ints,
    truth: Truth,
    symmetry: Ints,
    batch_size: int,
    wrong: Flags,
    is_augmented: bool = False,
) -> list[Score]:
    """Scores of all explanations: the share of the wrong policy targets that each one gives.

    Args:
        target: [B] policy targets.
        symmetry: [B] symmetry under which each position is encoded.
        wrong: [B] whether the target is not the next move.
        is_augmented: whether a symmetry is drawn for each position.
    """
    rows = np.flatnonzero(wrong)
    wrong_targets = target[rows]
    scores = [
        share_score(hypothesis, wrong_targets == expected[rows])
        for hypothesis, expected in _target_candidates(
            target, truth, symmetry, wrong if is_augmented else None
        )
    ]
    right = truth.cells_under(symmetry)
    # Positions without a next move have target 0.
    found = lag_score("the policy target", wrong_targets, np.maximum(right, 0), rows, batch_size)
    return scores if found is None else [found, *scores]


def _other_symmetry(
    target: Ints, truth: Truth, symmetry: Ints, wrong: Flags
) -> Iterator[tuple[Hypothesis, Ints]]:
    """Next moves under another symmetry in part of the samples, and the right one in the others."""
    cells = np.stack([truth.next_cells(number) for number in range(4)], axis=1)
    right = truth.cells_under(symmetry)
    moved = np.take_along_axis(cells, (symmetry ^ 2)[:, None], axis=1)[:, 0]
    if (~wrong & (moved != right) & truth.has_move).mean() < _PART:
        return  # cells that are numbered by columns are so everywhere
    expected = np.where((cells == target[:, None]).any(axis=1), target, -1)
    cause = (
        "the symmetry of the next move is another one than that of the stones in part of the "
        "samples: "
        + (
            "the reflection is left out, or applied where the stones have none"
            if (moved == target)[wrong].mean() > _NEARLY_ALL
            else "it is drawn anew, or the half turn or the reflection is left out"
        )
    )
    remedy = "apply one symmetry to the stones and to the next move"
    yield Hypothesis("another symmetry", cause, remedy), expected


def _target_candidates(
    target: Ints, truth: Truth, symmetry: Ints, wrong: Flags | None
) -> Iterator[tuple[Hypothesis, Ints]]:
    size, right = truth.size, truth.cells_under(symmetry)
    same = "apply one symmetry to the stones and to the next move"
    cause = "the symmetry is applied to the planes but not to the next move"
    yield Hypothesis("unmoved", cause, same), truth.next_cell
    if wrong is not None:
        yield from _other_symmetry(target, truth, symmetry, wrong)
    moved = moved_cells(right, size)
    cause = "the cells of moves are numbered by columns (column-major), those of planes by rows"
    yield Hypothesis("column-major", cause, _BY_ROWS), moved.pop("transposed")
    for name, other in moved.items():
        cause = f"the next move is under another symmetry than the stones: the target is {name}"
        yield Hypothesis(f"target {name}", cause, same), other
    for shift in (-1, 1, -2, 2, -3, 3):
        name = f"{abs(shift)} {'ply' if abs(shift) == 1 else 'plies'} "
        name += "later" if shift > 0 else "earlier"
        other_ply = truth.moved(plies=shift)
        cause = f"the policy target is a move {name} than the next move: it is that of another ply"
        if shift == -1:
            cause += " (the board holds that move already: it was stored after the move was made)"
        # Beyond the ends of a game there is no such move, and any target is accepted.
        beyond = ~other_ply.has_move | (other_ply.ply != truth.ply + shift)
        if beyond.mean() < 0.5:
            expected = np.where(beyond, target, other_ply.cells_under(symmetry))
            yield Hypothesis(name, cause, TOGETHER), expected
    for (rows, columns), wrapped in neighbours(right, size).items():
        cause = f"the policy target is shifted by {rows} row(s) and {columns} column(s)"
        shifted = Hypothesis(f"shifted by ({rows}, {columns})", cause, "count cells from 0")
        number = right + rows * size + columns
        yield shifted, np.clip(number, 0, size * size - 1)
        yield shifted, wrapped
        yield shifted, number % (size * size)
    for other_game, name in ((1, "next game"), (-1, "previous game")):
        cause = f"the policy target is that of the {name} in the archive"
        expected = truth.moved(games=other_game).cells_under(symmetry)
        yield Hypothesis(name, cause, TOGETHER), expected
    yield from _same_cells(target, truth, symmetry)


def _same_cells(target: Ints, truth: Truth, symmetry: Ints) -> Iterator[tuple[Hypothesis, Ints]]:
    """Targets that do not depend on the position, or that number the right cells in another way."""
    cause = (
        "the policy target is the place of the next move in the list of free cells (legal moves), "
        "and not its cell, so it shifts with the stones before it"
    )
    hypothesis = Hypothesis("place among free cells", cause, _BY_ROWS)
    yield hypothesis, _place(truth.planes_under(symmetry).sum(axis=1), truth.cells_under(symmetry))
    # The list may be made before the board is turned.
    first = replace(truth, next_cell=_place(truth.boards, truth.next_cell))
    yield hypothesis, first.cells_under(symmetry)
    permuted = _mapped(target, right := truth.cells_under(symmetry))
    cause = f"the policy's cells are numbered {numbering(right, permuted, truth.size)}"
    yield Hypothesis("permuted", cause, _BY_ROWS), permuted
    cell = int(np.bincount(np.maximum(target, 0)).argmax())
    cause = f"the policy target is the same cell ({cell}) in every position: a constant"
    yield Hypothesis("constant", cause, TOGETHER), np.full_like(target, cell)
    lengths = truth.archive.lengths[truth.game].astype(np.int64)
    for name, ply in (("first", np.zeros_like(lengths)), ("last", lengths - 1)):
        expected = truth_of(truth.archive, truth.game, ply).cells_under(symmetry)
        cause = f"the policy target is the {name} move of the game in every position"
        yield Hypothesis(f"{name} move", cause, TOGETHER), expected


def _place(boards: NDArray[Any], cells: Ints) -> Ints:
    """[B] how many free cells of each board come before a cell."""
    free = boards.reshape(len(cells), -1) == 0
    before = np.cumsum(free, axis=1) - free
    return np.take_along_axis(before, np.maximum(cells, 0)[:, None], 1)[:, 0].astype(np.int64)


def _mapped(target: Ints, right: Ints) -> Ints:
    """[B] for each right cell its most frequent target, which a permutation would give."""
    mapped = np.full_like(target, -1)
    for cell in np.unique(right[right >= 0]):
        rows = right == cell
        # With one or two targets the most frequent one proves nothing.
        if rows.sum() > 2:
            mapped[rows] = np.bincount(np.maximum(target[rows], 0)).argmax()
    return mapped


def later_moves(truth: Truth, images: Flags, target: Ints) -> str:
    """In words, which later moves of their games policy targets are; empty if they are none.

    Args:
        truth: B positions whose target is not the next move; images: [B, 4] symmetries of Hex
            that give the board as it is shown; target: [B] cells.
    """
    plies = np.zeros(len(target), dtype=np.int64)
    for more in range(1, truth.size**2):
        later = truth.moved(plies=more)
        cells = np.stack([later.next_cells(each) for each in range(4)], axis=1)
        here = later.has_move & (images & (cells == target[:, None])).any(axis=1)
        plies = np.where((plies == 0) & here, more, plies)
    found = plies[plies > 0]
    if len(target) < _FEW_LATER or len(found) < _NEARLY_ALL * len(target):
        return ""
    least, most = (int(np.quantile(found, share)) for share in (0.02, 0.98))
    if least == most:
        return ""
    whose = " of the side to move" if (found % 2 == 0).mean() > _NEARLY_ALL else ""
    return (
        f"policy targets are later moves{whose} in the same game ({least} to {most} plies later), "
        "in place of the next one"
    )
