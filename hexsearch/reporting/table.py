"""A leaderboard as a rich table that fits the terminal, as Markdown, or as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from hexsearch.reporting.leaderboard import Leaderboard, Row

_STATUS_STYLES = {
    "completed": "green",
    "running": "cyan",
    "pruned": "yellow",
    "interrupted": "cyan",
    "failed": "red",
    "stopped": "red",
}
_STAGES = ("early", "middle", "late", "final")
_WIDE_FROM = 140  # columns of a terminal that has room for everything


@dataclass(frozen=True)
class _Column:
    title: str
    cell: Callable[[Row], str]
    floor: Callable[[dict[str, Any]], str] = lambda floor: ""
    right: bool = True


def _stage(name: str, title: str = "") -> _Column:
    def cell(row: Row) -> str:
        return _loss(row.stages.get(name, {}).get("value_loss"))

    def floor(row: dict[str, Any]) -> str:
        return _loss(row["stages"].get(name, {}).get("value_loss"))

    return _Column(title or name, cell, floor)


_WIDE = (
    _Column("#", lambda row: f"{row.rank or '-'}"),
    _Column("variant", lambda row: row.name, lambda floor: floor["name"], right=False),
    _Column("head", lambda row: row.head, right=False),
    _Column(
        "value loss", lambda row: _loss(row.value_loss), lambda floor: _loss(floor["value_loss"])
    ),
    _Column("±95%", lambda row: _half_width(row)),
    *(_stage(name) for name in _STAGES),
    _Column("acc", lambda row: _share(row.accuracy), lambda floor: _share(floor["accuracy"])),
    _Column("seeds", lambda row: str(row.seeds)),
    _Column("params", lambda row: _count(row.parameters)),
    _Column("seen", lambda row: _count(row.positions_seen or None)),
    _Column("verdict", lambda row: row.verdict, right=False),
    _Column("status", lambda row: _status(row), right=False),
)
_NARROW = (
    _WIDE[0],
    _WIDE[1],
    _Column(
        "value loss",
        lambda row: _loss(row.value_loss) + (f"±{_half_width(row)[:4]}" if row.value_loss else ""),
        lambda floor: _loss(floor["value_loss"]),
    ),
    _stage("early"),
    _stage("middle", "mid"),
    _stage("late"),
    _Column(
        "acc",
        lambda row: _share(row.accuracy)[:-1],
        lambda floor: _share(floor["accuracy"])[:-1],
    ),
    _Column("par", lambda row: _count(row.parameters)),
    _Column("status", lambda row: _short_status(row), right=False),
)


def render(board: Leaderboard, width: int, top: int | None = None) -> RenderableType:
    """The table and what has to be known to read it."""
    columns = _WIDE if width >= _WIDE_FROM else _NARROW
    table = Table(
        title=f"{board.study}: {board.state}",
        title_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    for column in columns:
        table.add_column(
            column.title,
            justify="right" if column.right else "left",
            no_wrap=column.title not in ("variant", "status"),
        )
    tied = _tied(board)
    for row in board.rows[:top]:
        style = _STATUS_STYLES.get(row.status, "")
        cells = [column.cell(row) for column in columns]
        cells[0] += "=" if row in tied else " "
        table.add_row(*(Text(cell) for cell in cells[:-1]), Text(cells[-1], style=style))
    if board.floors:
        table.add_section()
    for floor in board.floors:
        table.add_row(*(Text(column.floor(floor), style="dim") for column in columns))
    return Group(table, *(Text(line, style="dim") for line in _notes(board, top)))


def markdown(board: Leaderboard, top: int | None = None) -> str:
    """A Markdown table of all columns."""
    lines = [
        "| " + " | ".join(column.title for column in _WIDE) + " |",
        "|" + "|".join("---:" if column.right else "---" for column in _WIDE) + "|",
    ]
    tied = _tied(board)
    for row in board.rows[:top]:
        cells = [_escape(column.cell(row)) for column in _WIDE]
        cells[0] += "=" if row in tied else ""
        lines.append("| " + " | ".join(cells) + " |")
    for floor in board.floors:
        lines.append("| " + " | ".join(column.floor(floor) for column in _WIDE) + " |")
    return "\n".join([*lines, "", *_notes(board, top), ""])


def comma_separated(board: Leaderboard, top: int | None = None) -> str:
    """CSV with full precision, floors as rows without a rank."""
    output = io.StringIO()
    writer = csv.writer(output, lineterminator="\n")
    plain = (
        "rank name head status reason seeds positions_seen value_loss value_loss_low "
        "value_loss_high accuracy parameters verdict tied_with_leader"
    ).split()
    writer.writerow([*plain, *(f"value_loss_{stage}" for stage in _STAGES), "trial_ids"])
    for row in board.rows[:top]:
        stages = [row.stages.get(stage, {}).get("value_loss") for stage in _STAGES]
        fields = [getattr(row, name) for name in plain]
        writer.writerow([*fields, *stages, " ".join(row.trial_ids)])
    for floor in board.floors:
        stages = [floor["stages"].get(stage, {}).get("value_loss") for stage in _STAGES]
        known = {name: floor.get(name) for name in plain}
        known["status"] = "floor"
        writer.writerow([*known.values(), *stages, ""])
    return output.getvalue()


def _notes(board: Leaderboard, top: int | None) -> list[str]:
    hidden = len(board.rows) - len(board.rows[:top])
    notes = [f"{hidden} more row(s); see --top"] if hidden else []
    tied = _tied(board)
    if tied:
        notes.append(f"= {len(tied)} rows cannot be told apart at 95%, seeds and games considered")
    elif sum(row.rank is not None for row in board.rows) > 1 and not _compared(board):
        notes.append("no other row came as far as the first, so its lead cannot be judged")
    notes.append(
        "value loss: Brier score of win_prob_red on validation games; compare rows of equal 'seen'"
    )
    return notes + [f"warning: {line}" for line in board.warnings]


def _status(row: Row) -> str:
    if row.status == "pruned":
        return f"pruned: {row.reason.removesuffix(' positions')}"
    return f"{row.status}: {row.reason}" if row.reason else row.status


def _tied(board: Leaderboard) -> list[Row]:
    """The leader and those that cannot be told from it, if there are any."""
    tied = [row for row in board.rows if row.tied_with_leader]
    return tied if len(tied) > 1 else []


def _compared(board: Leaderboard) -> bool:
    return any(row.tied_with_leader is not None for row in board.rows[1:])


def _short_status(row: Row) -> str:
    text = row.status
    if row.status == "pruned":
        text += f" {_count(row.positions_seen)}"
    return text if row.verdict in ("", "healthy") else f"{text}, {row.verdict}"


def _half_width(row: Row) -> str:
    if row.value_loss is None or row.value_loss_high is None:
        return ""
    return _loss(row.value_loss_high - row.value_loss)


def _loss(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}".removeprefix("0")


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.1%}"


def _count(value: int | None) -> str:
    """1234567 as 1.2M, 461674 as 462k."""
    if value is None:
        return ""
    if value >= 999_500:
        return f"{value / 1e6:.1f}M"
    return f"{value / 1e3:.0f}k" if value >= 10_000 else str(value)


def _escape(text: str) -> str:
    return text.replace("|", "\\|")
