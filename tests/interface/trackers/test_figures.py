from __future__ import annotations

import builtins
from pathlib import Path
from typing import Any

import pytest

import hexsearch as hs
from hexsearch.errors import ConfigError
from hexsearch.interface.callbacks import named_callbacks
from hexsearch.interface.trackers.figures import figures, settings
from hexsearch.interface.trial import StudyTrial
from hexsearch.ledger.folder import StudyFolder
from tests.interface.trackers.told import ToldStudy
from tests.search.simulation import report

CALLBACKS = {
    "TensorBoardCallback": ("torch.utils.tensorboard", "tensorboard"),
    "MlflowCallback": ("mlflow", "mlflow"),
    "WandbCallback": ("wandb", "wandb"),
    "TrackioCallback": ("trackio", "trackio"),
}


def test_a_report_is_told_with_its_stages_and_its_training_losses() -> None:
    found = figures(report(64, 0.21))
    assert found["validation/value_loss"] == found["stages/final"] == 0.21
    assert found["train/policy_loss"] == 4.5 and found["positions_per_s"] == 1000.0
    assert all(isinstance(figure, float) for figure in found.values())


def test_settings_are_plain_values(tmp_path: Path) -> None:
    told = ToldStudy(tmp_path / "study", hs.Callback())
    trial = told.begin()
    trial.values["value_head"] = {"pooling": "mean", "hidden": 32}
    plain = settings(StudyTrial(StudyFolder(tmp_path), trial))
    assert plain["value_head"] == "pooling=mean, hidden=32"
    assert plain["seed"] == trial.seed and isinstance(plain["optimiser.learning_rate"], float)
    told.end()


@pytest.mark.parametrize("name", CALLBACKS)
def test_a_missing_package_is_named_with_its_extra(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    package, extra = CALLBACKS[name]
    known = builtins.__import__

    def refuse(module: str, *arguments: Any, **named: Any) -> Any:
        if module == package or module.startswith(f"{package}."):
            raise ImportError(f"No module named {module!r}")
        return known(module, *arguments, **named)

    callback = getattr(hs, name)
    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(ConfigError, match=rf"pip install 'hexsearch\[{extra}\]'"):
        callback()


def test_a_search_space_names_a_tracker() -> None:
    pytest.importorskip("tensorboard")
    (callback,) = named_callbacks(["hexsearch:TensorBoardCallback"])
    assert isinstance(callback, hs.TensorBoardCallback)
