"""Explains why a history plane does not show the plies before a position."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from hexsearch.data.encoder import RECENCY
from hexsearch.doctor.hypotheses.truth import Flags, Planes, Truth

_CLOSE = 1e-3
_NEARLY_ALL = 0.9  # share of the wrong planes that a cause explains
_FEW = 2  # stones that a plane must show to tell causes apart
UNKNOWN = "the history plane does not show the plies that led to the position"


def ages_of(truth: Truth) -> Planes:
    """[B, N, N] plies since each stone was played, 0 for the last one; -1 where none was.

    Stones that were set up have no ply, and -1.
    """
    size = truth.size
    ages = np.full((len(truth.ply), size * size), -1.0, dtype=np.float32)
    for number in np.unique(truth.game):
        game = truth.archive.game(int(number))
        moves = np.array(game.moves[game.setup :], dtype=np.int64)
        rows = np.flatnonzero(truth.game == number)
        shown = truth.ply[rows, None] - 1 - game.setup - np.arange(len(moves))
        ages[rows[:, None], moves[None]] = np.maximum(shown, -1)
    return ages.reshape(-1, size, size)


def under(planes: Planes, symmetry: int) -> Planes:
    """Planes [B, N, N] of no colour under a symmetry, as in `truth.image`."""
    if symmetry == 0:
        return planes
    if symmetry == 1:
        return planes[:, ::-1, ::-1]
    turned = planes.transpose(0, 2, 1)
    return turned if symmetry == 2 else turned[:, ::-1, ::-1]


def shows_history(shown: Planes, ages: Planes, images: Flags) -> Flags:
    """[B] whether planes show all stones, or the last few, by their ages.

    Args:
        shown: [B, N, N] history planes.
        images: [B, 4] symmetries under which the board is shown.
    """
    known = np.count_nonzero(shown, axis=(1, 2))[:, None, None]
    right = np.zeros(len(shown), dtype=bool)
    for symmetry in range(4):
        age = under(ages, symmetry)
        expected = np.where((age >= 0) & (age < known), RECENCY**age, 0.0)
        right |= (np.abs(shown - expected).max(axis=(1, 2)) < _CLOSE) & images[:, symmetry]
    enough: Flags = known[:, 0, 0] <= (ages >= 0).sum(axis=(1, 2))
    return right & enough


def history_cause(shown: Planes, ages: Planes, images: Flags, truth: Truth) -> str:
    """In words, why planes of some positions show another history.

    Args:
        shown, ages, images: of the wrong positions, as in `shows_history`.
    """
    following = np.zeros(len(shown), dtype=bool)
    moves = np.stack([truth.next_cells(symmetry) for symmetry in range(4)], axis=1)
    flat = shown.reshape(len(shown), -1)
    cells = np.clip(moves, 0, flat.shape[1] - 1)
    for symmetry in range(4):
        marked = np.take_along_axis(flat, cells[:, symmetry, None], 1)[:, 0] > 0
        following |= marked & images[:, symmetry] & truth.has_move
    if following.mean() > 0.5:
        return (
            "the history plane marks the move that is going to be played: the network need not "
            "find it"
        )
    if not shown.any():
        return "the history plane is empty"
    low = np.ascontiguousarray(shown, dtype=np.float32).view(np.uint32) & 0xFFFF
    near = np.zeros(len(shown), dtype=bool)
    for symmetry in range(4):
        age = under(ages, symmetry)
        near |= np.all(np.abs(shown - np.where(shown > 0, RECENCY**age, 0.0)) < 0.01, axis=(1, 2))
    if not low.any() and near.all() and (shown > 0).sum() >= _FEW:
        return (
            "planes are rounded to bfloat16 (8 significant bits) before the network sees them: the "
            "history plane has other numbers than in float32"
        )
    telling = np.count_nonzero(flat, axis=1) >= _FEW
    for cause, expected, everywhere in _candidates(ages):
        fits = np.zeros(len(shown), dtype=bool)
        for symmetry in range(4):
            one = under(expected, symmetry)
            equal = (np.abs(shown - one) < _CLOSE) | (shown == 0)
            fits |= equal.all(axis=(1, 2)) & (images[:, symmetry] | everywhere)
        if telling.any() and fits[telling].mean() > _NEARLY_ALL:
            return cause
    if _is_by_length(shown, ages, images, truth):
        return (
            "ages in the history plane are counted from the end of the game and not from the "
            "position: the last stone does not have 1, and the plane tells how long the game will "
            "last (a leak)"
        )
    return _other_base(shown, ages, images) or UNKNOWN


def _is_by_length(shown: Planes, ages: Planes, images: Flags, truth: Truth) -> bool:
    """Whether a stone has as much as it will have at the end of its game."""
    left = (truth.archive.lengths[truth.game].astype(np.int64) - truth.ply)[:, None, None]
    fits = np.zeros(len(shown), dtype=bool)
    for symmetry in range(4):
        age = under(ages, symmetry)
        late = np.where(age >= 0, RECENCY ** (age + left), 0.0)
        equal = (np.abs(shown - late) < _CLOSE) | (shown == 0)
        fits |= equal.all(axis=(1, 2)) & images[:, symmetry]
    telling = (np.count_nonzero(shown, axis=(1, 2)) >= 1) & (left[:, 0, 0] > 1)
    return bool(telling.any() and fits[telling].mean() > _NEARLY_ALL)


def _candidates(ages: Planes) -> Iterator[tuple[str, Planes, bool]]:
    """Causes, the planes that they give without a symmetry, and whether any symmetry will do."""
    there = ages >= 0
    right = np.where(there, RECENCY**ages, 0.0)
    yield (
        "the history plane is not turned (under another symmetry) with the board: its stones lie "
        "on other cells",
        right,
        True,
    )
    late = "the history plane is late by one ply (stale): every stone is a ply older than it is"
    yield late, np.where(there, RECENCY ** (ages + 1), 0.0), False
    early = "the history plane leaves out the last stone: it is that of the ply before (stale)"
    yield early, np.where(ages >= 1, RECENCY ** (ages - 1), 0.0), False
    yield early, np.where(ages >= 1, right, 0.0), False
    oldest = ages.max(axis=(1, 2), keepdims=True)
    yield (
        "ages in the history plane are counted from the first move of the game: the oldest stone "
        "is the brightest, in place of the last one (the order is reversed)",
        np.where(there, RECENCY ** (oldest - ages), 0.0),
        False,
    )
    yield "the history plane holds 1 for every stone, whatever its age", there * 1.0, False
    for words, made in (
        ("the age of each stone in plies, 0 for the last one", ages),
        ("the age of each stone in plies, counted from 1", ages + 1),
        ("1 / (1 + age) of each stone", 1.0 / (1.0 + np.maximum(ages, 0))),
        ("1 - age / (number of stones)", 1.0 - ages / np.maximum(oldest + 1, 1)),
    ):
        cause = f"the history plane holds {words}, and not a number that falls from 1 with the age"
        yield cause, np.where(there, made, 0.0), False


def _other_base(shown: Planes, ages: Planes, images: Flags) -> str:
    """In words, that another number than 0.79 is what is left of a stone after each ply."""
    for symmetry in range(4):
        rows = images[:, symmetry]
        age, plane = under(ages, symmetry)[rows], shown[rows]
        told = (plane > 0) & (age > 0)
        if told.sum() < _FEW or (plane > 0)[age < 0].any():
            continue
        base = plane[told] ** (1.0 / age[told])
        if np.ptp(base) < _CLOSE:
            return (
                f"a stone has {base.mean():.3g} times as much in the history plane for each ply "
                f"that is over (another decay), and not {RECENCY:.3g} times"
            )
    return ""
