"""Describes planes one by one: whose stones each of them shows, and which values these have."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hexsearch.doctor.hypotheses.boards.stones import move_numbers, under
from hexsearch.doctor.hypotheses.general.orders import repeated_rows
from hexsearch.doctor.hypotheses.general.regions import Columns
from hexsearch.doctor.hypotheses.general.relations import other_positions
from hexsearch.doctor.hypotheses.table import Flags, lag_score
from hexsearch.doctor.hypotheses.truth import Planes, Truth

_FITS = 0.95  # share of the wrong samples
_MOST = 0.8  # the same of boards that are looked for among the samples only
_LOOKED_AT = 200  # wrong samples that other positions are tried on
_DISTINCT = 0.3  # share of different boards that a distance in the batch needs
_VALUES = 0.97  # share of the stones whose value a number must give
_CLOSE = 1e-3
Digests = NDArray[np.float64]


def sources(found: Planes, truth: Truth, swapped: Flags, wrong: Flags, batch_size: int) -> str:
    """In words, whose stones the planes show, each by itself; empty if one of them is unknown.

    Args:
        found: [B, 2, N, N] planes of stones as the network gets them.
        truth: the right positions.
        swapped: [B] whether colours are exchanged.
        wrong: [B] whether the planes are wrong.
        batch_size: samples in each batch.
    """
    sentences = []
    for number in range(2):
        own = _least(found[:, number])
        right = _digests(truth, swapped, number)
        bad = wrong & (own != right)
        if bad.sum() < 0.02 * len(bad):
            continue
        words = _other_position(own, truth, swapped, number, bad)
        if not words and len(np.unique(right)) > _DISTINCT * len(right):
            rows = np.flatnonzero(bad)
            lag = lag_score(f"plane {number}", own[bad], right, rows, batch_size)
            words = lag.hypothesis.cause if lag else ""
            first = 0 if words else repeated_rows(own, right, bad, batch_size)
            if first:
                words = (
                    f"plane {number} shows the first {first} rows of the batch again and again "
                    f"(row r holds row r modulo {first}), so the other rows are never seen, as "
                    "where every part of a batch is the first one"
                )
        if not words:
            return ""
        sentences.append(words)
    right_ones = [n for n in range(2) if not any(f"plane {n}" in each for each in sentences)]
    kept = f"; plane {right_ones[0]} is right" if len(right_ones) == 1 else ""
    return "; ".join(sentences) + kept if sentences else ""


def of_other_samples(found: Planes, truth: Truth, wrong: Flags) -> str:
    """In words, that wrong boards are those of other samples; empty if they are not."""
    boards = [_least(planes) for planes in truth.all_stone_planes()]
    known = np.concatenate([each[(truth.boards != 0).any(axis=(1, 2))] for each in boards])
    if np.isin(_least(found[wrong]), known).mean() < _MOST:
        return ""
    stones = (found[wrong] > 0.5).sum(axis=(1, 2, 3))
    alike = (stones == (truth.boards[wrong] != 0).sum(axis=(1, 2))).mean() > _FITS
    as_many = " with as many stones" if alike else ""
    return (
        f"the planes show the board of another position{as_many}, from a few other samples (a "
        "cache whose key is too coarse, a buffer that is used again, or an index that is wrong)"
    )


def _other_position(own: Digests, truth: Truth, swapped: Flags, number: int, bad: Flags) -> str:
    index = np.flatnonzero(bad)[:_LOOKED_AT]
    chosen = truth.rows(index)
    for words, other in other_positions(chosen):
        for plane, kind in ((number, ""), (1 - number, ", of the other colour")):
            if (own[index] == _digests(other, swapped[index], plane)).mean() > _FITS:
                return f"plane {number} shows the stones of {words}{kind}"
    return ""


def _digests(truth: Truth, swapped: Flags, number: int) -> Digests:
    """[B] one number for a plane of each right board, the same for both half turns."""
    return _least(truth.planes_under(2 * swapped.astype(np.int64))[:, number])


def _least(planes: NDArray[Any]) -> Digests:
    flat = planes.reshape(len(planes), -1).astype(np.float64)
    keys = np.random.default_rng(0).integers(1, 1 << 40, flat.shape[1]).astype(np.float64)
    digests: Digests = np.minimum(flat @ keys, flat @ keys[::-1])
    return digests


def stone_values(some: Planes, truth: Truth, columns: Columns) -> str:
    """In words, the number on which the value of a stone depends; empty if it is none.

    Args:
        some: [S, 2, N, N] planes whose stones are in the right places.
        truth: the right positions.
        columns: [S] numbers of each sample, by their names.
    """
    numbers = np.stack([under(move_numbers(truth), symmetry) for symmetry in range(4)])
    right = np.stack(truth.all_stone_planes())
    there = np.abs(some) > min(_CLOSE, 0.1 * float(np.abs(some).max()))
    fits = (there[None] == (right > 0.5)).all(axis=(2, 3, 4))
    rows = np.flatnonzero(fits.any(axis=0))
    if len(rows) < max(20, _FITS * len(some)):
        return ""
    chosen = fits.argmax(axis=0)[rows]
    sample, plane, row, column = np.nonzero(there[rows])
    value = some[rows][sample, plane, row, column]
    number = numbers[chosen, rows][sample, row, column]
    usual = float(value.mean())
    if np.ptp(value) < _CLOSE * max(abs(usual), 1e-9) and abs(usual - 1.0) > _CLOSE:
        return f"the planes are scaled: stones are {usual:.3g} instead of 1" + (
            " (1/255, a division that is meant for pictures)" if abs(255 * usual - 1) < 0.01 else ""
        )
    later = truth.ply[rows][sample] - 1 - number
    known: dict[str, NDArray[Any]] = {
        "number of later moves (its age)": later,
        "number of its move": number,
        "number of its plane": plane,
        "row of its cell": row,
        "column of its cell": column,
        **{name: each[rows][sample] for name, each in columns.items()},
    }
    for name, key in known.items():
        values, group = np.unique(key, return_inverse=True)
        if len(values) < 2 or len(values) > len(key) // 3:
            continue
        mean = (np.bincount(group, value) / np.bincount(group))[group]
        if (np.abs(value - mean) < _CLOSE).mean() > _VALUES:
            low, high = (float(value[key == end].mean()) for end in (values[0], values[-1]))
            return (
                f"stones are in the right cells, but their values depend on the {name}: from "
                f"{low:.3g} where it is {values[0]} to {high:.3g} where it is {values[-1]}, "
                "instead of 1"
            )
    return ""
