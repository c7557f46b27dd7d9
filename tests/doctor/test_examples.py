"""The examples in `examples/` behave as their docstrings say."""

from __future__ import annotations

from pathlib import Path

import pytest

from hexsearch.cli.main import main
from tests.doctor.conftest import SIZE, doctor, findings

EXAMPLES = Path(__file__).parents[2] / "examples"
Printed = pytest.CaptureFixture[str]


@pytest.mark.parametrize("load", ["load", pytest.param("load_corrected", marks=pytest.mark.slow)])
def test_the_fault_of_the_foreign_resnet_is_named_and_not_after_its_correction(
    load: str, games_file: Path, capsys: Printed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(EXAMPLES)
    named = ["--model", f"foreign_resnet:{load}", "--encoder", "foreign_resnet:encode"]
    status, out = doctor(capsys, *named, "--size", SIZE, "--games", games_file)
    assert status == 1  # these weights have learnt nothing, with or without the fault
    if load == "load":
        named_by = findings(out)["read-out"]
        assert "0.50 and 0.73" in named_by.cause
        assert sorted(line.split(": ", 1)[1] for line in named_by.where) == [
            "return (raw - target).square()",
            "return raw.sigmoid()",
        ]
    else:
        assert "read-out" not in findings(out)


def test_the_mystery_is_named_before_any_training(
    games_file: Path, capsys: Printed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(EXAMPLES)
    space = EXAMPLES.parent / "search_spaces" / "smoke.yaml"
    setting = "readout=mystery:RawMseShownBySigmoid"
    sizes = ["--set", f"data.board_size={SIZE}", "--set", setting]
    status, out = doctor(capsys, space, "--games", games_file, "--quick", *sizes)
    assert status == 1
    assert "0.50 and 0.73" in findings(out)["read-out"].cause
    assert "apply the sigmoid inside the loss" in findings(out)["read-out"].remedy
    where = findings(out)["read-out"].where
    assert [line.split(":")[0] for line in where] == ["mystery.py", "mystery.py"]
    assert sorted(line.split(": ", 1)[1] for line in where) == [
        "return (raw - target).square()",
        "return raw.sigmoid()",
    ]


def test_a_value_of_the_side_to_move_is_no_fault_of_the_readout(
    games_file: Path, capsys: Printed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(EXAMPLES)
    named = ["--model", "foreign_alphazero:load", "--encoder", "foreign_alphazero:encode"]
    _, out = doctor(capsys, *named, "--size", SIZE, "--games", games_file)
    assert "read-out" in out["checks"]
    assert "read-out" not in findings(out)


def test_settings_are_refused_for_a_network_of_ones_own(
    games_file: Path, capsys: Printed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(EXAMPLES)
    named = ["--model", "foreign_resnet:load", "--encoder", "foreign_resnet:encode"]
    command = ["doctor", *named, "--games", str(games_file), "--set", "data.board_size=5"]
    assert main(command) == 2
    assert "--set: fixes a setting of a SPACE.yaml, but none is given" in capsys.readouterr().err
