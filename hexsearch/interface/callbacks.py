"""Callbacks that get the events of a running study."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from hexsearch.errors import ConfigError
from hexsearch.ledger.events import Event, Reported, Told
from hexsearch.ledger.history import StudyHistory
from hexsearch.ledger.report import ReportSummary
from hexsearch.model.plugins import import_factory, plugin_code
from hexsearch.study.listener import Listener

if TYPE_CHECKING:
    from hexsearch.interface.study import Study
    from hexsearch.interface.trial import StudyTrial


class Callback:
    """Base class of callbacks. Override the methods for the events that you need.

    Callbacks run in the driver between two decisions of the search, so they should be fast. If a
    callback raises an error, there is one warning, and the study continues without it.
    """

    def study_started(self, study: Study) -> None:
        """The study's folder exists. Its trials start or continue after this call."""

    def trial_reported(self, study: Study, trial: StudyTrial, report: ReportSummary) -> None:
        """A report was recorded in the ledger."""

    def trial_ended(self, study: Study, trial: StudyTrial) -> None:
        """A trial has completed, was pruned or stopped, or has failed."""

    def study_ended(self, study: Study) -> None:
        """The study is finished, or was interrupted and can be resumed."""


def named_callbacks(paths: Sequence[str]) -> list[Callback]:
    """The callbacks that a study's YAML names under `run.callbacks`.

    Raises:
        ConfigError: a callback cannot be imported, or is not derived from `Callback`.
    """
    made = []
    for path in paths:
        factory = import_factory(path, "run.callbacks")
        with plugin_code(f"run.callbacks {path}"):
            callback = factory()
        if not isinstance(callback, Callback):
            raise ConfigError(
                f"run.callbacks: {path} made a {type(callback).__name__}; derive it from "
                "hexsearch.Callback"
            )
        made.append(callback)
    return made


class CallbackListener:
    """Turns events of a ledger into calls of callbacks."""

    def __init__(self, study: Study, callbacks: Sequence[Callback], watcher: Listener) -> None:
        self._study, self._callbacks, self._watcher = study, list(callbacks), watcher
        self._begun = False
        self.listener = Listener(watcher.say, self._record, watcher.beat, watcher.wait)

    def ended(self) -> None:
        """The study has come to its end."""
        if self._begun:
            self._tell(lambda callback: callback.study_ended(self._study))

    def _record(self, event: Event, history: StudyHistory) -> None:
        from hexsearch.interface.trial import StudyTrial

        self._watcher.record(event, history)
        study = self._study
        if not self._begun:
            self._begun = True
            self._tell(lambda callback: callback.study_started(study))
        if isinstance(event, Reported):
            trial = StudyTrial(study.folder, history.trials[event.trial])
            report = event.report
            self._tell(lambda callback: callback.trial_reported(study, trial, report))
        elif isinstance(event, Told):
            ended = StudyTrial(study.folder, history.trials[event.trial])
            self._tell(lambda callback: callback.trial_ended(study, ended))

    def _tell(self, call: Callable[[Callback], None]) -> None:
        for callback in list(self._callbacks):
            try:
                call(callback)
            except KeyboardInterrupt:
                raise
            # Code of a user may raise anything, also SystemExit, but must not end the study.
            except BaseException as error:
                self._callbacks.remove(callback)
                self._watcher.say(
                    f"warning: callback {type(callback).__name__} raised "
                    f"{type(error).__name__}: {error}. The study goes on without it"
                )
