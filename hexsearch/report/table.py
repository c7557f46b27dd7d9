"""A leaderboard as a rich table that fits the terminal."""

from __future__ import annotations

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from hexsearch.leaderboard.columns import Column, View, table_columns
from hexsearch.leaderboard.leaderboard import Leaderboard
from hexsearch.leaderboard.phase_sentences import confirmation_sentences
from hexsearch.leaderboard.sentences import leaderboard_sentences
from hexsearch.report.confirmation_table import confirmation_table
from hexsearch.report.footnotes import failure_lines, has_figures, notes

_STATUS_STYLES = {
    "completed": "green",
    "running": "cyan",
    "paused": "yellow",
    "pruned": "yellow",
    "interrupted": "cyan",
    "failed": "red",
    "stopped": "red",
}
_WIDE_FROM = 140  # columns of a terminal from which all columns are shown
_WRAPPED = ("name", "status")  # columns that may take several lines


def render(board: Leaderboard, width: int, top: int | None = None) -> RenderableType:
    """The table with its notes."""
    wide = width >= _WIDE_FROM
    columns, view = table_columns(board, wide), View.of(board, wide)
    parts: list[RenderableType] = [
        *([_table(board, columns, view, top)] if has_figures(board) or board.baselines else []),
        *map(Text, failure_lines(board)),
        *map(Text, leaderboard_sentences(board)),
        *(Text(line, style="dim") for line in notes(board, columns, view, top)),
    ]
    if board.confirmation is not None:
        parts += ["", confirmation_table(board.confirmation)]
        parts += map(Text, confirmation_sentences(board.confirmation))
    return Group(*parts)


def _table(board: Leaderboard, columns: list[Column], view: View, top: int | None) -> Table:
    table = Table(
        title=f"{board.study}: {board.state}",
        title_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1 if view.wide else 0, 0, 0),  # the box adds a space between columns
    )
    for column in columns:
        table.add_column(
            column.heading(view),
            justify="right" if column.right else "left",
            no_wrap=column.name not in _WRAPPED,
            min_width=15 if column.name == "name" else None,
        )
    for row in board.rows[:top] if has_figures(board) else ():
        style = _STATUS_STYLES.get(row.status, "")
        table.add_row(
            *(
                Text(column.text(row, view), style=style if column.name == "status" else "")
                for column in columns
            )
        )
    if board.baselines:
        table.add_section()
    for baseline in board.baselines:
        table.add_row(
            *(Text(column.of_baseline(baseline, view), style="dim") for column in columns)
        )
    return table
