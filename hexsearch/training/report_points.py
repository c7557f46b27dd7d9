"""The positions seen at which a trial reports."""

from __future__ import annotations

import math


def report_points(max_positions: int, every: int | None, rungs: tuple[int, ...]) -> tuple[int, ...]:
    """Positions at which a trial reports: its rungs, each multiple of `every`, and its last.

    >>> report_points(max_positions=100, every=40, rungs=(10, 30))
    (10, 30, 40, 80, 100)
    """
    regular = range(every, max_positions, every) if every else ()
    return tuple(sorted({*rungs, *regular, max_positions} - {0}))


def round_up(positions: int, unit: int) -> int:
    """`positions` rounded up to a multiple of a batch size, so that trials stop exactly there."""
    return math.ceil(positions / unit) * unit
