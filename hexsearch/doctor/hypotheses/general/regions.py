"""Learns which samples are wrong: a condition on their columns, or a trend.

Columns are numbers or flags of each sample. A condition is a flag, a bound on a number, or two of
them together. It needs no list of faults: whatever a fault depends on is found if it is a column.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

Flags = NDArray[np.bool_]
Columns = Mapping[str, NDArray[Any]]  # flags by words after 'where', numbers by words after 'the'
_SHARE = 0.97  # share of a region that must be wrong, and of the others that must be right
_BOUNDS = 12  # bounds that are tried on each number
_KEPT = 24  # single conditions that are combined in pairs
_FEW = 8  # samples that a region needs
_CLEAR = 6.0  # standard errors that make a trend clear


@dataclass(frozen=True)
class Condition:
    """A condition in words, whether each sample meets it, and whether it is a column of flags."""

    words: str
    holds: Flags
    is_flag: bool


def conditions(wrong: Flags, columns: Columns) -> Iterator[Condition]:
    """All conditions on one column that some samples meet and others do not."""
    for name, column in columns.items():
        if column.dtype == np.bool_:
            choices = [(name, column)]
        else:
            choices = list(_of_number(name, column, wrong))
        for words, holds in choices:
            if _FEW <= holds.sum() <= len(holds) - _FEW:
                yield Condition(words, holds, column.dtype == np.bool_)


def _of_number(name: str, column: NDArray[Any], wrong: Flags) -> Iterator[tuple[str, Flags]]:
    values = np.unique(column)
    if len(values) < 2:
        return
    spread = values[np.linspace(1, len(values) - 1, _BOUNDS).astype(int)]
    above = values[values > column[wrong].max()][:1]
    for value in np.unique(np.concatenate([spread, [column[wrong].min()], above])):
        yield f"where the {name} is at least {value:g}", column >= value
        yield f"where the {name} is below {value:g}", column < value
    if len(values) <= _BOUNDS:
        for value in values[:-1]:
            yield f"where the {name} is {value:g}", column == value
    if np.issubdtype(column.dtype, np.integer):
        for divisor in (2, 3, 4, 8):
            for rest in range(divisor) if len(values) > divisor else ():
                words = f"where the {name} is {rest} modulo {divisor}"
                yield words, column % divisor == rest


def region(wrong: Flags, columns: Columns) -> str:
    """In words, the condition that the wrong samples meet and the others do not; empty if none.

    Of conditions that fit, the simplest is taken. If no condition fits, it is one that all wrong
    samples meet, with the share of wrong samples among those that meet it.
    """
    if not _FEW <= wrong.sum() <= len(wrong) - _FEW:
        return ""
    single = list(conditions(wrong, columns))
    ranked = sorted(single, key=lambda each: -_agreement(wrong, each.holds))
    for each in ranked:
        if _fits(wrong, each.holds):
            return f"exactly {each.words}"
    flags = [each for each in ranked[_KEPT:] if each.is_flag]
    for one, other in combinations([*ranked[:_KEPT], *flags], 2):
        both = one.holds & other.holds
        if _FEW <= both.sum() and _fits(wrong, both):
            return f"exactly {one.words}, and {other.words}"
    partly = [each for each in single if not wrong[~each.holds].any()]
    best = max(partly, key=lambda each: wrong[each.holds].mean(), default=None)
    if best is not None and wrong[best.holds].mean() > 1.5 * wrong.mean():
        return f"only {best.words} ({wrong[best.holds].mean():.0%} of those)"
    return ""


def _fits(wrong: Flags, holds: Flags) -> bool:
    return bool(wrong[holds].mean() > _SHARE and wrong[~holds].mean() < 1 - _SHARE)


def _agreement(wrong: Flags, holds: Flags) -> float:
    """Difference of the shares of wrong samples inside and outside."""
    return float(abs(wrong[holds].mean() - wrong[~holds].mean()))


def trend(amount: NDArray[Any], columns: Columns) -> str:
    """In words, the number on which an amount depends most; empty if it depends on none clearly.

    Args:
        amount: [B] whether each sample is wrong, or by how much.
    """
    best, clearest = "", _CLEAR
    for name, column in columns.items():
        if len(np.unique(column)) < 2:
            continue
        low, high = np.quantile(column, (1 / 3, 2 / 3)) if column.dtype != np.bool_ else (0, 1)
        first, last = amount[column <= low], amount[column >= high]
        if low == high or min(len(first), len(last)) < 3 * _FEW:
            continue
        error = np.sqrt(first.var() / len(first) + last.var() / len(last))
        gap = abs(float(first.mean()) - float(last.mean()))
        if gap / max(float(error), 1e-9) > clearest:
            clearest = gap / max(float(error), 1e-9)
            best = (
                f"{first.mean():.0%} elsewhere and {last.mean():.0%} {name}"
                if column.dtype == np.bool_
                else f"{first.mean():.0%} where the {name} is at most {low:g}, and "
                f"{last.mean():.0%} where it is at least {high:g}"
            )
    return best
