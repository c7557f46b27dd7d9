"""Planes of which some show another board than the others, or parts of one."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations, permutations

import numpy as np
import torch
from torch import Tensor

from hexsearch.doctor.own_training.catalogue import Catalogue, Ints

_MOST = 6  # planes of which each part is tried
_GRAIN, _BLENDED, _DRAWN = 1000, 0.3, 4  # of numbers; share of rows, and shares, of a mixup
_ROWS, _STONES = 200, 10  # rows that are looked up, and numbers that each has at least
_FOUND, _BY_CHANCE = 0.9, 0.5  # share of them that are parts of a position, and of mirrored ones


def of_another_ply(known: Catalogue) -> Iterator[tuple[str, Tensor, Ints]]:
    """Planes of which one is that of the position a ply before or after.

    Yields words, planes, and the positions that the planes are of.
    """
    truth, planes = known.truth, known.inputs
    for shift, words in ((-1, "before"), (1, "after")):
        other = np.clip(np.arange(len(planes)) + shift, 0, len(planes) - 1)
        inside = np.flatnonzero(truth.game[other] == truth.game)
        for plane in range(planes.shape[1]):
            mixed = planes.clone()
            mixed[:, plane] = planes[torch.from_numpy(other), plane]
            yield f"plane {plane} is that of the position a ply {words}", mixed[inside], inside


def turned_apart(known: Catalogue) -> Iterator[tuple[str, Tensor, Ints]]:
    """Planes of which some are given a half turn, and the others are not.

    Yields words, planes, and the positions that the planes are of.
    """
    planes = known.inputs
    turned = planes.flip(2, 3)
    varied = [n for n in range(planes.shape[1]) if not torch.equal(planes[:, n], turned[:, n])]
    every = np.arange(len(planes), dtype=np.int64)
    # To turn some is to turn the others, so the first one stays.
    for count in range(1, len(varied)) if len(varied) <= _MOST else (1,):
        for part in combinations(varied[1:], count):
            mixed = planes.clone()
            mixed[:, list(part)] = turned[:, list(part)]
            others = [n for n in varied if n not in part]
            few = part if len(part) <= len(others) else tuple(others)
            named = " and ".join(map(str, few))
            yield (
                f"the half turn of an augmentation does not turn plane {named} with the others "
                "(planes that were computed before it, for instance)",
                mixed,
                every,
            )


def reordered(known: Catalogue) -> Iterator[tuple[str, Tensor, Ints]]:
    """Planes whose numbers were read in another order of their dimensions.

    Yields words, planes, and the positions that the planes are of.
    """
    planes = known.inputs
    names = ("channels", "rows", "columns")
    every = np.arange(len(planes), dtype=np.int64)
    for order in permutations((1, 2, 3)):
        if order[0] == 1:  # the board is transposed, at most
            continue
        stored = ", ".join(names[axis - 1] for axis in order)
        words = (
            f"planes are stored as [{stored}] and read as [channels, rows, columns] by a reshape "
            "or a view in training, which moves no number (permute or transpose does)"
        )
        yield words, planes.permute(0, *order).reshape(planes.shape), every


def erased(inputs: Tensor, known: Tensor) -> str:
    """In words, which numbers of planes are 0 that should not be; empty if rows are no such parts.

    Args:
        inputs: [R, C, N, N] rows that are none of the positions.
        known: [P, C, N, N] positions.
    """
    if inputs.shape[1:] != known.shape[1:] or inputs.ndim != 4:
        return ""
    shown = inputs[(inputs != 0).flatten(1).sum(dim=1) >= _STONES][:_ROWS]
    if len(shown) < _ROWS / 4:
        return ""
    whole = (known != 0).flatten(1).float()
    beyond = _beyond(shown, whole)
    is_part = beyond.amin(dim=1) == 0
    mirrored = _beyond(shown.flip(3), whole).amin(dim=1) == 0
    if float(is_part.float().mean()) < _FOUND or float(mirrored.float().mean()) > _BY_CHANCE:
        return ""
    # Of the positions that hold all numbers of a row the one with the fewest others.
    size = whole.sum(dim=1)
    nearest = torch.where(beyond == 0, size, torch.inf)[is_part].argmin(dim=1)
    held = (shown != 0).flatten(1).float()[is_part]
    lost, had = (whole[nearest] - held).sum(dim=0), whole[nearest].sum(dim=0)
    share = float(lost.sum() / had.sum())
    always = (lost == had) & (had > 0)
    if float(lost[always].sum()) > _FOUND * float(lost.sum()):
        return (
            f"in training {int(always.sum())} of {len(had)} numbers of the planes are always 0: a "
            "part of the board or a plane is not filled"
        )
    return (
        f"in training about {share:.0%} of the numbers on the planes are set to 0 at random "
        "(a dropout on the input, erased or masked stones): these are other positions of Hex"
    )


def _beyond(rows: Tensor, whole: Tensor) -> Tensor:
    """[R, P] how many numbers of each row are not in each position."""
    return (rows != 0).flatten(1).float() @ (1 - whole).T


def are_blends(inputs: Tensor) -> bool:
    """Whether rows [R, C, N, N] of training are blends of two boards each, as mixup makes them.

    Their numbers are then 0, 1, a share, and what it leaves, and the share is drawn.
    """
    shares = []
    for row in inputs[:: max(len(inputs) // _ROWS, 1)]:
        numbers = torch.unique((row.float() * _GRAIN).round() / _GRAIN)
        inside = numbers[(numbers > 0) & (numbers < 1)]
        # Two stones of one kind on a cell of both boards give 1.
        if 0 < len(inside) <= 2 and (len(inside) == 1 or abs(float(inside.sum()) - 1) < 2 / _GRAIN):
            shares.append(round(float(inside[0]), 2))
    return len(shares) > _BLENDED * min(len(inputs), _ROWS) and len(set(shares)) > _DRAWN
