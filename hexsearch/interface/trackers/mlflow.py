"""A study as an experiment of MLflow: the extra `mlflow`."""

from __future__ import annotations

from typing import Any

from hexsearch.interface.callbacks import Callback
from hexsearch.interface.study import Study
from hexsearch.interface.trackers.figures import figures, missing, settings
from hexsearch.interface.trial import StudyTrial
from hexsearch.ledger.report import ReportSummary

_TRIAL, _STUDY = "hexsearch.trial", "hexsearch.study"  # tags of a run
_ENDED = {"failed": "FAILED"}


class MlflowCallback(Callback):
    """Makes a run of each trial; a study that is resumed goes on with its runs.

    Args:
        tracking_uri: None takes MLflow's own setting.
        experiment: its name; None takes the study's.

    Example:
        >>> hs.launch("quick", callbacks=[hs.MlflowCallback()])       # doctest: +SKIP

    Raises:
        ConfigError: the package mlflow is not installed.
    """

    def __init__(self, tracking_uri: str | None = None, experiment: str | None = None) -> None:
        try:
            from mlflow.entities import Metric, Param
            from mlflow.tracking import MlflowClient
        except ImportError as error:
            raise missing("mlflow", "mlflow", error) from error
        self._client = MlflowClient(tracking_uri)
        self._metric, self._param = Metric, Param
        self._name, self._experiment = experiment, ""
        self._runs: dict[str, str] = {}  # trial -> id of its run

    def study_started(self, study: Study) -> None:
        """Find or make the experiment."""
        name = self._name or study.name
        known = self._client.get_experiment_by_name(name)
        self._experiment = self._client.create_experiment(name) if known is None else (
            known.experiment_id
        )  # fmt: skip

    def trial_reported(self, study: Study, trial: StudyTrial, report: ReportSummary) -> None:
        """Add the figures of a report, at its positions."""
        run, at = self._run(study, trial), self._milliseconds(report)
        metrics = [
            self._metric(name, figure, at, report.positions_seen)
            for name, figure in figures(report).items()
        ]
        self._client.log_batch(run, metrics=metrics)

    def trial_ended(self, study: Study, trial: StudyTrial) -> None:
        """Say how the trial ended."""
        run = self._run(study, trial)
        self._client.set_tag(run, "hexsearch.status", trial.status)
        self._client.set_terminated(run, _ENDED.get(trial.status, "FINISHED"))
        self._runs.pop(trial.name, None)

    def study_ended(self, study: Study) -> None:
        """What runs was interrupted, and can be resumed."""
        for run in self._runs.values():
            self._client.set_terminated(run, "KILLED")
        self._runs.clear()

    def _run(self, study: Study, trial: StudyTrial) -> str:
        """The run of a trial, perhaps of an earlier session."""
        if trial.name not in self._runs:
            query = f"tags.`{_TRIAL}` = '{trial.name}' and tags.`{_STUDY}` = '{study.path}'"
            found = self._client.search_runs([self._experiment], query)
            if found:
                run = found[0].info.run_id
                self._client.update_run(run, status="RUNNING")
            else:
                run = self._begin(study, trial)
            self._runs[trial.name] = run
        return self._runs[trial.name]

    def _begin(self, study: Study, trial: StudyTrial) -> str:
        tags = {_TRIAL: trial.name, _STUDY: str(study.path)}
        made: Any = self._client.create_run(self._experiment, tags=tags, run_name=trial.name)
        params = [self._param(name, str(value)) for name, value in settings(trial).items()]
        run: str = made.info.run_id
        self._client.log_batch(run, params=params)
        return run

    @staticmethod
    def _milliseconds(report: ReportSummary) -> int:
        began = report.timings.began_at or 0.0
        return round(1000 * (began + report.timings.train_s))
