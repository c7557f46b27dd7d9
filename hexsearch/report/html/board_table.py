"""The leaderboard as an HTML table. It can be sorted, and its rows open to details."""

from __future__ import annotations

from html import escape
from typing import Any

from hexsearch.config.section import as_yaml
from hexsearch.leaderboard.columns import Column, View, table_columns
from hexsearch.leaderboard.leaderboard import Leaderboard
from hexsearch.leaderboard.rows import Row
from hexsearch.ledger.folder import CHECKPOINT, StudyFolder
from hexsearch.report.footnotes import has_figures
from hexsearch.report.html.markup import definition

ROWS = 300  # most rows of the table
_WITHOUT_FIGURES = {"name", "value_loss", "status"}  # columns of a table without a result


def leaderboard_table(board: Leaderboard, folder: StudyFolder) -> str:
    """The rows, each followed by a hidden row with its details; then the baselines."""
    columns, view = table_columns(board, wide=True, markdown=True), View.of(board, wide=True)
    kind = "leaderboard"
    if not has_figures(board):  # the other columns would be empty
        kind = "leaderboard reasons"
        columns = [column for column in columns if column.name in _WITHOUT_FIGURES]
    head = "".join(
        f'<th data-name="{column.name}" title="{escape(column.explanation)}" '
        f'class="{"number" if column.right else "text"}"><button type="button">'
        f"{escape(column.heading(view))}</button></th>"
        for column in columns
    )
    rows = "".join(_row(row, columns, view, folder) for row in board.rows[:ROWS])
    baselines = "".join(
        '<tr class="baseline">'
        + "".join(
            f'<td class="{"number" if column.right else "text"}">'
            f"{escape(column.of_baseline(baseline, view))}</td>"
            for column in columns
        )
        + "</tr>"
        for baseline in board.baselines
    )
    return (
        f'<div class="scroll tall"><table class="{kind}" id="leaderboard-table"><thead>'
        f"<tr>{head}</tr></thead><tbody>{rows}</tbody><tfoot>{baselines}</tfoot></table></div>"
    )


def _row(row: Row, columns: list[Column], view: View, folder: StudyFolder) -> str:
    band = "" if row.group is None else f" band{row.group % 2}"
    cells = "".join(
        f'<td class="{"number" if column.right else "text"}"{_sort_key(column, row)}>'
        f"{escape(column.text(row, view))}</td>"
        for column in columns
    )
    return (
        f'<tr class="row{band}" tabindex="0" aria-expanded="false">{cells}</tr>'
        f'<tr class="detail" hidden><td colspan="{len(columns)}">{_detail(row, folder)}</td></tr>'
    )


def _sort_key(column: Column, row: Row) -> str:
    value: Any = column.value(row)
    return "" if value is None else f' data-sort="{escape(str(value))}"'


def _detail(row: Row, folder: StudyFolder) -> str:
    """Settings, verdict, trials, checkpoint and failures of a row."""
    kept = [
        f"trials/{trial}/{CHECKPOINT}"
        for trial in row.trial_ids
        if folder.checkpoint(trial).exists()
    ]
    pairs = [(name, as_yaml(value)) for name, value in row.values.items()]
    pairs += [
        ("status", f"{row.status}: {row.reason}" if row.reason else row.status),
        ("verdict of the monitors", row.verdict or "none"),
        ("trials", ", ".join(row.trial_ids)),
        ("checkpoint", ", ".join(kept) or "not kept"),
    ]
    pairs += [(f"{failure.trial} failed", failure.reason) for failure in row.failures]
    logs = "".join(f"<pre>{escape(failure.log)}</pre>" for failure in row.failures if failure.log)
    return definition(pairs) + logs
