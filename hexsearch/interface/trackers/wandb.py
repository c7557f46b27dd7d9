"""A study's trials as runs of Weights & Biases: the extra `wandb`."""

from __future__ import annotations

from typing import Any, Literal

from hexsearch.interface.callbacks import Callback
from hexsearch.interface.study import Study
from hexsearch.interface.trackers.figures import figures, missing, settings
from hexsearch.interface.trial import StudyTrial
from hexsearch.ledger.report import ReportSummary


class WandbCallback(Callback):
    """Makes a run of each trial, grouped by study.

    Args:
        project: of Weights & Biases.
        mode: `offline` keeps the runs in the study's folder, for `wandb sync`; `online` sends
            them as they come, and wants an account.

    Example:
        >>> hs.launch("quick", callbacks=[hs.WandbCallback()])        # doctest: +SKIP

    Raises:
        ConfigError: the package wandb is not installed.
    """

    def __init__(
        self, project: str = "hexsearch", mode: Literal["offline", "online"] = "offline"
    ) -> None:
        try:
            import wandb
        except ImportError as error:
            raise missing("wandb", "wandb", error) from error
        self._wandb, self._project, self._mode = wandb, project, mode
        self._runs: dict[str, Any] = {}

    def trial_reported(self, study: Study, trial: StudyTrial, report: ReportSummary) -> None:
        """Add the figures of a report, at its positions."""
        run = self._runs.get(trial.name)
        if run is None:
            run = self._runs[trial.name] = self._begin(study, trial)
        run.log({**figures(report), "positions_seen": report.positions_seen})

    def trial_ended(self, study: Study, trial: StudyTrial) -> None:
        """Say how the trial ended."""
        run = self._runs.pop(trial.name, None)
        if run is not None:
            run.summary["status"] = trial.status
            run.finish(exit_code=int(trial.status == "failed"))

    def study_ended(self, study: Study) -> None:
        """Close what a study that was interrupted has left open."""
        for run in self._runs.values():
            run.finish()
        self._runs.clear()

    def _begin(self, study: Study, trial: StudyTrial) -> Any:
        run = self._wandb.init(
            project=self._project,
            group=study.name,
            name=f"{study.name}/{trial.name}",
            config=settings(trial),
            dir=str(study.path),
            mode=self._mode,
            reinit="create_new",  # several trials run at once
            settings=self._wandb.Settings(silent=True, x_disable_stats=True, console="off"),
        )
        run.define_metric("*", step_metric="positions_seen")
        return run
