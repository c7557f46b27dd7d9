"""Whether wrong numbers are the right ones in another order, within batches or games."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]
_FEW = 4  # groups that are needed
_OTHER = 0.15  # share of the groups with wrong numbers in which other numbers may be, too
_REPEATS = 0.99  # share of the wrong rows that a repetition must give


def reordered_within(
    found: NDArray[Any], right: NDArray[Any], groups: Mapping[str, NDArray[Any]]
) -> str:
    """The name of the first grouping within which numbers are exchanged; empty if there is none.

    Args:
        found, right: [B] numbers as they are and as they should be.
        groups: [B] the group of each sample, by its name.
    """
    wrong = found != right
    for name, group in groups.items():
        if len(np.unique(group[wrong])) < _FEW:
            continue
        differs = found[np.lexsort((found, group))] != right[np.lexsort((right, group))]
        if len(np.unique(np.sort(group)[differs])) < _OTHER * len(np.unique(group[wrong])):
            return name
    return ""


def repeated_rows(found: NDArray[Any], right: NDArray[Any], wrong: Flags, batch_size: int) -> int:
    """How many first rows of a batch stand for all of its rows; 0 if they do not.

    Args:
        found, right: [B] a number for each row, as it is and as it should be.
        wrong: [B] rows that are wrong.
    """
    rows = np.flatnonzero(wrong)
    for count in range(batch_size // 2, 0, -1):
        if batch_size % count:
            continue
        source = rows // batch_size * batch_size + rows % batch_size % count
        if (found[rows] == right[source]).mean() > _REPEATS:
            return count
    return 0
