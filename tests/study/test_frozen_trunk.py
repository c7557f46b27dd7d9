from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hexsearch.backend.trainable import TrialWorker
from hexsearch.config.data import DataConfig
from hexsearch.config.section import build
from hexsearch.config.study import StudyConfig
from hexsearch.data.archive import build_archive
from hexsearch.data.dataset import Dataset
from hexsearch.errors import CheckpointError, ConfigError
from hexsearch.ledger.folder import CHECKPOINT, StudyFolder
from hexsearch.ledger.new_study import new_ledger
from hexsearch.search.space_parsing import build_space
from hexsearch.study.admission import LaunchRequest
from hexsearch.study.comparison import compared_heads
from hexsearch.study.frozen_trunk import (
    check_games,
    require_trunk,
    store_trunk,
    take_frozen_trunk,
)
from hexsearch.study.launch import launch
from hexsearch.study.listener import Listener
from hexsearch.training.checkpoint import save_checkpoint
from hexsearch.training.frozen_trunk import read_frozen_trunk
from tests.backend.test_trainable import archive, assignment, comparison, reports, scratch
from tests.data.games import random_games
from tests.study.test_comparison import HEADS
from tests.training.trials import make

__all__ = ["archive", "scratch"]  # fixtures


@pytest.fixture(scope="module")
def checkpoint(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("trunk") / "model.pt"
    save_checkpoint(path, {"state": make(dataset, seed=7).state()})
    return path


def study(checkpoint: Path, **changes: Any) -> StudyConfig:
    raw: dict[str, Any] = {
        "question": "?",
        "data": {"board_size": 5},
        "trial": {"trunk": "small", "batch_size": 64},
        "search": {"value_head": {"choice": HEADS}},
        "compare": {"mode": "probe", "trunk": str(checkpoint)},
    }
    return build(StudyConfig, {**raw, **changes}, "")


def test_the_trunks_own_settings_replace_the_spaces_once_and_are_named(checkpoint: Path) -> None:
    config, said = take_frozen_trunk(study(checkpoint))
    assert len(said) == 1
    assert "trunk is that of the frozen trunk: preset tiny instead of small" in said[0]
    assert config.trial.trunk.preset == "tiny" and config.trial.batch_size == 64
    assert config.compare.trunk_hash == read_frozen_trunk(checkpoint).content_hash
    assert take_frozen_trunk(config) == (config, [])
    heads = compared_heads(build_space(config))
    assert {trial.trunk.preset for _, trial in heads} == {"tiny"}


def test_auxiliary_heads_have_nothing_to_teach_a_frozen_trunk(checkpoint: Path) -> None:
    taught = {"trunk": "tiny", "auxiliary": {"moves_left": 0.1}}
    config, said = take_frozen_trunk(study(checkpoint, trial=taught))
    assert not config.trial.auxiliary.weights
    assert any("auxiliary heads are left out" in line for line in said)


def test_a_study_refuses_a_frozen_trunk_for_its_first_stage(
    checkpoint: Path, tmp_path: Path
) -> None:
    config = study(checkpoint, phases=["compare", "search"])
    with pytest.raises(ConfigError, match="a frozen trunk is only for the command `compare`"):
        launch(
            LaunchRequest(
                config=config,
                games=[],
                folder=StudyFolder(tmp_path / "study"),
                listener=Listener(),
            )
        )
    assert not list(tmp_path.iterdir())


def test_without_a_trunk_nothing_changes(checkpoint: Path) -> None:
    config = study(checkpoint, compare={"mode": "probe"})
    assert take_frozen_trunk(config) == (config, [])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data": {"board_size": 7}}, "trained on 5x5 boards, but data.board_size is 7"),
        (
            {
                "trial": {
                    "trunk": {"preset": "small", "features": 64},
                    "value_head": {"family": "linear", "inputs": 64},
                }
            },
            "takes 64 features, but trunk tiny has 512",
        ),
    ],
    ids=str,
)
def test_a_space_that_does_not_fit_the_trunk_is_refused(
    checkpoint: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        take_frozen_trunk(study(checkpoint, **changes))


@pytest.mark.parametrize(
    ("compare", "message"),
    [
        ({"mode": "joint", "trunk": "model.pt"}, "compare: mode joint trains the trunk"),
        ({"trunk_hash": "00"}, "compare: trunk_hash is given without a trunk"),
    ],
)
def test_a_contradiction_in_the_file_is_named(
    checkpoint: Path, compare: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        study(checkpoint, compare=compare)


def test_held_out_games_that_the_trunk_was_trained_on_are_refused(
    dataset: Dataset, checkpoint: Path
) -> None:
    trunk = read_frozen_trunk(checkpoint)
    assert check_games(trunk, dataset) == []
    salted = DataConfig.model_validate({"board_size": 5, "split": {"salt": "another"}})
    with pytest.raises(ConfigError, match=r"was trained on [1-9]\d* of 56 validation"):
        check_games(trunk, Dataset(dataset.archive, salted))


def test_other_games_are_a_warning_and_a_louder_one_under_another_split(
    dataset: Dataset, checkpoint: Path
) -> None:
    trunk = read_frozen_trunk(checkpoint)
    others = build_archive(random_games(200, size=5))
    [mild] = check_games(trunk, Dataset(others, dataset.config))
    assert "none that is held out here" in mild
    salted = DataConfig.model_validate({"board_size": 5, "split": {"salt": "another"}})
    [loud] = check_games(trunk, Dataset(others, salted))
    assert "may be among its training games" in loud
    assert "--set data.split.salt=hexsearch" in loud


def test_the_folder_keeps_the_trunk_and_notices_when_it_is_lost(
    dataset: Dataset, checkpoint: Path, tmp_path: Path
) -> None:
    original = tmp_path / "model.pt"
    original.write_bytes(checkpoint.read_bytes())
    config, _ = take_frozen_trunk(study(original))
    folder = StudyFolder(tmp_path / "cup")
    store_trunk(config, folder)
    original.unlink()
    assert require_trunk(config, folder) == folder.trunk
    assert folder.trunk.read_bytes() == checkpoint.read_bytes()
    save_checkpoint(folder.trunk, {"state": make(dataset, seed=8).state()})
    with pytest.raises(CheckpointError, match=r"trunk.pt: is not the checkpoint with which"):
        require_trunk(config, folder)
    folder.trunk.unlink()
    with pytest.raises(CheckpointError, match=r"trunk.pt: no such checkpoint"):
        require_trunk(config, folder)


def test_a_trunk_that_changes_on_its_way_leaves_no_folder(
    dataset: Dataset, checkpoint: Path, tmp_path: Path
) -> None:
    original = tmp_path / "model.pt"
    original.write_bytes(checkpoint.read_bytes())
    config, _ = take_frozen_trunk(study(original))
    save_checkpoint(original, {"state": make(dataset, seed=8).state()})
    folder = StudyFolder(tmp_path / "results" / "cup")
    with (
        pytest.raises(CheckpointError, match="is not the checkpoint"),
        new_ledger(folder),
    ):
        store_trunk(config, folder)
    assert not folder.path.exists()


def test_a_comparison_on_a_frozen_trunk_goes_on_from_its_checkpoint_to_the_same_reports(
    archive: Path, scratch: Path, tmp_path: Path
) -> None:
    reports(TrialWorker(assignment(archive, None, str(tmp_path / "t0000"))), 1)
    checkpoint = tmp_path / "t0000" / CHECKPOINT
    trunk = read_frozen_trunk(checkpoint)
    frozen = {"mode": "probe", "trunk": str(checkpoint), "trunk_hash": trunk.content_hash}
    expected = reports(TrialWorker(comparison(archive, tmp_path / "straight", **frozen)), 2)
    reports(TrialWorker(comparison(archive, tmp_path / "cut", **frozen)), 1)
    again = TrialWorker(comparison(archive, tmp_path / "cut", **frozen))
    assert reports(again, 2) == expected
    frozen["trunk_hash"] = "0" * 32
    with pytest.raises(CheckpointError, match="is not the checkpoint with which"):
        TrialWorker(comparison(archive, tmp_path / "other", **frozen)).step()
