"""A leaderboard as a table for terminals, as Markdown, CSV and JSON."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from hexsearch.cli.main import main
from hexsearch.leaderboard.as_json import leaderboard_json
from hexsearch.leaderboard.leaderboard import read_leaderboard
from hexsearch.ledger.events import Failed
from hexsearch.report.table import render
from hexsearch.report.terminal import Console
from hexsearch.report.text_tables import comma_separated, markdown
from tests.leaderboard.studies import Study


@pytest.fixture
def study(tmp_path: Path) -> Iterator[Study]:
    by_hand = Study(tmp_path)
    yield by_hand
    by_hand.ledger.close()


def test_a_failure_says_why_and_ends_with_its_log_also_when_another_seed_did_not(
    study: Study,
) -> None:
    study.trial({90: 0.2}, "complete", variant="a")
    failed = study.trial({}, "fail", variant="a")
    board = study.board()
    expected = {"trial": failed, "reason": "nan: loss is not finite", "log": "a\nb"}
    assert leaderboard_json(board)["rows"][0]["failures"] == [expected]
    console = Console(width=160)
    with console.capture() as captured:
        console.print(render(board, 160))
    assert f"{failed} failed: nan: loss is not finite\n    a\n    b\n" in captured.get()
    assert f"* {failed} failed: nan: loss is not finite\n" in markdown(board)


def test_many_failures_are_counted_below_the_table(study: Study) -> None:
    for number in range(7):
        study.trial({}, "fail", lr=float(number))
    assert "* 2 more failures; see --format json\n" in markdown(study.board())


def test_without_a_result_a_sentence_stands_in_place_of_rows(study: Study) -> None:
    def texts() -> tuple[str, str]:
        board = read_leaderboard(study.folder)
        console = Console(width=120, record=True, file=io.StringIO())
        console.print(render(board, 120))
        return console.export_text(), markdown(board)

    for text in texts():
        assert "there is no result yet: no trial has begun" in text and "prior" in text
    study.trial({})
    for text in texts():
        assert "there is no result yet: of 1 trial, none that can be ranked has reported" in text
        assert "512->1" not in text and "prior" in text
    study.ledger.append(Failed(trial="t0000", reason="the loss is nan", log=""))
    for text in texts():
        assert "there is no result: the only trial failed" in text
        assert "t0000 failed: the loss is nan" in text and "512->1" not in text


@pytest.mark.parametrize("width", [80, 160])
def test_a_table_fits_its_terminal_and_shows_every_row(study: Study, width: int) -> None:
    study.trial({90: 0.2}, "complete", readout="bce", learning_rate=0.00123456)
    study.trial({10: 0.3}, "prune", readout="tanh_mse", learning_rate=0.1)
    console = Console(width=width, record=True, file=open("/dev/null", "w"))
    console.print(render(study.board(), width))
    console.file.close()
    text = console.export_text()
    lines = text.splitlines()
    assert max(len(line) for line in lines) <= width
    for expected in ("512->1 bce", "lr=0.00123", "tanh_mse", ".2000", "prior", ".2470", "a leak"):
        assert expected in text


def test_markdown_and_csv_hold_a_line_for_each_row_and_baseline(study: Study) -> None:
    study.trial({90: 0.2}, "complete")
    board = study.board()
    assert sum(line.startswith("|") for line in markdown(board).splitlines()) == 4
    lines = comma_separated(board).splitlines()
    assert len(lines) == 3
    assert lines[1].startswith("1,512->1,512->1,0.2,")
    assert lines[2].startswith(",prior,,0.247,") and ",baseline," in lines[2]
    assert len({line.count(",") for line in lines}) == 1


def test_printed_json_has_a_row_a_line_and_the_table_names_what_it_leaves_out(
    study: Study, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(103):
        study.trial({90: 0.2 + number / 1000}, "complete", lr=float(number))
    command = ["leaderboard", str(study.folder.path)]
    assert main([*command, "--format", "json"]) == 0
    text = capsys.readouterr().out
    board = json.loads(text)
    assert board == json.loads(json.dumps(leaderboard_json(read_leaderboard(study.folder))))
    assert sum('"trial_ids"' in line for line in text.splitlines()) == len(board["rows"]) == 103
    assert main(command) == 0
    assert "3 more rows" in capsys.readouterr().out
    assert main([*command, "--top", "103"]) == 0
    assert "more rows" not in capsys.readouterr().out


def test_top_hides_rows_and_says_so(study: Study) -> None:
    for number in range(3):
        study.trial({90: 0.2 + number / 100}, "complete", lr=float(number))
    text = markdown(study.board(), top=1)
    assert "2 more rows" in text
    assert "lr=2" not in text


def test_a_narrow_table_rounds_an_interval_instead_of_cutting_it(study: Study) -> None:
    study.trial({100: 0.2}, end="COMPLETE")
    board = study.board()
    row = replace(board.rows[0], value_loss=0.2, value_loss_low=0.1862, value_loss_high=0.2138)
    console = Console(width=80, record=True)
    console.print(render(replace(board, rows=(row,)), 80))
    assert ".2000±.014" in console.export_text()  # of .0138
