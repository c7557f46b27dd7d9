"""A leaderboard as Markdown and as CSV."""

from __future__ import annotations

import csv
import io

from hexsearch.leaderboard.columns import View, file_columns, table_columns
from hexsearch.leaderboard.leaderboard import Leaderboard
from hexsearch.leaderboard.phase_sentences import confirmation_sentences
from hexsearch.leaderboard.sentences import leaderboard_sentences
from hexsearch.report.confirmation_table import confirmation_markdown
from hexsearch.report.footnotes import failure_lines, has_figures, notes


def markdown(board: Leaderboard, top: int | None = None) -> str:
    """A Markdown table with all columns of tables."""
    columns, view = table_columns(board, wide=True, markdown=True), View.of(board, wide=True)
    rows = board.rows[:top] if has_figures(board) else ()
    lines = [
        [column.heading(view) for column in columns],
        ["---:" if column.right else "---" for column in columns],
        *([_escape(column.text(row, view)) for column in columns] for row in rows),
        *(
            [column.of_baseline(baseline, view) for column in columns]
            for baseline in board.baselines
        ),
    ]
    below = [
        *failure_lines(board),
        *leaderboard_sentences(board),
        *notes(board, columns, view, top),
    ]
    text = [
        *("| " + " | ".join(line) + " |" for line in lines),
        "",
        *(f"* {line}" for line in below),
    ]
    if board.confirmation is not None:
        text += ["", *confirmation_markdown(board.confirmation), ""]
        text += [f"* {line}" for line in confirmation_sentences(board.confirmation)]
    return "\n".join([*text, ""])


def comma_separated(board: Leaderboard, top: int | None = None) -> str:
    """CSV with full precision. Baselines are rows without a rank."""
    output = io.StringIO()
    writer = csv.writer(output, lineterminator="\n")
    columns = file_columns("csv")
    writer.writerow([column.name for column in columns])
    for row in board.rows[:top]:
        writer.writerow([_plain(column.value(row)) for column in columns])
    for baseline in board.baselines:
        values = {
            column.name: None if column.baseline is None else column.baseline(baseline, board.stage)
            for column in columns
        }
        writer.writerow({**values, "status": "baseline"}.values())
    return output.getvalue()


def _plain(value: object) -> object:
    """A value for one cell. Several names are separated by spaces."""
    return " ".join(value) if isinstance(value, list) else value


def _escape(text: str) -> str:
    return text.replace("|", "\\|")
