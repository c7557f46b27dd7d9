"""Explains why planes are not those of the game: transformations, each tried on the samples."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import permutations, product

import numpy as np
from numpy.typing import NDArray

from hexsearch.doctor.hypotheses.plane_values import of_values
from hexsearch.doctor.hypotheses.table import (
    TOGETHER,
    Flags,
    Hypothesis,
    Score,
    lag_score,
    share_score,
)
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
_OTHER_PLIES = {
    "one ply earlier": -1,
    "one ply later": 1,
    "two plies earlier": -2,
    "two plies later": 2,
    "three plies earlier": -3,
    "three plies later": 3,
}
_OTHER_GAMES = {"next game": 1, "previous game": -1}
_REFLECT = "exchange the colours in both reflections, and only there: the half turn keeps them"
_NO_SYMMETRY = "augment by the half turn and by the two reflections with colours exchanged only"


def plane_scores(
    encoded: Planes, truth: Truth, batch_size: int, wrong: Flags, swapped: Flags, ring: bool
) -> list[Score]:
    """Scores of all transformations: the share of the wrong samples that each one explains.

    Args:
        encoded: [B, 2, N, N] planes of Blue's and Red's stones, as the network gets them.
        truth: the same positions, computed from the games.
        batch_size: positions in each batch.
        wrong: [B] whether the planes are not those of the game.
        swapped: [B] whether the other columns of a sample say that colours are exchanged.
        ring: whether the planes have a ring of edges.
    """
    index = np.flatnonzero(wrong)[:_LOOKED_AT]
    some, chosen = encoded[index], truth.rows(index)
    only_swapped = bool(wrong[swapped].any() and not wrong[~swapped].any())
    scores = []
    for hypothesis, candidates in _candidates(some, chosen, swapped[index], only_swapped, ring):
        explained = np.zeros(len(index), dtype=bool)
        for candidate in candidates:
            explained |= same(some, candidate)
        scores.append(share_score(hypothesis, explained))
    rows = np.flatnonzero(wrong)
    expected = [_digests(truth.stone_planes(s)) for s in range(4)]
    # A row may be encoded under any symmetry, so the smallest of the four digests is compared.
    found = lag_score(
        "the board",
        np.min([_digests(_moved(encoded[rows], s)) for s in range(4)], axis=0),
        np.min(expected, axis=0),
        rows,
        batch_size,
    )
    return scores if found is None else [*scores, found]


def _moved(planes: Planes, symmetry: int) -> Planes:
    """[B, 2, N, N] planes of stones under a symmetry of Hex."""
    return stone_planes(image((planes[:, 1] - planes[:, 0]).astype(np.int8) * RED, symmetry))


def _digests(planes: Planes) -> NDArray[np.float64]:
    """[B] one number for each board; equal boards have equal numbers."""
    flat = planes.reshape(len(planes), -1).astype(np.float64)
    # Integers below 2**53 are added without rounding, in any order.
    keys = np.random.default_rng(0).integers(1, 1 << 40, flat.shape[1]).astype(np.float64)
    digests: NDArray[np.float64] = flat @ keys
    return digests


def _candidates(
    some: Planes, truth: Truth, swapped: Flags, only_swapped: bool, ring: bool
) -> Iterator[tuple[Hypothesis, list[Planes]]]:
    """Each hypothesis with the planes that it gives, under every symmetry that it allows."""
    right = [truth.planes_under(turn + 2 * swapped.astype(np.int64)) for turn in (0, 1)]
    all_changes = []
    for name, cause, remedy, change in _board_changes(only_swapped):
        changed = [change(planes) for planes in right]
        all_changes += changed
        yield Hypothesis(name, cause, remedy), changed
    yield from _of_other_positions(some, truth)
    yield from _shifted(truth, ring)
    yield from of_values(some, truth)
    cause = (
        "boards are encoded under symmetries that Hex does not have: augmentation draws from the "
        "eight symmetries of a square (quarter turns, flips), or exchanges colours at random"
    )
    yield Hypothesis("the symmetries of a square", cause, _NO_SYMMETRY), all_changes


def _board_changes(
    only_swapped: bool,
) -> Iterator[tuple[str, str, str, Callable[[Planes], Planes]]]:
    """Changes of the right board: name, cause, remedy and the change itself.

    Args:
        only_swapped: whether only samples with exchanged colours are wrong. Then one half of the
            reflection is left out.
    """
    yield (
        "transposed",
        "colours are exchanged without reflecting the board"
        if only_swapped
        else "moves are read column-major: every board is transposed, but its colours are kept",
        _REFLECT if only_swapped else "number cells row * N + column when moves are read",
        lambda planes: planes.transpose(0, 1, 3, 2),
    )
    yield (
        "colours exchanged",
        "the board is reflected without exchanging the colours"
        if only_swapped
        else "the first mover is on the wrong edges: Blue's stones are on Red's plane, and Red's "
        "on Blue's (colours exchanged)",
        _REFLECT if only_swapped else "put Blue, who moves first, on plane 0 and Red on plane 1",
        lambda planes: planes[:, ::-1],
    )
    for name, how, change in (
        (
            "flipped",
            "is encoded upside down, or with left and right exchanged",
            lambda planes: planes[:, :, ::-1],
        ),
        (
            "a quarter turn",
            "is encoded after a quarter turn",
            lambda planes: planes.transpose(0, 1, 3, 2)[:, :, ::-1],
        ),
        (
            "flipped, colours exchanged",
            "is flipped and its colours are exchanged",
            lambda planes: planes[:, ::-1, ::-1],
        ),
        (
            "a quarter turn, colours exchanged",
            "is encoded after a quarter turn with colours exchanged",
            lambda planes: planes.transpose(0, 1, 3, 2)[:, ::-1, ::-1],
        ),
    ):
        yield name, f"the board {how}, which is no symmetry of Hex", _NO_SYMMETRY, change
    yield (
        "transposed, colours exchanged",
        "the board is reflected once more than label and move",
        "apply one symmetry to stones, label and next move",
        lambda planes: planes.transpose(0, 1, 3, 2)[:, ::-1],
    )


def _of_other_positions(some: Planes, truth: Truth) -> Iterator[tuple[Hypothesis, list[Planes]]]:
    for name, plies in _OTHER_PLIES.items():
        cause = f"the planes are {name} than label and move"
        if plies == 1:
            cause = f"{cause}: they show the move that is to be predicted"
        yield Hypothesis(name, cause, TOGETHER), truth.moved(plies=plies).all_stone_planes()
    for name, games in _OTHER_GAMES.items():
        cause = f"the planes come from the {name} in the archive"
        yield Hypothesis(name, cause, TOGETHER), truth.moved(games=games).all_stone_planes()
    first_stone = truth.at_ply(1).all_stone_planes()
    later, right = truth.moved(plies=1).all_stone_planes(), truth.all_stone_planes()
    cause = (
        "moves are read from one place too late (offset by one): the first move is missing, the "
        "next move is added, and colours are exchanged"
    )
    over = ~truth.has_move[:, None, None, None]  # the move after a game is one of another game
    yield (
        Hypothesis("offset by one", cause, TOGETHER),
        [
            np.where(over, some, (planes - first)[:, ::-1])
            for planes, first in zip(later, first_stone, strict=True)
        ],
    )
    cause = "the first move of every game is missing from the planes"
    yield (
        Hypothesis("without the first move", cause, TOGETHER),
        [planes - first for planes, first in zip(right, first_stone, strict=True)],
    )
    cause = "the planes show the end of the game (its last position), which reveals the winner"
    yield Hypothesis("the end", cause, TOGETHER), truth.at_the_end().all_stone_planes()
    cause = "the planes are empty: they hold no stones"
    remedy = "fill the planes from the moves of each position"
    yield Hypothesis("empty", cause, remedy), [np.zeros_like(truth.stone_planes(0))]


def _shifted(truth: Truth, ring: bool) -> Iterator[tuple[Hypothesis, list[Planes]]]:
    right = truth.all_stone_planes()
    for rows, columns in product((-1, 0, 1), repeat=2):
        if (rows, columns) == (0, 0):
            continue
        made = []
        for planes in right:
            whole = in_ring(planes) if ring else planes
            rolled = inside_ring(np.roll(whole, (rows, columns), axis=(2, 3)), truth.size)
            made.append(rolled)
            cut = rolled.copy()
            if rows:
                cut[:, :, 0 if rows > 0 else -1] = 0.0
            if columns:
                cut[:, :, :, 0 if columns > 0 else -1] = 0.0
            made.append(cut)
        name = f"shifted by ({rows}, {columns})"
        cause = f"the board is shifted by {rows} row(s) and {columns} column(s)"
        yield Hypothesis(name, cause, "count rows and columns from 0"), made


def exchanged_channels(planes: Planes, expected: list[Planes]) -> tuple[int, ...] | None:
    """The order of channels in which planes are right in 95% of the samples; None if there is none.

    Args:
        planes: [B, C, N, N] planes at the input of the network.
        expected: [B, C, N, N] the right planes, under each symmetry.
    """
    channels = planes.shape[1]
    for order in permutations(range(channels)):
        if order == tuple(range(channels)):
            continue
        agree = np.any([same(planes[:, list(order)], each) for each in expected], axis=0)
        if agree.mean() > 0.95:
            return order
    return None


def reordered(encoded: Planes, expected: Planes) -> str:
    """In words, how the entries of planes [B, C, N, N] are reordered; empty if they are not.

    Args:
        encoded: [B, C, N, N] planes at the input of the network.
        expected: [B, C, N, N] the right planes of the same samples.
    """
    flat, right = (planes.reshape(len(planes), -1) for planes in (encoded, expected))
    if flat.shape != right.shape or len(flat) < 50:
        return ""
    keys = np.random.default_rng(0).integers(1, 1 << 30, len(flat)).astype(np.float64)
    own, other = (np.round(planes.T.astype(float) @ keys) for planes in (right, flat))
    index = {float(key): place for place, key in enumerate(own)}
    sources = np.array([index.get(float(key), -1) for key in other])
    moved = (other != own) & (right.std(axis=0) > 1e-6)
    if (sources >= 0).mean() < 0.95 or not moved.any():
        return ""
    channels, cells = encoded.shape[1], encoded.shape[2] * encoded.shape[3]
    kept = sources // cells == np.arange(channels * cells) // cells
    return (
        "cells are in another order on the planes: a fixed permutation of the board"
        if kept[moved].all()
        else "planes and cells are mixed: a wrong reshape, view or permute (order of axes)"
    )
