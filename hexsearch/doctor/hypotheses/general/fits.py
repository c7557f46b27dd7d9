"""Fits numbers by a short sum of known terms, so that a formula is measured and not guessed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
_MOST = 3  # terms of a sum
_ROWS = 20_000  # numbers by which coefficients are solved; what is left is measured on all


@dataclass(frozen=True)
class Fit:
    """A sum of terms, and what it leaves.

    Attributes:
        terms: coefficient of each term, by its name.
        left: largest residual, in standard deviations of the numbers.
        share: share of the variance that the sum explains.
    """

    terms: Mapping[str, float]
    left: float
    share: float

    def __str__(self) -> str:
        return " ".join(
            f"{'-' if factor < 0 else '+' if number else ''} {_times(abs(factor), name)}".strip()
            for number, (name, factor) in enumerate(self.terms.items())
        )


def _times(factor: float, name: str) -> str:
    if name == "1":
        return f"{factor:.3g}"
    return name if abs(factor - 1.0) < 5e-3 else f"{factor:.3g} times {name}"


def short_sum(found: NDArray[Any], terms: Mapping[str, NDArray[Any]], close: float = 0.01) -> Fit:
    """The shortest sum of at most three terms that gives the numbers; else the best one.

    Terms are chosen one by one (matching pursuit). If that is not exact, all terms are fitted
    together, and those that are not needed are taken out.

    Args:
        found: [B] numbers.
        terms: [B] for each term; all of them are tried.
        close: largest residual, in standard deviations, that ends the search.
    """
    numbers = np.asarray(found, dtype=np.float64)
    spread = max(float(numbers.std()), 1e-9)
    if not np.isfinite(numbers).all():
        return Fit({}, math.inf, 0.0)
    usable = {name: np.asarray(term, np.float64) for name, term in terms.items()}
    usable = {
        name: term
        for name, term in usable.items()
        if np.isfinite(term).all() and float(np.abs(term).max()) > 1e-9
    }
    best = _pursued(numbers, usable, spread, close)
    if best.left > close and len(usable) < len(numbers) // 2:
        whole = _pruned(numbers, usable, _solved(numbers, usable, list(usable), spread), close)
        best = whole if whole.left < close and len(whole.terms) <= _MOST else best
    return _pruned(numbers, usable, best, close)


def _pursued(numbers: Floats, terms: Mapping[str, Floats], spread: float, close: float) -> Fit:
    """Terms chosen one by one, each the one that lowers the residual most."""
    chosen: list[str] = []
    best = Fit({}, float(np.abs(numbers).max()) / spread, 0.0)
    while len(chosen) < _MOST:
        fits = [_solved(numbers, terms, [*chosen, name], spread) for name in terms]
        new = min(fits, key=lambda fit: (fit.left > close, -fit.share), default=None)
        if new is None or new.share < best.share + 1e-6:
            break
        best, chosen = new, list(new.terms)
        if best.left < close:
            break
    return best


def _pruned(numbers: Floats, terms: Mapping[str, Floats], fit: Fit, close: float) -> Fit:
    """The same sum without the terms that are not needed to be exact."""
    spread = max(float(numbers.std()), 1e-9)
    size = {name: abs(factor) * float(terms[name].std()) for name, factor in fit.terms.items()}
    for name in sorted(size, key=lambda each: size[each]):
        fewer = [other for other in fit.terms if other != name]
        smaller = _solved(numbers, terms, fewer, spread) if fewer else None
        if smaller is not None and smaller.left < close:
            fit = smaller
    return fit


def _solved(numbers: Floats, terms: Mapping[str, Floats], names: list[str], spread: float) -> Fit:
    unique = list(dict.fromkeys(names))
    columns = np.stack([terms[name] for name in unique], axis=1)
    some = slice(None, None, max(1, len(numbers) // _ROWS))  # enough for a few coefficients
    solved, *_ = np.linalg.lstsq(columns[some], numbers[some], rcond=None)
    rest = numbers - columns @ solved
    share = 1.0 - float(rest.var()) / max(float(numbers.var()), 1e-18)
    pairs = dict(zip(unique, map(float, solved), strict=True))
    return Fit(pairs, float(np.abs(rest).max()) / spread, share)
