"""Why training planes are not those of the game: transformations, each tried on the samples."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import permutations

import numpy as np
from numpy.typing import NDArray

from hexsearch.doctor.hypotheses.plane_values import of_values
from hexsearch.doctor.hypotheses.table import Flags, Hypothesis, Score, lag_score, share_score
from hexsearch.doctor.hypotheses.truth import (
    Planes,
    Truth,
    image,
    in_ring,
    inside_ring,
    same,
    stone_planes,
)
from hexsearch.game.board import RED

_LOOKED_AT = 200  # wrong samples that hypotheses are tried on
_SHIFTS = [(r, c) for r in (-1, 0, 1) for c in (-1, 0, 1) if (r, c) != (0, 0)]
_OTHERS = (
    ("one ply earlier", "the planes are one ply earlier than label and move", (0, -1)),
    ("one ply later", "the planes are one ply later: they show the move to predict", (0, 1)),
    ("two plies earlier", "the planes are two plies earlier than label and move", (0, -2)),
    ("two plies later", "the planes are two plies later than label and move", (0, 2)),
    ("three plies earlier", "the planes are three plies earlier than label and move", (0, -3)),
    ("three plies later", "the planes are three plies later than label and move", (0, 3)),
    ("next game", "the planes come from the next game of the archive", (1, 0)),
    ("previous game", "the planes come from the previous game of the archive", (-1, 0)),
)
_KEEP = (
    "move stones and colours together: the half turn keeps colours, both reflections exchange them"
)


def plane_scores(
    shown: Planes, truth: Truth, batch_size: int, wrong: Flags, swapped: Flags, ring: bool
) -> list[Score]:
    """How many of the wrong samples each transformation explains.

    Args:
        shown: [B, 2, N, N] the planes of Blue's and Red's stones as the network was given them.
        batch_size: positions of one batch, for planes that come a batch late.
        swapped: [B] where the other columns say that colours are exchanged.
        ring: whether the board is shown inside a ring of painted edges.
    """
    index = np.flatnonzero(wrong)[:_LOOKED_AT]
    some, there = shown[index], truth.rows(index)
    only_swapped = bool(wrong[swapped].any() and not wrong[~swapped].any())
    scores = []
    for hypothesis, candidates in _candidates(some, there, swapped[index], only_swapped, ring):
        explained = np.zeros(len(index), dtype=bool)
        for candidate in candidates:
            explained |= same(some, candidate)
        scores.append(share_score(hypothesis, explained))
    rows = np.flatnonzero(wrong)
    expected = [_digests(truth.stone_planes(s)) for s in range(4)]
    # A row may be shown under any symmetry: the smallest of the four digests stands for all.
    found = lag_score(
        "the board",
        np.min([_digests(_moved(shown[rows], s)) for s in range(4)], axis=0),
        np.min(expected, axis=0),
        rows,
        batch_size,
    )
    return scores if found is None else [*scores, found]


def _moved(planes: Planes, symmetry: int) -> Planes:
    """Planes of stones under a symmetry of Hex."""
    return stone_planes(image((planes[:, 1] - planes[:, 0]).astype(np.int8) * RED, symmetry))


def _digests(planes: Planes) -> NDArray[np.float64]:
    """[B] a number for each board: equal boards have equal ones."""
    flat = planes.reshape(len(planes), -1).astype(np.float64)
    # Whole numbers add without rounding below 2**53, in any order.
    keys = np.random.default_rng(0).integers(1, 1 << 40, flat.shape[1]).astype(np.float64)
    digests: NDArray[np.float64] = flat @ keys
    return digests


def _candidates(
    some: Planes, there: Truth, swapped: Flags, only_swapped: bool, ring: bool
) -> Iterator[tuple[Hypothesis, list[Planes]]]:
    """Each hypothesis with the planes that it makes, under every symmetry that it allows."""
    right = [
        np.where(
            swapped[:, None, None, None],
            there.stone_planes(turn + 2),
            there.stone_planes(turn),
        )
        for turn in (0, 1)
    ]
    every = []
    for name, cause, remedy, change in _board_changes(only_swapped):
        changed = [change(planes) for planes in right]
        every += changed
        yield Hypothesis(name, cause, remedy), changed
    yield from _of_other_positions(some, there)
    yield from _shifted(there, ring)
    yield from of_values(some, there)
    cause = (
        "boards are shown under symmetries that Hex does not have: augmentation draws from the "
        "eight symmetries of a square (quarter turns, flips), or colours are exchanged at random"
    )
    remedy = "use the half turn and the two reflections with colours exchanged alone"
    yield Hypothesis("the symmetries of a square", cause, remedy), every


def _board_changes(
    only_swapped: bool,
) -> Iterator[tuple[str, str, str, Callable[[Planes], Planes]]]:
    """Changes of the board as it should be shown: name, cause, remedy and the change itself.

    Args:
        only_swapped: only samples whose colours are exchanged are wrong. Then a change is one half
            of the reflection, left out.
    """
    yield (
        "transposed",
        "colours exchanged without reflecting the board"
        if only_swapped
        else "moves are read column-major: every board is transposed, its colours are not",
        _KEEP,
        lambda planes: planes.transpose(0, 1, 3, 2),
    )
    yield (
        "colours exchanged",
        "the board reflected without exchanging the colours"
        if only_swapped
        else "the first mover is on the wrong edges: Blue's stones stand on Red's plane and Red's "
        "on Blue's (colours exchanged)",
        _KEEP,
        lambda planes: planes[:, ::-1],
    )
    no_symmetry = "use the half turn and the two reflections with colours exchanged alone"
    yield (
        "flipped",
        "the board is shown upside down, or left and right exchanged, which is no symmetry of Hex",
        no_symmetry,
        lambda planes: planes[:, :, ::-1],
    )
    yield (
        "a quarter turn",
        "the board is shown after a quarter turn, which is no symmetry of Hex",
        no_symmetry,
        lambda planes: planes.transpose(0, 1, 3, 2)[:, :, ::-1],
    )
    yield (
        "flipped, colours exchanged",
        "the board is flipped and its colours are exchanged, which is no symmetry of Hex",
        no_symmetry,
        lambda planes: planes[:, ::-1, ::-1],
    )
    yield (
        "a quarter turn, colours exchanged",
        "the board is shown after a quarter turn with colours exchanged, which is no symmetry of "
        "Hex",
        no_symmetry,
        lambda planes: planes.transpose(0, 1, 3, 2)[:, ::-1, ::-1],
    )
    yield (
        "transposed, colours exchanged",
        "the board is reflected once more than label and move are",
        _KEEP,
        lambda planes: planes.transpose(0, 1, 3, 2)[:, ::-1],
    )


def _of_other_positions(some: Planes, there: Truth) -> Iterator[tuple[Hypothesis, list[Planes]]]:
    together = "cut planes, label and move from one (game, ply)"
    for name, cause, other in _OTHERS:
        moved = there.moved(*other)
        yield Hypothesis(name, cause, together), [moved.stone_planes(s) for s in range(4)]
    later, first = there.moved(plies=1), there.at_ply(1)
    cause = (
        "moves are read from one place too late (offset by one): the first move is missing, the "
        "next one is added, and colours are exchanged"
    )
    made = [later.stone_planes(s) - first.stone_planes(s) for s in range(4)]
    over = ~there.has_move[:, None, None, None]  # what follows a game is that of another
    yield (
        Hypothesis("offset by one", cause, together),
        [np.where(over, some, planes[:, ::-1]) for planes in made],
    )
    cause = "the first move of every game is missing from the planes"
    lacking = [there.stone_planes(s) - first.stone_planes(s) for s in range(4)]
    yield Hypothesis("without the first move", cause, together), lacking
    last = there.at_the_end()
    cause = "the planes show the end of the game (its last position), which gives the winner away"
    yield Hypothesis("the end", cause, together), [last.stone_planes(s) for s in range(4)]
    yield (
        Hypothesis("empty", "the planes are empty: no stone is shown", "look at what fills them"),
        [np.zeros_like(there.stone_planes(0))],
    )


def _shifted(there: Truth, ring: bool) -> Iterator[tuple[Hypothesis, list[Planes]]]:
    right = [there.stone_planes(s) for s in range(4)]
    for rows, columns in _SHIFTS:
        made = []
        for planes in right:
            whole = in_ring(planes) if ring else planes
            rolled = inside_ring(np.roll(whole, (rows, columns), axis=(2, 3)), there.size)
            made.append(rolled)
            cut = rolled.copy()
            if rows:
                cut[:, :, 0 if rows > 0 else -1] = 0.0
            if columns:
                cut[:, :, :, 0 if columns > 0 else -1] = 0.0
            made.append(cut)
        name = f"shifted by ({rows}, {columns})"
        cause = f"the board is shifted by {rows} row(s) and {columns} column(s)"
        yield Hypothesis(name, cause, "count rows and columns from 0, as cells do"), made


def exchanged_channels(planes: Planes, expected: list[Planes]) -> tuple[int, ...] | None:
    """The order of channels under which [B, C, N, N] agree with what is expected, if one does."""
    channels = planes.shape[1]
    for order in permutations(range(channels)):
        if order == tuple(range(channels)):
            continue
        agree = np.zeros(len(planes), dtype=bool)
        for each in expected:
            agree |= same(planes[:, list(order)], each)
        if agree.mean() > 0.95:
            return order
    return None


def reordered(shown: Planes, expected: Planes) -> str:
    """How the numbers of planes [B, C, N, N] are reordered, if they are; else empty.

    Args:
        expected: [B, C, N, N] what the same samples should show.
    """
    flat, right = (planes.reshape(len(planes), -1) for planes in (shown, expected))
    if flat.shape != right.shape or len(flat) < 50:
        return ""
    keys = np.random.default_rng(0).integers(1, 1 << 30, len(flat)).astype(np.float64)
    own, other = (np.round(planes.T.astype(float) @ keys) for planes in (right, flat))
    places = {float(key): place for place, key in enumerate(own)}
    found = np.array([places.get(float(key), -1) for key in other])
    moved = (other != own) & (right.std(axis=0) > 1e-6)
    if (found >= 0).mean() < 0.95 or not moved.any():
        return ""
    channels, cells = shown.shape[1], shown.shape[2] * shown.shape[3]
    kept = found // cells == np.arange(channels * cells) // cells
    return (
        "cells stand in another order on the planes: a fixed permutation of the board"
        if kept[moved].all()
        else "planes and cells are mixed up: a wrong reshape, view or permute (order of axes)"
    )
