from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from hexsearch.cli.main import main
from hexsearch.data.collection.importing import ImportReport
from hexsearch.data.dataset import Dataset
from hexsearch.errors import DiagnosisError
from hexsearch.interface.doctor_check import check_components, games_examiner
from hexsearch.search.space import SearchSpace
from hexsearch.search.space_parsing import build_space
from tests.search.simulation import study_config

MYSTERY = "tests.doctor.plugins:RawMseShownBySigmoid"


def space(search: dict[str, Any]) -> SearchSpace:
    return build_space(study_config(search=search))


def examine(dataset: Dataset, search: dict[str, Any]) -> tuple[list[str], list[str]]:
    said: list[str] = []
    look = games_examiner("space.yaml", space(search), said.append)
    return look(dataset, ImportReport(files=["games"], read=len(dataset.archive))), said


def test_a_read_out_that_disagrees_with_itself_is_refused_by_name() -> None:
    check_components("space.yaml", space({"readout": {"choice": ["bce", "tanh_mse"]}}))
    with pytest.raises(DiagnosisError) as caught:
        check_components("space.yaml", space({"readout": {"choice": ["bce", MYSTERY]}}))
    first, last = caught.value.problems
    assert "0.50 and 0.73" in first and "apply the sigmoid inside the loss" in first
    assert "--no-doctor" in last
    assert caught.value.exit_status == 1


def test_every_curriculum_that_tells_the_winner_is_a_warning(dataset: Dataset) -> None:
    warnings, said = examine(dataset, {"curriculum": {"choice": ["all", "penultimate_and_final"]}})
    (warning,) = [line for line in warnings if line.startswith("doctor, label leaks")]
    assert "penultimate_and_final" in warning and "without looking at the board" in warning
    assert "quick checks" in said[0] and "no error" in said[0]


def test_a_study_does_not_start_on_winners_that_are_the_wrong_way_round(dataset: Dataset) -> None:
    winners = dataset.archive.winners.copy()
    winners[np.arange(0, len(winners), 2)] *= -1
    inverted = replace(dataset, archive=replace(dataset.archive, winners=winners))
    with pytest.raises(DiagnosisError, match="doctor, labels: in 150 of 300 games"):
        examine(inverted, {"curriculum": {"choice": ["all"]}})


def test_a_refused_launch_leaves_no_folder(
    tmp_path: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "space.yaml"
    file.write_text(f"question: Why?\ntrial: {{trunk: tiny, readout: '{MYSTERY}'}}\n")
    assert main(["launch", str(file), "--results", str(tmp_path / "results")]) == 1
    assert "error: doctor, read-out:" in capsys.readouterr().err
    assert not (tmp_path / "results").exists()
