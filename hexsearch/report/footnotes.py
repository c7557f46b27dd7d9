"""Text below a leaderboard: why trials failed, and the meaning of columns."""

from __future__ import annotations

from hexsearch.leaderboard.columns import Column, View
from hexsearch.leaderboard.leaderboard import Leaderboard

_FAILURES, _LOG_LINES = 5, 8  # failures below a table, and lines of the log of each


def has_figures(board: Leaderboard) -> bool:
    """Whether a row has a value loss. A table of rows without one would show nothing."""
    return any(row.value_loss is not None for row in board.rows)


def failure_lines(board: Leaderboard) -> list[str]:
    """Why trials failed, with the last lines of each worker's output."""
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
    """Number of hidden rows, meaning of columns, and warnings of the study."""
    hidden = len(board.rows) - len(board.rows[:top]) if has_figures(board) else 0
    lines = [f"{hidden} more {_plural(hidden, 'row')}; see --top"] if hidden else []
    lines.append(
        "; ".join(
            f"{column.heading(view)}: {column.explanation}" for column in columns if column.noted
        )
    )
    return lines + [f"warning: {warning}" for warning in board.warnings]


def _plural(count: int, noun: str) -> str:
    return noun if count == 1 else f"{noun}s"
