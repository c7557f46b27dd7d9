"""Explains planes whose stones have wrong values, or that lack or add something."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from hexsearch.doctor.hypotheses.boards.stones import missing_stones
from hexsearch.doctor.hypotheses.table import Flags, Hypothesis
from hexsearch.doctor.hypotheses.truth import Planes, Truth

_BOTH = "fill both planes, each with the stones of one colour"
_PLAIN = "use planes of 0 and 1, without scaling"
_MASKS = "look for dropout, masks or slices on the input, and for moves that are left out"
_MANY, _FIRST, _GROWS = 200, 64, 0.4  # boards, at each end, and correlation with their order
VAGUE = ("mixed", "noise", "normalised apart")  # hypotheses that many changes of a board fit
_FEW_OFFSETS = 0.2  # share of different offsets among boards from a few batches
_NONE = -7.0  # a value that no plane holds; a row with it is not explained
Explained = Iterator[tuple[Hypothesis, list[Planes]]]


def of_values(some: Planes, truth: Truth) -> Explained:
    """Hypotheses on wrong values, each with the planes that it gives under each symmetry.

    Args:
        some: [B, 2, N, N] planes of stones as the network gets them.
        truth: the same positions, computed from the games.
    """
    right = truth.all_stone_planes()
    yield from _of_colours(right)
    yield from _of_numbers(some, right)
    yield from _of_parts(some, right, truth)


def _of_colours(right: list[Planes]) -> Explained:
    for kept, name in ((0, "the first plane only"), (1, "the second plane only")):
        made = []
        for planes in right:
            cleared = planes.copy()
            cleared[:, 1 - kept] = 0.0
            made += [cleared, planes[:, [kept, kept]]]
        cause = f"the stones of one colour are missing, or replaced by the other's: {name} is right"
        yield Hypothesis(name, cause, _BOTH), made
    union = [planes.sum(axis=1, keepdims=True) for planes in right]
    none = [np.zeros_like(both) for both in union]
    cause = "stones of both colours are on one plane, where they cannot be distinguished"
    yield (
        Hypothesis("colours together", cause, _BOTH),
        [
            np.concatenate(pair, axis=1)
            for both, empty in zip(union, none, strict=True)
            for pair in ([both, both], [both, empty], [empty, both])
        ],
    )
    cause = (
        "a plane marks free cells, or stones of both colours, instead of the stones of one colour"
    )
    free = [1.0 - both for both in union]
    yield (
        Hypothesis("free cells", cause, _BOTH),
        [
            np.concatenate(pair, axis=1)
            for planes, both, empty in zip(right, union, free, strict=True)
            for other in (both, empty)
            for pair in ([planes[:, :1], other], [other, planes[:, 1:]])
        ],
    )


def _of_numbers(some: Planes, right: list[Planes]) -> Explained:
    """Stones and free cells have other values than 1 and 0."""
    cause = "stones are 0 and free cells are 1 (inverted)"
    yield Hypothesis("inverted", cause, _PLAIN), [1.0 - planes for planes in right]
    stones = some[np.abs(some) > 1e-6]
    scale = float(np.median(stones)) if len(stones) else 0.0
    if abs(scale - 1.0) > 1e-3 and scale > 0:
        cause = f"the planes are scaled: a stone is {scale:.4g} instead of 1"
        yield Hypothesis("scaled", cause, _PLAIN), [scale * planes for planes in right]
    offset = float(np.median(some))
    if abs(offset) > 1e-3:
        span = float(np.median(some.max(axis=(1, 2, 3)) - offset))
        cause = (
            f"the planes are normalised: {offset:.3g} and {offset + span:.3g} instead of 0 and 1"
        )
        yield (
            Hypothesis("normalised", cause, _PLAIN),
            [offset + span * planes for planes in right],
        )
    shifted = [planes + _offsets(some, planes) for planes in right]
    many = len(np.unique(_offsets(some, right[0]).round(4))) > _FEW_OFFSETS * len(some)
    cause = "the planes are shifted: a number is subtracted from each plane, " + (
        "another one on each board (its own mean)"
        if many
        else "the same one in a batch (the mean of the batch: centred, normalised)"
    )
    yield Hypothesis("shifted", cause, _PLAIN), shifted
    cause = (
        "each plane or board is normalised by its own mean, maximum or sum: stones have another "
        "value on each board (scaled, normalised)"
    )
    yield Hypothesis("normalised apart", cause, _PLAIN), [_levels(some, p) for p in right]
    signs = [planes.copy() for planes in right]
    for planes in signs:
        planes[:, 0] -= planes[:, 1]
        planes[:, 1] = planes[:, 0]
    first = [np.stack([p[:, 0] - p[:, 1], np.zeros_like(p[:, 0])], axis=1) for p in right]
    second = [np.stack([p[:, 0], -p[:, 1]], axis=1) for p in right]
    cause = (
        "the stones of one colour are -1 on the planes (signed): they are scaled by the wrong sign"
    )
    yield (
        Hypothesis("signed", cause, _PLAIN),
        [
            (sign * each).astype(np.float32)
            for group in (signs, first, second)
            for each in group
            for sign in (1.0, -1.0)
        ],
    )


def _offsets(some: Planes, planes: Planes) -> Planes:
    """[B, 2, 1, 1] what is added to each plane, if it is one number that is not 0; else _NONE."""
    gap = some - planes
    offset: Planes = np.median(gap, axis=(2, 3), keepdims=True)
    added = (np.abs(gap - offset).max(axis=(1, 2, 3)) < 1e-3) & (np.abs(offset) > 1e-3).all(
        axis=(1, 2, 3)
    )
    return np.where(added[:, None, None, None], offset, _NONE)


def _of_parts(some: Planes, right: list[Planes], truth: Truth) -> Explained:
    """Something is missing from the right board, added to it, or mixed into it."""
    before = truth.moved(plies=-1).all_stone_planes()
    last = [np.clip(a - b, 0.0, 1.0) for a, b in zip(right, before, strict=True)]
    cause = "the planes show only the last move, without the stones before it"
    yield Hypothesis("last move only", cause, "encode every stone"), last
    cause = "the stone of the last move has another value than the other stones"
    yield (
        Hypothesis("last move marked", cause, _PLAIN),
        [
            np.where(
                (_mark(some, newest) & (np.abs(some - planes) < 1e-3)) | (newest > 0), some, _NONE
            )
            for planes, newest in zip(right, last, strict=True)
        ],
    )
    cause = "the last move is missing from the planes: the board is one stone behind"
    yield (
        Hypothesis("without the last move", cause, "encode every stone"),
        [planes - newest for planes, newest in zip(right, last, strict=True)],
    )
    cause = "two positions are mixed on the planes (mixup, or an average with another board)"
    yield (
        Hypothesis("mixed", cause, "encode one position at a time"),
        [_mixed(some, p) for p in right],
    )
    yield (
        Hypothesis(
            "noise",
            "something is added to the right board on the planes: noise, or marks that may reveal "
            "the next move or the winner",
            "use the planes of the encoder without a change",
        ),
        [
            np.where(_rounds_to(some, planes) | _is_within(planes, some), some, _NONE)
            for planes in right
        ],
    )
    yield (
        Hypothesis("stones missing", _missing(some, right, truth), _MASKS),
        [np.where(_is_within(some, planes), some, _NONE) for planes in right],
    )


def _missing(some: Planes, right: list[Planes], truth: Truth) -> str:
    """In words, where stones are missing: anywhere, or always in the same places."""
    fitting = [np.where(_is_within(some, planes), planes, 0.0) for planes in right]
    wanted = np.max(fitting, axis=0)
    lost = ((wanted - some) > 1e-3).sum(axis=0)  # [2, N, N]
    present = (some > 1e-3).sum(axis=0)
    always = (lost > 0) & (present == 0)
    cause = "some stones are missing from the planes, and the others are right"
    if lost.sum() and lost[~always].sum() < 0.02 * lost.sum():
        for name, lines in (("row", always.any(axis=(0, 2))), ("column", always.any(axis=(0, 1)))):
            if 0 < lines.sum() <= len(lines) // 2:
                numbers = ", ".join(map(str, np.flatnonzero(lines)))
                return f"{cause}; {name} {numbers} is always empty (cut off, or masked)"
    gone = ((wanted - some) > 1e-3).sum(axis=(1, 2, 3))
    each = gone / np.maximum((wanted > 1e-3).sum(axis=(1, 2, 3)), 1)
    rows = np.arange(len(each))
    if each.std() > 0 and len(each) >= _MANY and np.corrcoef(rows, each)[0, 1] > _GROWS:
        return (
            f"{cause}; there are more and more of them from batch to batch, "
            f"{each[:_FIRST].mean():.0%} on the first boards and {each[-_FIRST:].mean():.0%} "
            "on the last ones: cells are erased in place, in planes that later batches share (a "
            "chunk that is built ahead, or a buffer)"
        )
    learnt = missing_stones(some, truth)
    if learnt:
        return f"{cause}; {learnt}"
    return f"{cause} (dropout, or a mask on the input)"


def _mark(some: Planes, newest: Planes) -> Flags:
    """[B, 1, 1, 1] whether the stone of the last move has a value other than 0 and 1."""
    at = np.where(newest > 0, some, 0.0).sum(axis=(1, 2, 3), keepdims=True)
    marked: Flags = (np.abs(at - 1.0) > 1e-3) & (np.abs(at) > 1e-3)
    return marked


def _levels(some: Planes, planes: Planes) -> Planes:
    """Each plane with one value for stones and one for free cells: their means on that plane."""
    made = np.full_like(some, _NONE)
    for chosen in (planes > 0.5, planes <= 0.5):
        count = np.maximum(chosen.sum(axis=(2, 3), keepdims=True), 1)
        level = np.where(chosen, some, 0.0).sum(axis=(2, 3), keepdims=True) / count
        made = np.where(chosen, level, made)
    stones = np.where(planes > 0.5, made, np.inf).min(axis=(2, 3), keepdims=True)
    free = np.where(planes <= 0.5, made, -np.inf).max(axis=(2, 3), keepdims=True)
    sound = np.where((stones > free + 1e-6).all(axis=1, keepdims=True), made, _NONE)
    levels: Planes = sound.astype(np.float32)
    return levels


def _mixed(some: Planes, planes: Planes) -> Planes:
    """The boards that are a weighted mean of the right board and another one; else _NONE."""
    own = np.where(planes > 0.5, some, 9.0).min(axis=(1, 2, 3), keepdims=True)
    other = np.where(planes <= 0.5, some, -np.inf).max(axis=(1, 2, 3), keepdims=True)
    own = np.where(own > 1.0, 1.0 - other, own)  # an empty board
    inside = (own > 0.02) & (own < 0.98) & (np.abs(own + other - 1.0) < 0.01)
    rest = np.where(inside, (some - own * planes) / np.maximum(1.0 - own, 1e-6), 0.5)
    binary = np.minimum(np.abs(rest), np.abs(rest - 1.0)).max(axis=(1, 2, 3), keepdims=True) < 0.01
    return np.where(inside & binary, some, _NONE)


def _is_within(some: Planes, planes: Planes) -> Flags:
    """[B, 1, 1, 1] whether `some` is at most `planes` in every cell."""
    within: Flags = np.all(planes - some >= -1e-3, axis=(1, 2, 3), keepdims=True)
    return within


def _rounds_to(some: Planes, planes: Planes) -> Flags:
    """[B, 1, 1, 1] whether `some`, rounded, is `planes`."""
    agree: Flags = np.abs(some - planes).max(axis=(1, 2, 3), keepdims=True) < 0.5
    return agree
