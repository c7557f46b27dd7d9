"""A study's trials as runs of trackio: the extra `trackio`."""

from __future__ import annotations

import io
from contextlib import redirect_stdout
from contextvars import Context
from typing import Any

from hexsearch.interface.callbacks import Callback
from hexsearch.interface.study import Study
from hexsearch.interface.trackers.figures import figures, missing, settings
from hexsearch.interface.trial import StudyTrial
from hexsearch.ledger.report import ReportSummary


class TrackioCallback(Callback):
    """Makes a run of each trial, in a project of the study's name.

    Args:
        project: its name; None takes the study's.
        space_id: of a Hugging Face Space that is to show them; None keeps them on this machine.

    Example:
        >>> hs.launch("quick", callbacks=[hs.TrackioCallback()])      # doctest: +SKIP

    Raises:
        ConfigError: the package trackio is not installed.
    """

    def __init__(self, project: str | None = None, space_id: str | None = None) -> None:
        try:
            import trackio
        except ImportError as error:
            raise missing("trackio", "trackio", error) from error
        self._trackio, self._project, self._space = trackio, project, space_id
        self._runs: dict[str, Any] = {}

    def trial_reported(self, study: Study, trial: StudyTrial, report: ReportSummary) -> None:
        """Add the figures of a report, at its positions."""
        run = self._runs.get(trial.name)
        if run is None:
            run = self._runs[trial.name] = self._begin(study, trial)
        run.log(figures(report), step=report.positions_seen)

    def trial_ended(self, study: Study, trial: StudyTrial) -> None:
        """Close the trial's run."""
        run = self._runs.pop(trial.name, None)
        if run is not None:
            _finish(run)

    def study_ended(self, study: Study) -> None:
        """Close what a study that was interrupted has left open."""
        for run in self._runs.values():
            _finish(run)
        self._runs.clear()

    def _begin(self, study: Study, trial: StudyTrial) -> Any:
        def begin() -> Any:
            return self._trackio.init(
                project=self._project or study.name,
                name=trial.name,
                config=settings(trial),
                space_id=self._space,
                resume="allow",
                embed=False,
                auto_log_cpu=False,
                auto_log_gpu=False,
            )

        # When a run begins, trackio ends the previous one of the same context. With a new context
        # for each run, several trials can run at once (trackio 0.33, init).
        with redirect_stdout(io.StringIO()):
            return Context().run(begin)


def _finish(run: Any) -> None:
    """Close a run, without the lines that trackio prints."""
    with redirect_stdout(io.StringIO()):
        run.finish()
