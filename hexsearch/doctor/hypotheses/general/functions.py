"""Which function of the right numbers some other numbers are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Function = Callable[[Floats], Floats]
_EXACT = 0.01  # largest residual, in standard deviations of the numbers
_VALUES = 6  # different numbers that are needed to tell functions apart


def _logit(x: Floats) -> Floats:
    clipped = np.clip(x, 1e-6, 1 - 1e-6)
    odds: Floats = np.log(clipped) - np.log1p(-clipped)
    return odds


def _sigmoid(x: Floats) -> Floats:
    p: Floats = 0.5 * (np.tanh(0.5 * x) + 1.0)
    return p


_FUNCTIONS: dict[str, Function] = {
    "rounding": np.round,
    "sigmoid": _sigmoid,
    "tanh": np.tanh,
    "log odds": _logit,
    "exp": lambda x: np.exp(np.clip(x, -60.0, 60.0)),
    "log": lambda x: np.log(np.maximum(x, 1e-6)),
    "square": np.square,
    "root": lambda x: np.sqrt(np.maximum(x, 0.0)),
    "absolute value": np.abs,
    "sign": np.sign,
}
_BEFORE: dict[str, Function] = {
    "the right one": lambda x: x,
    "(2 times the right one - 1)": lambda x: 2.0 * x - 1.0,
}


def function_of(found: NDArray[Any], right: NDArray[Any]) -> str:
    """In words, the function of the right numbers [B] that gives those found [B]; else empty.

    Functions are elementary ones, with a factor and an offset behind them.
    """
    numbers, known = (np.asarray(each, dtype=np.float64) for each in (found, right))
    if len(np.unique(known.round(6))) < _VALUES or numbers.std() < 1e-9:
        return ""
    if not (np.isfinite(numbers).all() and np.isfinite(known).all()):
        return ""
    for words, made in _candidates(known):
        if made.std() < 1e-9:
            continue
        factor, offset = np.polyfit(made, numbers, 1)
        left = np.abs(numbers - factor * made - offset).max() / numbers.std()
        if left < _EXACT:
            return _with(words, float(factor), float(offset))
    return ""


def _candidates(known: Floats) -> Iterator[tuple[str, Floats]]:
    for (function, apply), (argument, before) in product(_FUNCTIONS.items(), _BEFORE.items()):
        yield f"the {function} of {argument}", apply(before(known))


def _with(words: str, factor: float, offset: float) -> str:
    text = words if abs(factor - 1) < 5e-3 else f"{factor:.3g} times {words}"
    return text if abs(offset) < 5e-3 else f"{text} {'+' if offset > 0 else '-'} {abs(offset):.3g}"
