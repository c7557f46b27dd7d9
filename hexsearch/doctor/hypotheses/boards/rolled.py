"""Boards that are rolled around by rows and columns, each by numbers of its own."""

from __future__ import annotations

import numpy as np

from hexsearch.doctor.hypotheses.truth import Planes, Truth, same

_EXPLAINED = 0.95  # share of the boards
_STONES = 3  # on a board that is looked at: fewer are somewhere under any map


def rolled(found: Planes, truth: Truth) -> str:
    """In words, by what boards are rolled; empty if they are not.

    Args:
        found: [R, 2, N, N] planes of stones.
        truth: the same positions.
    """
    rows = (truth.boards != 0).sum(axis=(1, 2)) >= _STONES
    if rows.sum() < _STONES:
        return ""
    found, size = found[rows], truth.size
    images = [each[rows] for each in truth.all_stone_planes()]
    fits = {
        (down, right): np.any(
            [same(found, np.roll(each, (down, right), axis=(2, 3))) for each in images], axis=0
        )
        for down in range(size)
        for right in range(size)
    }
    axes = {
        "rows": [fits[step, 0] for step in range(size)],
        "columns": [fits[0, step] for step in range(size)],
        "rows and columns": list(fits.values()),
    }
    for name, some in axes.items():
        if np.any(some, axis=0).mean() > _EXPLAINED and not np.any(
            [each.mean() > _EXPLAINED for each in some]
        ):
            return (
                f"boards are rolled around by {name}, by another number for each sample (an "
                "augmentation that shifts): the edges are elsewhere then, which is no symmetry "
                "of Hex"
            )
    return ""
