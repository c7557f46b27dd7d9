"""Labels that fade with a number, such as results that are discounted by the moves to the end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

_FEW = 3  # different numbers of plies that are needed
_CENTRES = {0.5: "one half", 0.0: "0"}
_SHOWN = 0.02  # least distance of a label from the centre from which a discount is told


def faded_labels(
    target: NDArray[Any], label: NDArray[Any], columns: Mapping[str, NDArray[Any]], exact: float
) -> str:
    """In words, the discount that turns labels of 0 and 1 into the targets; empty if none does.

    Args:
        target: [B] targets.
        label: [B] 0 or 1.
        columns: [B] counts, by words that follow `for each`.
        exact: largest difference of equal targets.
    """
    for centre, words in _CENTRES.items():
        away = label - centre
        usable = np.abs(away) > 1e-6
        factor = (target - centre)[usable] / away[usable]
        if np.abs(target - centre)[~usable].max(initial=0.0) > exact:
            continue
        for name, column in columns.items():
            count = column[usable].astype(np.float64)
            if len(np.unique(count)) < _FEW or factor.std() < exact:
                continue
            told = _geometric(factor, count, name, exact) or _linear(factor, count, name, exact)
            if told:
                return f"{told}, towards {words}"
    return ""


def _geometric(factor: NDArray[Any], count: NDArray[Any], name: str, exact: float) -> str:
    told = factor > _SHOWN
    if told.sum() < _FEW or len(np.unique(count[told])) < _FEW:
        return ""
    slope, start = np.polyfit(count[told], np.log(factor[told]), 1)
    made = np.exp(start + slope * count)
    if np.abs(made - factor).max() > 3 * exact or slope > -1e-3:
        return ""
    rest = "" if abs(start) < 0.01 else f" of {np.exp(start):.3g}"
    return f"it is multiplied by {np.exp(slope):.3g} for each {name}{rest} (a discount factor)"


def _linear(factor: NDArray[Any], count: NDArray[Any], name: str, exact: float) -> str:
    slope, start = np.polyfit(count, factor, 1)
    if np.abs(start + slope * count - factor).max() > 3 * exact or slope > -1e-4:
        return ""
    return f"it is {start:.3g} minus {-slope:.3g} for each {name}"
