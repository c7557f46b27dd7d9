"""A leaderboard as a rich table that fits the terminal, as Markdown, or as CSV."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from hexsearch.leaderboard.confirmation import (
    confirmation_markdown,
    confirmation_sentences,
    confirmation_table,
)
from hexsearch.leaderboard.leaderboard import Leaderboard
from hexsearch.leaderboard.rows import Row
from hexsearch.leaderboard.sentences import sentences

_STATUS_STYLES = {
    "completed": "green",
    "running": "cyan",
    "paused": "yellow",
    "pruned": "yellow",
    "interrupted": "cyan",
    "failed": "red",
    "stopped": "red",
}
_STAGES = ("early", "middle", "late", "penultimate", "final")
_WIDE_FROM = 140  # columns of a terminal that has room for everything
_FAILURES, _LOG_LINES = 5, 8  # shown below a table, and of the log of each
_NONE = "-"


@dataclass(frozen=True)
class _Column:
    title: str
    cell: Callable[[Row], str]
    baseline: Callable[[dict[str, Any]], str] = lambda baseline: ""
    right: bool = True


def _stage(name: str, title: str = "") -> _Column:
    def cell(row: Row) -> str:
        return _loss(row.stages.get(name, {}).get("value_loss"))

    def baseline(row: dict[str, Any]) -> str:
        return _loss(row["stages"].get(name, {}).get("value_loss"))

    return _Column(title or name, cell, baseline)


def _value_loss(board: Leaderboard, wide: bool) -> _Column:
    def baseline(row: dict[str, Any]) -> str:
        found = row if board.stage is None else row["stages"].get(board.stage, {})
        return _loss(found.get("value_loss"))

    title = "value loss" if board.stage is None else f"{board.stage} loss"
    return _Column(
        title,
        lambda row: (
            _loss(row.value_loss)
            + _plus_minus(row.value_loss_low, row.value_loss_high, 4 if wide else 3)
        ),
        baseline,
    )


def _columns(board: Leaderboard, wide: bool, penultimate: bool = False) -> list[_Column]:
    """Those of a wide or a narrow table; the widest has room for the penultimate stage too."""
    tied = _tied_ranks(board)
    place = _Column("#", lambda row: _place(row, tied), right=False)
    name = _Column("variant", lambda row: row.name, lambda baseline: baseline["name"], right=False)
    behind = _Column("behind", lambda row: _behind(row))
    if not wide:
        return [
            place,
            name,
            _value_loss(board, wide),
            behind,
            _stage("early"),
            _stage("middle"),
            _stage("late"),
            _Column(
                "acc",
                lambda row: _share(row.accuracy).removesuffix("%"),
                lambda baseline: _share(_of_stage(baseline, board)).removesuffix("%"),
            ),
            _Column("status", lambda row: _short_status(row), right=False),
        ]
    stages = [_stage("early"), _stage("middle"), _stage("late"), _stage("final")]
    if penultimate:
        stages.insert(3, _stage("penultimate"))
    return [
        place,
        name,
        _value_loss(board, wide),
        behind,
        _Column("best", lambda row: _chance(row.probability_best)),
        *stages,
        _Column(
            "acc",
            lambda row: _share(row.accuracy),
            lambda baseline: _share(_of_stage(baseline, board)),
        ),
        _Column("log loss", lambda row: _loss(row.log_loss)),
        _Column("calib", lambda row: _loss(row.calibration_error)),
        _Column("params", lambda row: _count(row.parameters)),
        _Column("µs", lambda row: _NONE if row.microseconds is None else f"{row.microseconds:.1f}"),
        _Column("seen", lambda row: _count(row.positions_seen or None)),
        _Column("c/p/f", lambda row: f"{row.completed}/{row.pruned}/{row.failed}"),
        _Column("status", lambda row: _status(row), right=False),
    ]


def render(board: Leaderboard, width: int, top: int | None = None) -> RenderableType:
    """The table and what has to be known to read it."""
    wide = width >= _WIDE_FROM
    columns = _columns(board, wide)
    table = Table(
        title=f"{board.study}: {board.state}",
        title_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1 if wide else 0, 0, 0),  # the box itself puts a space between columns
    )
    for column in columns:
        table.add_column(
            column.title,
            justify="right" if column.right else "left",
            no_wrap=column.title not in ("variant", "status"),
            min_width=15 if column.title == "variant" else None,
        )
    for row in board.rows[:top]:
        style = _STATUS_STYLES.get(row.status, "")
        cells = [column.cell(row) for column in columns]
        table.add_row(*(Text(cell) for cell in cells[:-1]), Text(cells[-1], style=style))
    if board.baselines:
        table.add_section()
    for baseline in board.baselines:
        table.add_row(*(Text(column.baseline(baseline), style="dim") for column in columns))
    said = [Text(line) for line in sentences(board)]
    notes = (Text(line, style="dim") for line in _notes(board, top, wide))
    parts: list[RenderableType] = [table, *map(Text, _failures(board)), *said, *notes]
    if board.confirmation is not None:
        parts += ["", confirmation_table(board.confirmation)]
        parts += map(Text, confirmation_sentences(board.confirmation))
    return Group(*parts)


def markdown(board: Leaderboard, top: int | None = None) -> str:
    """A Markdown table of all columns."""
    columns = _columns(board, wide=True, penultimate=True)
    lines = [
        "| " + " | ".join(column.title for column in columns) + " |",
        "|" + "|".join("---:" if column.right else "---" for column in columns) + "|",
    ]
    for row in board.rows[:top]:
        lines.append("| " + " | ".join(_escape(column.cell(row)) for column in columns) + " |")
    for baseline in board.baselines:
        lines.append("| " + " | ".join(column.baseline(baseline) for column in columns) + " |")
    said = [
        f"* {line}"
        for line in [*_failures(board), *sentences(board), *_notes(board, top, wide=True)]
    ]
    if board.confirmation is not None:
        said += ["", *confirmation_markdown(board.confirmation), ""]
        said += [f"* {line}" for line in confirmation_sentences(board.confirmation)]
    return "\n".join([*lines, "", *said, ""])


def comma_separated(board: Leaderboard, top: int | None = None) -> str:
    """CSV with full precision, baselines as rows without a rank."""
    output = io.StringIO()
    writer = csv.writer(output, lineterminator="\n")
    plain = (
        "rank name head status reason seeds completed pruned failed positions_seen value_loss "
        "value_loss_low value_loss_high difference difference_low difference_high p_adjusted "
        "tied_with_leader expected_value_loss probability_best accuracy log_loss "
        "calibration_error parameters mflops microseconds verdict"
    ).split()
    writer.writerow([*plain, *(f"value_loss_{stage}" for stage in _STAGES), "trial_ids"])
    for row in board.rows[:top]:
        stages = [row.stages.get(stage, {}).get("value_loss") for stage in _STAGES]
        fields = [getattr(row, name) for name in plain]
        writer.writerow([*fields, *stages, " ".join(row.trial_ids)])
    for baseline in board.baselines:
        stages = [baseline["stages"].get(stage, {}).get("value_loss") for stage in _STAGES]
        known = {name: baseline.get(name) for name in plain}
        known["status"] = "baseline"
        writer.writerow([*known.values(), *stages, ""])
    return output.getvalue()


def _failures(board: Leaderboard) -> list[str]:
    """Why trials failed, each with the end of what its worker said."""
    failures = [failure for row in board.rows for failure in row.failures]
    lines = []
    for failure in failures[:_FAILURES]:
        lines.append(f"{failure['trial']} failed: {failure['reason']}")
        lines += [f"    {line}" for line in failure["log"].splitlines()[-_LOG_LINES:]]
    hidden = len(failures) - _FAILURES
    if hidden > 0:
        lines.append(f"{hidden} more {_plural(hidden, 'failure')}; see --format json")
    return lines


def _plural(count: int, noun: str) -> str:
    return noun if count == 1 else f"{noun}s"


def _notes(board: Leaderboard, top: int | None, wide: bool) -> list[str]:
    hidden = len(board.rows) - len(board.rows[:top])
    notes = [f"{hidden} more {_plural(hidden, 'row')}; see --top"] if hidden else []
    notes.append(
        "value loss: Brier score of win_prob_red on validation games, ± its 95% interval over "
        "games and seeds; behind: true difference to the first at as many positions, paired by "
        "game, the first's luck allowed for; =: not told apart"
    )
    if wide:
        notes.append(
            "best: probability of being truly the best; calib: calibration error; µs: per "
            "position; c/p/f: trials completed, pruned, failed"
        )
    return notes + [f"warning: {line}" for line in board.warnings]


def _tied_ranks(board: Leaderboard) -> set[int]:
    """Ranks that several rows share."""
    ranks = [row.rank for row in board.rows if row.rank is not None]
    return {rank for rank, count in Counter(ranks).items() if count > 1}


def _place(row: Row, tied: set[int]) -> str:
    if row.rank is None:
        return _NONE
    return f"{row.rank}=" if row.rank in tied else str(row.rank)


def _behind(row: Row) -> str:
    if row.difference is None:
        return _NONE
    if row.difference == 0.0 and row.difference_low == 0.0:
        return ""
    if row.difference_low is None or row.difference_high is None:
        return _signed(row.difference)
    # The middle of the interval, not the difference as seen: the leader was picked for luck too.
    middle = (row.difference_low + row.difference_high) / 2
    return _signed(middle) + _plus_minus(row.difference_low, row.difference_high)


def _signed(loss: float) -> str:
    return _loss(loss) if loss <= -0.00005 else f"+{_loss(abs(loss))}"  # no -.0000


def _plus_minus(low: float | None, high: float | None, places: int = 4) -> str:
    """Half the width of an interval."""
    return "" if low is None or high is None else f"±{_loss((high - low) / 2, places)}"


def _of_stage(baseline: dict[str, Any], board: Leaderboard) -> float | None:
    """Accuracy of a baseline on the positions that the board is about."""
    found = baseline if board.stage is None else baseline["stages"].get(board.stage, {})
    accuracy: float | None = found.get("accuracy")
    return accuracy


def _status(row: Row) -> str:
    # Where it was pruned stands in a column of its own.
    reason = row.reason.partition(" at ")[0] if row.status in ("paused", "pruned") else row.reason
    text = f"{row.status}: {reason}" if reason else row.status
    return text if row.verdict in ("", "healthy") else f"{text}, {row.verdict}"


def _short_status(row: Row) -> str:
    text = row.status
    if row.status in ("paused", "pruned"):
        text += f" {_count(row.positions_seen)}"
    # Parted by spaces a verdict breaks where words do, instead of losing its end.
    return text if row.verdict in ("", "healthy") else f"{text}, {row.verdict.replace('_', ' ')}"


def _loss(value: float | None, places: int = 4) -> str:
    if value is None:
        return _NONE
    text = f"{value:.{places}f}"
    return text.replace("0.", ".", 1) if abs(value) < 1 else text


def _share(value: float | None) -> str:
    return _NONE if value is None else f"{value:.1%}"


def _chance(value: float | None) -> str:
    return _NONE if value is None else f"{value:.0%}"


def _count(value: int | None) -> str:
    """1234567 as 1.2M, 461674 as 462k."""
    if value is None:
        return _NONE
    if value >= 999_500:
        return f"{value / 1e6:.1f}M"
    return f"{value / 1e3:.0f}k" if value >= 10_000 else str(value)


def _escape(text: str) -> str:
    return text.replace("|", "\\|")
