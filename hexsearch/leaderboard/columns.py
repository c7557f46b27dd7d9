"""The columns of a leaderboard in one table, from which every format is made.

To add a column, add a field to `Row`, fill it where it is computed, and add an entry to `COLUMNS`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Literal

from hexsearch.leaderboard.cells import (
    NONE,
    count,
    difference,
    loss,
    percent,
    plus_minus,
    short_status,
    status,
)
from hexsearch.leaderboard.leaderboard import Leaderboard
from hexsearch.leaderboard.rows import Row
from hexsearch.ledger.report import Baseline, SliceSummary
from hexsearch.training.metrics import SliceMetrics

Where = Literal["every table", "wide tables", "markdown", "narrow tables"]
Format = Literal["csv", "json"]
_BOTH: frozenset[Format] = frozenset({"csv", "json"})
_CSV: frozenset[Format] = frozenset({"csv"})
_JSON: frozenset[Format] = frozenset({"json"})


@dataclass(frozen=True)
class View:
    """Properties of the table on which a cell may depend, besides its row.

    Attributes:
        shared_ranks: ranks that several rows have.
        wide: whether the terminal has 140 columns.
    """

    stage: str | None
    shared_ranks: frozenset[int]
    wide: bool

    @classmethod
    def of(cls, board: Leaderboard, wide: bool) -> View:
        """The view of a leaderboard in a wide or a narrow table."""
        ranks = Counter(row.rank for row in board.rows if row.rank is not None)
        shared = frozenset(rank for rank, rows in ranks.items() if rows > 1)
        return cls(board.stage, shared, wide)


@dataclass(frozen=True)
class Column:
    """One figure of a row, in every format.

    Attributes:
        name: name in JSON, CSV and `--sort`.
        value: function from a row to its figure, for JSON and CSV.
        title, text: heading and cell of a table.
        where: tables that have the column; None if no table has it.
        baseline: function for the figure of a baseline; None if baselines do not have it.
        baseline_text: function for its text in a table.
        files: machine-readable formats that hold it.
        highest_first: whether `--sort` puts the highest value first; None if it cannot be sorted.
        optional: whether tables omit it if no row has a value.
        explanation: explanation of the heading in a page.
        noted: whether the explanation is also printed below tables.
    """

    name: str
    value: Callable[[Row], Any]
    explanation: str
    title: str = ""
    where: Where | None = None
    text: Callable[[Row, View], str] = lambda row, view: ""
    baseline: Callable[[Baseline, str | None], Any] | None = None
    baseline_text: Callable[[Any], str] = str
    right: bool = True
    files: frozenset[Format] = _BOTH
    highest_first: bool | None = None
    noted: bool = False
    optional: bool = False

    def heading(self, view: View) -> str:
        """The title. The value loss of one stage is titled by the stage."""
        by_stage = self.name == "value_loss" and view.stage is not None
        return f"{view.stage} loss" if by_stage else self.title

    def of_baseline(self, baseline: Baseline, view: View) -> str:
        """The cell of a baseline in a table."""
        value = None if self.baseline is None else self.baseline(baseline, view.stage)
        if value is None:
            return "" if self.baseline is None else NONE
        return self.baseline_text(value)


def table_columns(board: Leaderboard, wide: bool, markdown: bool = False) -> list[Column]:
    """The columns of a leaderboard's table, in order."""
    places: set[Where] = {"every table", "wide tables" if wide else "narrow tables"}
    if markdown:
        places.add("markdown")
    return [
        column
        for column in COLUMNS
        if column.where in places
        and (not column.optional or any(column.value(row) is not None for row in board.rows))
    ]


def file_columns(output: Format) -> list[Column]:
    """The columns of a machine-readable format."""
    return [column for column in COLUMNS if output in column.files]


def sortable() -> list[str]:
    """Names of the columns that rows can be sorted by."""
    return [column.name for column in COLUMNS if column.highest_first is not None]


def sorted_rows(rows: tuple[Row, ...], name: str) -> tuple[Row, ...]:
    """The rows sorted by a column. Rows without a value come last. Ranks do not change."""
    column = next(column for column in COLUMNS if column.name == name)
    known = [row for row in rows if column.value(row) is not None]
    known.sort(key=column.value, reverse=bool(column.highest_first))
    return (*known, *(row for row in rows if column.value(row) is None))


def _stage_column(name: str, where: Where) -> Column:
    """The value loss of one stage. In JSON it is a part of `stages`."""

    def of_slice(part: SliceSummary | None) -> float | None:
        return None if part is None else part.value_loss

    return Column(
        f"value_loss_{name}",
        lambda row: of_slice(row.stages.get(name)),
        f"value loss on positions of the stage '{name}'",
        title=name,
        where=where,
        text=lambda row, view: loss(of_slice(row.stages.get(name))),
        baseline=lambda baseline, stage: of_slice(baseline.metrics.stages.get(name)),
        baseline_text=loss,
        files=_CSV,
    )


def _of(figure: str) -> Callable[[Row], Any]:
    return lambda row: getattr(row, figure)


def _of_baseline(figure: str) -> Callable[[Baseline, str | None], Any]:
    """A function for a figure of a baseline, on the positions by which rows are ranked."""

    def value(baseline: Baseline, stage: str | None) -> float | None:
        part: SliceMetrics | SliceSummary | None = baseline.metrics.overall
        if stage is not None:
            part = baseline.metrics.stages.get(stage)
        found: float | None = getattr(part, figure, None)
        return None if found is None or found != found else found

    return value


def _rank_text(row: Row, view: View) -> str:
    if row.rank is None:
        return NONE
    return f"{row.rank}=" if row.rank in view.shared_ranks else str(row.rank)


def _value_loss_text(row: Row, view: View) -> str:
    half = plus_minus(row.value_loss_low, row.value_loss_high, 4 if view.wide else 3)
    return loss(row.value_loss) + half


def _elo_text(row: Row, view: View) -> str:
    if row.elo is None or row.elo_low is None or row.elo_high is None:
        return ""
    return f"{row.elo:+.0f} ±{(row.elo_high - row.elo_low) / 2:.0f}"


def _microseconds_text(row: Row, view: View) -> str:
    return NONE if row.microseconds is None else f"{row.microseconds:.1f}"


COLUMNS: tuple[Column, ...] = (
    Column("rank", _of("rank"), "tied rows share a rank, marked =", "#",
           "every table", _rank_text, right=False, highest_first=False, noted=True),
    Column("name", _of("name"), "value head and other searched settings", "variant",
           "every table", lambda row, view: row.name, lambda baseline, stage: baseline.name,
           right=False, highest_first=False),
    Column("head", _of("head"), "value head"),
    Column("value_loss", _of("value_loss"),
           "Brier score of win_prob_red on validation games, ± its 95% interval over games and "
           "seeds", "value loss", "every table", _value_loss_text, _of_baseline("value_loss"), loss,
           highest_first=False, noted=True),
    Column("value_loss_low", _of("value_loss_low"), "lower end of the 95% interval"),
    Column("value_loss_high", _of("value_loss_high"), "upper end of the 95% interval"),
    Column("difference", _of("difference"),
           "estimated true difference to the first at equal positions, paired by game; it allows "
           "for selection", "behind", "every table", lambda row, view: difference(row), noted=True),
    Column("difference_low", _of("difference_low"), "lower end of the 95% interval"),
    Column("difference_high", _of("difference_high"), "upper end of the 95% interval"),
    Column("p_adjusted", _of("p_adjusted"),
           "p-value of the difference to the first, adjusted (Holm)"),
    Column("group", _of("group"), "0 for the first and rows tied with it",
           files=_JSON),
    Column("tied_with_leader", _of("tied_with_leader"), "whether it is tied with the first"),
    Column("expected_value_loss", _of("expected_value_loss"),
           "expected value loss with fresh seeds; it allows for selection"),
    Column("probability_best", _of("probability_best"), "probability of being truly the best",
           "best", "wide tables", lambda row, view: percent(row.probability_best, 0),
           highest_first=True, noted=True),
    Column("elo", _of("elo"),
           "strength in games of value heads with one policy, 0 on average, ± its 95% interval",
           "Elo", "every table", _elo_text, optional=True, highest_first=True, noted=True),
    Column("elo_low", _of("elo_low"), "lower end of the 95% interval"),
    Column("elo_high", _of("elo_high"), "upper end of the 95% interval"),
    Column("milliseconds_per_move", _of("milliseconds_per_move"),
           "milliseconds for a move in those games", "ms", "wide tables",
           lambda row, view: "" if row.milliseconds_per_move is None
           else f"{row.milliseconds_per_move:.1f}", optional=True, highest_first=False),
    Column("strength_per_millisecond", _of("strength_per_millisecond"),
           "strength 10^(Elo/400), 1 for an average player, per millisecond of a move",
           "strength/ms", "wide tables", lambda row, view: ""
           if row.strength_per_millisecond is None else f"{row.strength_per_millisecond:.2f}",
           optional=True, highest_first=True),
    _stage_column("early", "every table"),
    _stage_column("middle", "every table"),
    _stage_column("late", "every table"),
    _stage_column("penultimate", "markdown"),
    _stage_column("final", "wide tables"),
    Column("accuracy", _of("accuracy"), "accuracy in percent: right winners at 50%", "acc",
           "every table", lambda row, view: percent(row.accuracy), _of_baseline("accuracy"),
           percent, highest_first=True),
    Column("log_loss", _of("log_loss"), "mean negative log likelihood, in nats", "log loss",
           "wide tables", lambda row, view: loss(row.log_loss), _of_baseline("log_loss"), loss,
           highest_first=False),
    Column("calibration_error", _of("calibration_error"), "calibration error over 15 bins", "calib",
           "wide tables", lambda row, view: loss(row.calibration_error),
           _of_baseline("calibration_error"), loss, highest_first=False, noted=True),
    Column("parameters", _of("parameters"), "parameters of the network", "params", "wide tables",
           lambda row, view: count(row.parameters), highest_first=False),
    Column("mflops", _of("mflops"), "millions of multiplications and additions for one position"),
    Column("microseconds", _of("microseconds"), "microseconds for one position", "µs",
           "wide tables", _microseconds_text, highest_first=False, noted=True),
    Column("positions_seen", _of("positions_seen"), "positions trained on", "seen", "wide tables",
           lambda row, view: count(row.positions_seen or None), highest_first=True),
    Column("seeds", _of("seeds"), "number of seeds", highest_first=True),
    Column("completed", _of("completed"), "trials completed, pruned, failed", "c/p/f",
           "wide tables", lambda row, view: f"{row.completed}/{row.pruned}/{row.failed}",
           noted=True),
    Column("pruned", _of("pruned"), "trials that were pruned"),
    Column("failed", _of("failed"), "trials that failed"),
    Column("status", _of("status"), "status of its trials, and verdict of the monitors",
           "status", "every table",
           lambda row, view: status(row) if view.wide else short_status(row), right=False),
    Column("reason", _of("reason"), "reason for the status"),
    Column("verdict", _of("verdict"), "verdict of the monitors of gradients and activations"),
    Column("trial_ids", lambda row: list(row.trial_ids), "its trials"),
    Column("failures", lambda row: [asdict(one) for one in row.failures], "why trials failed",
           files=_JSON),
    Column("stages", lambda row: {k: part.to_json() for k, part in row.stages.items()},
           "figures of each stage", files=_JSON),
    Column("to_end", lambda row: {k: part.to_json() for k, part in row.to_end.items()},
           "figures by plies to the end of the game", files=_JSON),
    Column("values", lambda row: dict(row.values), "searched settings", files=_JSON),
)  # fmt: skip
