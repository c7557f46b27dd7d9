"""Leaderboards and learning curves as pandas DataFrames."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from hexsearch.leaderboard.cells import STAGE_NAMES
from hexsearch.leaderboard.columns import file_columns
from hexsearch.leaderboard.rows import Row
from hexsearch.ledger.report import ReportSummary, SliceSummary

if TYPE_CHECKING:
    import pandas as pd


def leaderboard_frame(rows: Iterable[Row]) -> pd.DataFrame:
    """One line for each row: the columns of `leaderboard --format csv` and searched settings."""
    import pandas as pd

    columns = file_columns("csv")
    return pd.DataFrame(
        [
            {column.name: _plain(column.value(row)) for column in columns}
            | {f"values.{name}": value for name, value in row.values.items()}
            for row in rows
        ]
    )


CURVE_COLUMNS = [
    *("trial", "variant", "positions_seen", "seconds", "value_loss", "accuracy"),
    *("train_value_loss", "verdict", *STAGE_NAMES),
]


def curve_point(trial: str, variant: str, report: ReportSummary) -> dict[str, Any]:
    """One line of `Study.curves()`."""
    return {
        "trial": trial,
        "variant": variant,
        "positions_seen": report.positions_seen,
        "seconds": report.timings.train_s,
        "value_loss": report.value_loss,
        "accuracy": report.metrics.overall.accuracy,
        "train_value_loss": report.train_value_loss,
        "verdict": report.verdict,
        **_stage_losses(report.metrics.stages),
    }


def _stage_losses(stages: Mapping[str, SliceSummary]) -> dict[str, float | None]:
    return {name: stages[name].value_loss if name in stages else None for name in STAGE_NAMES}


def _plain(value: Any) -> Any:
    """A cell; names in a list are joined, as in the CSV."""
    return " ".join(map(str, value)) if isinstance(value, list | tuple) else value
