"""Figures of a leaderboard as short texts."""

from __future__ import annotations

from hexsearch.leaderboard.rows import Row

NONE = "-"
STAGE_NAMES = ("early", "middle", "late", "penultimate", "final")  # in the order of a game


def plural(word: str, count: int) -> str:
    """The word for one thing or for several."""
    return word if count == 1 else word + "s"


def loss(value: float | None, places: int = 4) -> str:
    """A value loss without its leading zero: `.1663`."""
    if value is None:
        return NONE
    text = f"{value:.{places}f}"
    return text.replace("0.", ".", 1) if abs(value) < 1 else text


def signed(value: float) -> str:
    """A difference of value loss with its sign; a rounded 0 has the sign +."""
    return loss(value) if value <= -0.00005 else f"+{loss(abs(value))}"


def plus_minus(low: float | None, high: float | None, places: int = 4) -> str:
    """Half the width of an interval as `±.0012`; empty if there is no interval."""
    return "" if low is None or high is None else f"±{loss((high - low) / 2, places)}"


def percent(value: float | None, places: int = 1) -> str:
    """A share as `71.3%`."""
    return NONE if value is None else f"{value:.{places}%}"


def count(value: int | None) -> str:
    """A number as text: 1.2M for 1234567, and 462k for 461674."""
    if value is None:
        return NONE
    if value >= 999_500:
        return f"{value / 1e6:.1f}M"
    return f"{value / 1e3:.0f}k" if value >= 10_000 else str(value)


def difference(row: Row) -> str:
    """The difference of a row to the leader; empty for the leader itself."""
    if row.difference is None:
        return NONE
    if row.difference == 0.0 and row.difference_low == 0.0:
        return ""
    if row.difference_low is None or row.difference_high is None:
        return signed(row.difference)
    # The middle of the interval is used, since the measured difference favours the leader.
    middle = (row.difference_low + row.difference_high) / 2
    return signed(middle) + plus_minus(row.difference_low, row.difference_high)


def status(row: Row) -> str:
    """The status of a row, with its reason and verdict."""
    # The rung at which it was pruned is in another column.
    reason = row.reason.partition(" at ")[0] if row.status in ("paused", "pruned") else row.reason
    text = f"{row.status}: {reason}" if reason else row.status
    return text if row.verdict in ("", "healthy") else f"{text}, {row.verdict}"


def short_status(row: Row) -> str:
    """The status of a row for a narrow table."""
    text = row.status
    if row.status in ("paused", "pruned"):
        text += f" {count(row.positions_seen)}"
    # With spaces, a long verdict is wrapped between words and not truncated.
    return text if row.verdict in ("", "healthy") else f"{text}, {row.verdict.replace('_', ' ')}"
