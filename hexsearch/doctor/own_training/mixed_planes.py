"""Planes of which some show another board than the others."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import numpy as np
import torch
from torch import Tensor

from hexsearch.doctor.own_training.catalogue import Catalogue, Ints

_MOST = 6  # planes of which each part is tried


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
