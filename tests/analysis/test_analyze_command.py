"""`analyze` and `predict` from the command line: their output and their errors."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from hexsearch.analysis import value_analyzer
from hexsearch.cli.main import main

FIELDS = {"value_loss", "log_loss", "accuracy", "auc", "calibration_error", "value_loss_low"}


def test_analyze_prints_only_json_with_the_agreed_names(
    checkpoint: Path, games_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["analyze", str(checkpoint), "--games", str(games_file), "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["checkpoint"] == str(checkpoint)
    assert set(found["overall"]) >= FIELDS
    assert set(found["stages"]) >= {"early", "middle", "late", "penultimate", "final"}
    assert set(found["to_end"]) >= {"0-5", "6-15"}
    assert set(found["known_positions"]["bridges"]) >= {"accuracy", "count"}
    assert sum(found["histogram"]) == found["positions"] == found["overall"]["positions"]
    assert sum(part["positions"] for part in found["reliability"]) == found["positions"]
    assert sum(part["positions"] for part in found["to_move"].values()) == found["positions"]
    assert [baseline["name"] for baseline in found["baselines"]] == ["prior", "shortest-path table"]
    overall = found["overall"]
    assert overall["value_loss_low"] < overall["value_loss"] < overall["value_loss_high"]
    assert 0 <= found["consistency"]["half_turn"] < 0.5


def test_the_gain_of_averaging_is_a_difference_paired_by_game(
    checkpoint: Path, games_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["analyze", str(checkpoint), "--games", str(games_file), "--format", "json"]
    assert main(command) == 0
    plain = json.loads(capsys.readouterr().out)["overall"]
    assert main([*command, "--symmetric", "--against", str(checkpoint)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["against"]["looks"] == "the other looks once at each position"
    overall = found["against"]["overall"]
    assert overall["other"] == pytest.approx(plain["value_loss"], abs=1e-6)
    assert overall["value_loss"] == pytest.approx(found["overall"]["value_loss"], abs=1e-6)
    assert overall["low"] < overall["difference"] < overall["high"]
    width = plain["value_loss_high"] - plain["value_loss_low"]
    assert 0 < overall["high"] - overall["low"] < width
    assert set(found["against"]["stages"]) == set(found["stages"])


def test_another_network_can_be_given_the_same_looks(
    checkpoint: Path, games_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["analyze", str(checkpoint), "--games", str(games_file), "--format", "json"]
    looks = ["--symmetric", "--look-ahead", "--same-looks"]
    assert main([*command, *looks]) == 2
    assert "name it as against (--against)" in capsys.readouterr().err
    assert main([*command, *looks, "--against", str(checkpoint)]) == 0
    against = json.loads(capsys.readouterr().out)["against"]
    assert against["looks"] == "both with the same looks"
    found = against["overall"]
    assert found["other"] == pytest.approx(found["value_loss"], abs=1e-6)  # it is the same network


def test_test_games_are_evaluated_only_if_they_are_asked_for(
    checkpoint: Path, games_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["analyze", str(checkpoint), "--games", str(games_file), "--format", "json"]
    assert main([*command, "--next-moves", "3"]) == 2
    assert "--next-moves goes with --look-ahead" in capsys.readouterr().err
    assert main([*command, "--look-ahead"]) == 0
    usual, said = capsys.readouterr()
    assert main([*command, "--look-ahead", "--test-games"]) == 0
    confirming = capsys.readouterr()
    asked, found = json.loads(confirming.out), json.loads(usual)
    assert f"{asked['games']} test games are evaluated" in confirming.err
    assert asked["games"] == found["left_out"]["for_confirmation"] > 0
    assert asked["left_out"]["for_confirmation"] == 0
    assert asked["overall"]["value_loss"] != found["overall"]["value_loss"]
    assert "test games, kept for confirmation" in said


def test_a_long_analysis_says_how_far_it_is(
    checkpoint: Path,
    games_file: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(value_analyzer, "_SAY_EVERY_S", 0.0)
    monkeypatch.setattr(value_analyzer, "_BATCH", 100)
    assert main(["analyze", str(checkpoint), "--games", str(games_file)]) == 0
    assert "100 of " in (said := capsys.readouterr().err) and " positions answered" in said


@pytest.mark.parametrize("columns", [80, 160])
def test_the_tables_fit_the_terminal(
    columns: int,
    checkpoint: Path,
    games_file: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    command = ["analyze", str(checkpoint), "--games", str(games_file)]
    assert main([*command, "--against", str(checkpoint)]) == 0
    printed = capsys.readouterr().out
    assert max(map(len, printed.splitlines())) <= columns
    for word in (
        "early",
        "0-5 plies to go",
        "nobody to move",
        "edge template",
        "half turn",
        "paired",
    ):
        assert word in printed


def test_pictures_are_well_formed_and_show_the_figures(
    checkpoint: Path, games_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["analyze", str(checkpoint), "--games", str(games_file), "--format", "json"]
    assert main([*command, "--output", str(tmp_path / "pictures")]) == 0
    found = json.loads(capsys.readouterr().out)
    drawn = {path.stem: path.read_text() for path in (tmp_path / "pictures").glob("*.svg")}
    assert set(drawn) == {"reliability", "stages", "course", "boards"}
    for svg in drawn.values():
        ElementTree.fromstring(svg)
        assert "nan" not in svg
    assert f"{found['overall']['accuracy']:.1%}" in drawn["stages"]
    assert drawn["boards"].count("to move") == 6


def test_predict_gives_one_object_a_line(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    listed = tmp_path / "positions.txt"
    listed.write_text("# two of them\n#5,a1\n\n#5,a1b1a2b2a3b3a4b4a5\n")
    command = ["predict", str(checkpoint), "#5,", "--file", str(listed), "--format", "json"]
    assert main(command) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["to_move"] for line in lines] == ["blue", "red", None]
    assert lines[2]["win_prob_blue"] > 0.5 and lines[2]["best_moves"] == []
    for line in lines:
        assert line["win_prob_red"] + line["win_prob_blue"] == pytest.approx(1.0)
    assert len(lines[0]["best_moves"]) == 3
    assert "a1" not in [best["move"] for best in lines[1]["best_moves"]]


def test_predict_draws_the_board_with_the_best_move_on_it(
    checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["predict", str(checkpoint), "#5,c3a1", "--symmetric", "--top", "1"]) == 0
    printed = capsys.readouterr().out
    rows = [line for line in printed.splitlines() if "\\" in line]
    assert len(rows) == 5
    assert rows[0].split("\\")[1].startswith("R")
    assert "B" in rows[2] and "1. " in printed and "Blue wins" in printed


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["predict", "{checkpoint}"], "no position is given"),
        (["predict", "{checkpoint}", "#7,a1"], "is a 7x7 board"),
        (["predict", "missing.pt", "#5,a1"], "no such checkpoint"),
        (["predict", "{checkpoint}", "#5,", "--top", "0"], "--top 0"),
        (["analyze", "{checkpoint}", "--games", "missing.trmph"], "no such file"),
    ],
)
def test_wrong_input_is_named_with_status_2(
    arguments: list[str],
    complaint: str,
    checkpoint: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    filled = [argument.format(checkpoint=checkpoint) for argument in arguments]
    assert main(filled) == 2
    assert complaint in capsys.readouterr().err
