from __future__ import annotations

import csv
import io
from dataclasses import replace

import pytest

from hexsearch.leaderboard.as_json import leaderboard_json, row_json
from hexsearch.leaderboard.columns import COLUMNS, sortable, sorted_rows, table_columns
from hexsearch.leaderboard.comparing import Spread
from hexsearch.leaderboard.leaderboard import Leaderboard
from hexsearch.leaderboard.rows import Row
from hexsearch.ledger.report import Baseline, SliceSummary
from hexsearch.report.text_tables import comma_separated, markdown
from tests.search.simulation import report

ROW = Row(
    name="512->1 lr=0.004",
    head="512->1",
    status="pruned",
    reason="rank 3 of 7 at 10,000 positions",
    trial_ids=("t0000", "t0003"),
    seeds=2,
    completed=0,
    pruned=2,
    failed=0,
    positions_seen=10_000,
    rank=1,
    value_loss=0.2,
    value_loss_low=0.19,
    value_loss_high=0.21,
    accuracy=0.7,
    stages={"early": SliceSummary(0.24, 0.55, 10)},
    parameters=461_674,
)
PRIOR = Baseline("prior", report(1, 0.25).metrics)
CONTRACT = (
    "rank name status reason trial_ids seeds positions_seen value_loss value_loss_low "
    "value_loss_high accuracy stages to_end parameters verdict tied_with_leader"
).split()


def board(*rows: Row, stage: str | None = None) -> Leaderboard:
    return Leaderboard("study", "finished", "variant", stage, rows, (PRIOR,), Spread(0.001, True))


def test_a_row_has_every_name_of_the_contract_and_plain_values() -> None:
    row = row_json(ROW)
    assert set(CONTRACT) <= set(row)
    assert row["stages"] == {"early": {"value_loss": 0.24, "accuracy": 0.55, "positions": 10}}
    assert row["trial_ids"] == ["t0000", "t0003"] and row["tied_with_leader"] is None
    assert {"study", "state", "by", "rows", "baselines"} <= set(leaderboard_json(board(ROW)))


def test_names_of_columns_are_used_once_and_explained() -> None:
    names = [column.name for column in COLUMNS]
    assert len(set(names)) == len(names)
    assert all(column.explanation for column in COLUMNS)


def test_every_column_with_a_title_is_in_markdown_and_every_file_column_in_csv() -> None:
    head, _, row, baseline, *_ = markdown(board(ROW)).splitlines()
    titles = [
        column.title
        for column in COLUMNS
        if column.where not in (None, "narrow tables") and not column.optional
    ]
    assert [cell.strip() for cell in head.strip("|").split("|")] == titles
    assert {"early", "middle", "late", "penultimate", "final"} <= set(titles)
    assert ".2000±.0100" in row and "462k" in row and ".2500" in baseline
    (first, _) = csv.DictReader(io.StringIO(comma_separated(board(ROW))))
    assert first["trial_ids"] == "t0000 t0003" and first["value_loss_early"] == "0.24"
    assert set(first) == {column.name for column in COLUMNS if "csv" in column.files}


def test_a_narrow_table_has_fewer_columns_than_a_wide_one() -> None:
    narrow, wide = table_columns(board(ROW), wide=False), table_columns(board(ROW), wide=True)
    assert set(narrow) < set(wide) < set(table_columns(board(ROW), wide=True, markdown=True))


def test_ranked_by_a_stage_a_baseline_shows_its_loss_there() -> None:
    assert "| late loss |" in markdown(board(ROW, stage="late"))
    text = comma_separated(board(replace(ROW, value_loss=None), stage="early"))
    *_, baseline = csv.DictReader(io.StringIO(text))
    assert baseline["value_loss"] == "0.25" and baseline["status"] == "baseline"


@pytest.mark.parametrize("name", sortable())
def test_rows_sort_by_a_column_with_unknown_values_last(name: str) -> None:
    unknown = replace(ROW, rank=None, value_loss=None, accuracy=None, parameters=None)
    values = [row_json(row)[name] for row in sorted_rows((unknown, ROW), name)]
    known = [value for value in values if value is not None]
    assert values[: len(known)] == known
