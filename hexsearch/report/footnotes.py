"""What stands below a leaderboard: why trials failed, and how to read the columns."""

from __future__ import annotations

from hexsearch.leaderboard.columns import Column, View
from hexsearch.leaderboard.leaderboard import Leaderboard

_FAILURES, _LOG_LINES = 5, 8  # shown below a table, and of the log of each


def failure_lines(board: Leaderboard) -> list[str]:
    """Why trials failed, each with the end of what its worker printed."""
    failures = [failure for row in board.rows for failure in row.failures]
    lines = []
    for failure in failures[:_FAILURES]:
        lines.append(f"{failure.trial} failed: {failure.reason}")
        lines += [f"    {line}" for line in failure.log.splitlines()[-_LOG_LINES:]]
    hidden = len(failures) - _FAILURES
    if hidden > 0:
        lines.append(f"{hidden} more {_plural(hidden, 'failure')}; see --format json")
    return lines


def notes(board: Leaderboard, columns: list[Column], view: View, top: int | None) -> list[str]:
    """How many rows are hidden, what the columns mean, and the study's warnings."""
    hidden = len(board.rows) - len(board.rows[:top])
    lines = [f"{hidden} more {_plural(hidden, 'row')}; see --top"] if hidden else []
    lines.append(
        "; ".join(
            f"{column.heading(view)}: {column.explanation}" for column in columns if column.noted
        )
    )
    return lines + [f"warning: {warning}" for warning in board.warnings]


def _plural(count: int, noun: str) -> str:
    return noun if count == 1 else f"{noun}s"
