"""A study's curves for TensorBoard: the extra `tensorboard`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hexsearch.interface.callbacks import Callback
from hexsearch.interface.study import Study
from hexsearch.interface.trackers.figures import figures, missing, settings
from hexsearch.interface.trial import StudyTrial
from hexsearch.ledger.report import ReportSummary


class TensorBoardCallback(Callback):
    """Writes a folder of events for each trial.

    Args:
        folder: where; None takes `tensorboard` in the study's folder.

    Example:
        >>> hs.launch("quick", callbacks=[hs.TensorBoardCallback()])  # doctest: +SKIP

    Raises:
        ConfigError: the package tensorboard is not installed.
    """

    def __init__(self, folder: str | Path | None = None) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise missing("tensorboard", "tensorboard", error) from error
        self._make = SummaryWriter
        self._folder = None if folder is None else Path(folder)
        self._writers: dict[str, Any] = {}

    def trial_reported(self, study: Study, trial: StudyTrial, report: ReportSummary) -> None:
        """Add a point to each of the trial's curves."""
        writer = self._writers.get(trial.name)
        if writer is None:
            folder = (self._folder or study.path / "tensorboard") / trial.name
            writer = self._writers[trial.name] = self._make(str(folder))
        for name, figure in figures(report).items():
            writer.add_scalar(name, figure, report.positions_seen)
        writer.flush()

    def trial_ended(self, study: Study, trial: StudyTrial) -> None:
        """Add settings and last value loss to the table of hyperparameters."""
        writer = self._writers.pop(trial.name, None)
        if writer is not None:
            loss = {} if trial.value_loss is None else {"value_loss": trial.value_loss}
            writer.add_hparams(settings(trial), loss, run_name=".")
            writer.close()

    def study_ended(self, study: Study) -> None:
        """Close what a study that was interrupted has left open."""
        for writer in self._writers.values():
            writer.close()
        self._writers.clear()
