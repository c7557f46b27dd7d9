"""The learnability check reports the step at which learning fails."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hexsearch.analysis.learnability import STEPS, check_learnability, verdict
from hexsearch.cli.main import main
from hexsearch.data.dataset import Dataset
from tests.doctor.conftest import SIZE, tiny

FAST = {"optimiser": {"learning_rate": 0.01}}


@pytest.mark.slow
def test_a_sound_configuration_climbs_to_the_top(dataset: Dataset) -> None:
    steps = check_learnability(tiny(**FAST), dataset, 64 * 200, seed=0)
    assert [step.name for step in steps] == [name for name, _, _ in STEPS]
    assert all(step.passed for step in steps), steps
    assert verdict(steps) == "every step is learnt"
    assert steps[0].table == 1.0  # the table knows every finished board
    assert steps[0].judged_on == len(dataset.validation_games)
    assert steps[-1].judged_on == len(dataset.validation)


def test_a_network_that_cannot_learn_fails_at_the_first_step(dataset: Dataset) -> None:
    idle = check_learnability(tiny(optimiser={"learning_rate": 1e-9}), dataset, 640, seed=0)
    assert not idle[0].passed
    assert "learning fails at 'final'" in verdict(idle)


def test_a_diverging_step_is_reported_and_not_raised(dataset: Dataset) -> None:
    wild = tiny(
        optimiser={"name": "sgd", "learning_rate": 100.0, "clip": 1e9, "schedule": "constant"},
        trunk={"preset": "tiny", "norm": "none"},
    )
    steps = check_learnability(wild, dataset, 640, seed=0)
    assert not steps[0].passed and "not finite" in steps[0].problem
    assert steps[0].to_json()["accuracy"] is None


def test_train_learnability_prints_json_and_fails_where_a_step_fails(
    games_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    space = tmp_path / "space.yaml"
    space.write_text(
        "question: Does it learn?\n"
        f"data: {{board_size: {SIZE}}}\n"
        "trial: {trunk: tiny, batch_size: 64, optimiser: {learning_rate: 1.0e-9}}\n"
    )
    command = ["train", str(space), "--games", str(games_file), "--learnability"]
    command += ["--learnability-positions", "640"]
    assert main([*command, "--format", "json"]) == 1
    out = json.loads(capsys.readouterr().out)
    assert len(out["steps"]) == 4 and not out["steps"][0]["passed"]
    assert "learning fails at 'final'" in out["verdict"]
    assert main(command) == 1
    assert "halfway from the majority" in capsys.readouterr().out
