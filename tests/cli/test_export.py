from __future__ import annotations

from pathlib import Path

import pytest
import torch

from hexsearch.cli.main import main
from hexsearch.data.archive import build_archive, write_archive
from hexsearch.ledger.events import StudyOpened
from hexsearch.ledger.folder import StudyFolder
from hexsearch.ledger.ledger import Ledger
from hexsearch.study.assignments import Assigner
from hexsearch.training.checkpoint import load_checkpoint
from tests.backend.in_process import run_in_process
from tests.data.games import random_games
from tests.search.simulation import engine_over, study_config

DATA = {"board_size": 5, "validation_games": 5}


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> StudyFolder:
    """Two trials of a real study, run by a worker in this process."""
    folder = StudyFolder(tmp_path_factory.mktemp("results") / "tiny")
    config = study_config(
        data=DATA,
        trial={"trunk": "tiny", "batch_size": 64, "readout": "sigmoid_mse"},
        scheduler={"name": "asha", "grace_period": 128, "max_t": 384, "reduction_factor": 2},
        run={"trials": 2},
    )
    archive = build_archive(random_games(80, size=5))
    write_archive(folder.archive, archive)
    folder.write_description(config, ["somewhere"], archive.content_hash)
    ledger = Ledger(folder.ledger)
    ledger.append(StudyOpened(trials=2))
    engine = engine_over(ledger, config)
    assign = Assigner(config, folder, archive.content_hash, engine.schedules)
    run_in_process(engine, assign)
    ledger.close()
    return folder


def test_train_makes_the_winner_again_to_the_last_bit(study: StudyFolder, tmp_path: Path) -> None:
    exported, again = tmp_path / "winner", tmp_path / "again"
    assert main(["export", str(study.path), "--output", str(exported)]) == 0
    recipe = str(exported / "train.yaml")
    train = ["train", recipe, "--games", str(study.archive), "--output", str(again)]
    assert main(train) == 0
    first = load_checkpoint(exported / "model.pt")["state"]
    second = load_checkpoint(again / "model.pt")["state"]
    assert first["positions_seen"] == second["positions_seen"] == first["max_positions"]
    assert first["network"].keys() == second["network"].keys()
    for name, weights in first["network"].items():
        assert torch.equal(weights, second["network"][name]), name


def test_without_an_output_the_winner_lies_in_the_study(study: StudyFolder) -> None:
    assert main(["export", str(study.path)]) == 0
    assert (study.path / "winner" / "model.pt").exists()


def test_a_trial_that_there_is_not_is_named(
    study: StudyFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", str(study.path), "--trial", "t0009", "--output", str(tmp_path)]) == 2
    assert "has no trial 't0009'" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_checkpoint_that_was_not_kept_is_said_to_be_gone(
    study: StudyFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (study.trial("t0001") / "checkpoint.pt").unlink(missing_ok=True)
    assert main(["export", str(study.path), "--trial", "t0001", "--output", str(tmp_path)]) == 2
    assert "trials with a checkpoint: t0000" in capsys.readouterr().err


def test_a_study_without_results_has_no_winner(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = StudyFolder(tmp_path / "new")
    ledger = Ledger(folder.ledger)
    ledger.append(StudyOpened(trials=2))
    ledger.close()
    assert main(["export", str(folder.path)]) == 2
    assert "there is no winner" in capsys.readouterr().err
