from __future__ import annotations

from pathlib import Path

import pytest

import hexsearch as hs
from tests.interface.trackers.told import ToldStudy, tell_two_trials

pytest.importorskip("mlflow")
pytestmark = pytest.mark.filterwarnings("ignore")


def test_mlflow_holds_a_run_of_every_trial(tmp_path: Path) -> None:
    from mlflow.tracking import MlflowClient

    store = f"sqlite:///{tmp_path / 'mlflow.db'}"
    told = tell_two_trials(tmp_path / "mine", hs.MlflowCallback(store))
    client = MlflowClient(store)
    experiment = client.get_experiment_by_name("mine")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    first, second = sorted(runs, key=lambda run: run.info.run_name)
    assert (first.info.run_name, first.info.status) == ("t0000", "FINISHED")
    assert (second.info.run_name, second.info.status) == ("t0001", "KILLED")
    history = client.get_metric_history(first.info.run_id, "validation/value_loss")
    assert [metric.step for metric in history] == [64, 192, 576, 1728]
    rate = told.engine.history.trials["t0000"].values["optimiser.learning_rate"]
    assert first.data.params["optimiser.learning_rate"] == str(rate)
    assert first.data.tags["hexsearch.status"] == "completed"


def test_a_resumed_study_goes_on_with_its_runs(tmp_path: Path) -> None:
    from mlflow.tracking import MlflowClient

    store = f"sqlite:///{tmp_path / 'mlflow.db'}"
    tell_two_trials(tmp_path / "mine", hs.MlflowCallback(store))
    again = ToldStudy(tmp_path / "mine", hs.MlflowCallback(store))
    trial = again.begin()
    assert trial.trial == "t0001"
    again.report(trial, 64)
    again.end()
    client = MlflowClient(store)
    experiment = client.get_experiment_by_name("mine")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    assert sorted(run.info.run_name for run in runs) == ["t0000", "t0001"]
    (second,) = (run for run in runs if run.info.run_name == "t0001")
    history = client.get_metric_history(second.info.run_id, "stages/final")
    assert [metric.step for metric in history] == [32, 64]
