"""Why training planes are not those of the game: transformations, each tried on the samples."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import permutations

import numpy as np
from numpy.typing import NDArray

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
    for name, cause, remedy, change in _board_changes(only_swapped):
        yield Hypothesis(name, cause, remedy), [change(planes) for planes in right]
    yield from _of_other_positions(there)
    yield from _shifted(there, ring)
    yield from _of_values(some, there)


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


def _of_other_positions(there: Truth) -> Iterator[tuple[Hypothesis, list[Planes]]]:
    for name, cause, other in (
        ("one ply earlier", "the planes are one ply earlier than label and move", (0, -1)),
        ("one ply later", "the planes are one ply later: they show the move to predict", (0, 1)),
        ("two plies earlier", "the planes are two plies earlier than label and move", (0, -2)),
        ("next game", "the planes come from the next game of the archive", (1, 0)),
        ("previous game", "the planes come from the previous game of the archive", (-1, 0)),
    ):
        moved = there.moved(*other)
        yield (
            Hypothesis(name, cause, "cut planes, label and move from one (game, ply)"),
            [moved.stone_planes(s) for s in range(4)],
        )
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


def _of_values(some: Planes, there: Truth) -> Iterator[tuple[Hypothesis, list[Planes]]]:
    """Planes with the right stones in the wrong numbers."""
    right = [there.stone_planes(s) for s in range(4)]
    for kept, name in ((0, "the first plane only"), (1, "the second plane only")):
        made = []
        for planes in right:
            lacking = planes.copy()
            lacking[:, 1 - kept] = 0.0
            doubled = planes[:, [kept, kept]]
            made += [lacking, doubled]
        cause = f"one colour's stones are missing or replaced by the other's: {name} is right"
        yield Hypothesis(name, cause, "fill both planes, each with its own colour"), made
    union = [planes.sum(axis=1, keepdims=True) for planes in right]
    none = [np.zeros_like(both) for both in union]
    cause = "stones of both colours stand together on one plane: they cannot be told apart"
    yield (
        Hypothesis("colours together", cause, "fill both planes, each with its own colour"),
        [
            np.concatenate(pair, axis=1)
            for both, empty in zip(union, none, strict=True)
            for pair in ([both, both], [both, empty], [empty, both])
        ],
    )
    yield (
        Hypothesis("inverted", "stones are 0 and free cells 1", "mark stones by 1"),
        [1.0 - planes for planes in right],
    )
    scale = _scale_of(some)
    if abs(scale - 1.0) > 1e-3 and scale > 0:
        cause = f"the planes are scaled: a stone is {scale:.4g} instead of 1"
        hypothesis = Hypothesis("scaled", cause, "give planes of 0 and 1, not divided or scaled")
        yield hypothesis, [scale * planes for planes in right]
    offset = float(np.median(some))
    if abs(offset) > 1e-3:
        span = float(np.median(some.max(axis=(1, 2, 3)) - offset))
        cause = (
            f"the planes are normalised: {offset:.3g} and {offset + span:.3g} instead of 0 and 1"
        )
        yield (
            Hypothesis("normalised", cause, "give planes of 0 and 1"),
            [offset + span * planes for planes in right],
        )
    yield (
        Hypothesis(
            "noise",
            "something is added to the planes beside the right board: noise, or marks that may "
            "tell the next move or the winner",
            "show planes as the encoder makes them",
        ),
        [
            np.where(_rounds_to(some, planes) | _is_within(planes, some), some, -1.0)
            for planes in right
        ],
    )
    missing = [np.where(_is_within(some, planes), some, -1.0) for planes in right]
    yield (
        Hypothesis(
            "stones missing",
            "some stones are missing from the planes; those that are shown are right",
            "look for dropout or masks on the input, and for moves that are left out",
        ),
        missing,
    )


def _is_within(some: Planes, planes: Planes) -> Flags:
    """[B, 1, 1, 1] whether no cell of the first holds more than that of the second."""
    within: Flags = np.all(planes - some >= -1e-3, axis=(1, 2, 3), keepdims=True)
    return within


def _rounds_to(some: Planes, planes: Planes) -> Flags:
    agree: Flags = np.abs(some - planes).max(axis=(1, 2, 3), keepdims=True) < 0.5
    return agree


def _scale_of(some: Planes) -> float:
    """The value of a stone, where every stone has the same."""
    stones = some[np.abs(some) > 1e-6]
    return float(np.median(stones)) if len(stones) else 0.0


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
