"""Writes an Optuna storage for optuna-dashboard and other readers of Optuna.

It is written from the ledger's events and never read back. So no decision depends on it, it can be
rebuilt at any time, and there is only a warning if it cannot be reached. A separate thread writes
it, so that a slow storage does not delay the study.
"""

from __future__ import annotations

import os
import queue
import threading
import zlib
from collections.abc import Iterable
from itertools import islice
from pathlib import Path

import optuna
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from hexsearch.config.scheduler import SearcherConfig
from hexsearch.config.study import StudyConfig
from hexsearch.errors import HexsearchError
from hexsearch.ledger.events import (
    Decided,
    Discarded,
    Event,
    Failed,
    Finished,
    Interrupted,
    Promoted,
    Reported,
    Started,
    Suggested,
    Told,
    TrialEvent,
)
from hexsearch.ledger.folder import StudyFolder
from hexsearch.ledger.history import ENDED, SEARCHED, StudyHistory, TrialHistory
from hexsearch.ledger.ledger import Ledger
from hexsearch.ledger.report import ReportSummary
from hexsearch.search.proposer import objectives_of
from hexsearch.search.searchers.optuna_model import STATES, distributions_of, to_optuna
from hexsearch.search.space import SearchSpace

JOURNAL = "journal"  # run.optuna_storage: a file in the study's own folder
_FAULTS = (
    OSError,
    ValueError,  # a damaged journal, or text that is not a URL
    ImportError,  # the database's driver is not installed
    RuntimeError,
    optuna.exceptions.OptunaError,
    SQLAlchemyError,
)
_CLOSE_S = 30.0


def journal_path(folder: StudyFolder) -> Path:
    """The journal file of a study."""
    return folder.path / "optuna.journal"


class OptunaStorage:
    """Writes the trials of one study into an Optuna storage.

    Args:
        where: `journal`, or a database URL that Optuna understands.
    """

    def __init__(
        self, folder: StudyFolder, config: StudyConfig, space: SearchSpace, where: str
    ) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._folder, self._config, self._space, self._where = folder, config, space, where
        self._distributions = distributions_of(space)
        self._database: RDBStorage | None = None  # open connections, which `close` ends
        self._ids: dict[str, int] = {}
        self._paused: set[str] = set()
        self._last: dict[str, ReportSummary] = {}

    @property
    def name(self) -> str:
        """Its place, without a password."""
        if self._where == JOURNAL:
            return str(journal_path(self._folder))
        return make_url(self._where).render_as_string(hide_password=True)

    def rebuild(self, events: Iterable[Event]) -> None:
        """Write the whole study again. A journal is written completely or not at all.

        Args:
            events: events of the ledger. They are read one by one, since those of a large study
                would take gigabytes.

        Raises:
            HexsearchError: the storage cannot be written.
        """
        try:
            self._rebuild(StudyHistory.of(events).only(SEARCHED))
        except _FAULTS as error:
            raise HexsearchError(self._fault(error)) from error

    def apply(self, event: Event) -> None:
        """Update the storage with one event.

        Raises:
            HexsearchError: the storage cannot be written.
        """
        try:
            self._apply(event)
        except _FAULTS as error:
            raise HexsearchError(self._fault(error)) from error

    def close(self) -> None:
        """Close the connections to a database, in the thread that wrote."""
        if self._database is not None:
            self._database.remove_session()
            self._database.engine.dispose()
            self._database = None

    def _fault(self, error: Exception) -> str:
        first = (str(error).splitlines() or [type(error).__name__])[0]
        try:
            where = self.name
        except SQLAlchemyError:
            where = "run.optuna_storage"
        return f"Optuna storage {where}: {first.rstrip('. ')}"

    def _rebuild(self, history: StudyHistory) -> None:
        partial = journal_path(self._folder).with_suffix(".partial")
        name = self._folder.name
        if self._where == JOURNAL:
            partial.unlink(missing_ok=True)
            self._storage: BaseStorage = _journal(partial)
        else:
            self._storage = self._database = RDBStorage(self._where)
            # Studies with the same name in different results folders may share a database.
            name = f"{name}-{zlib.crc32(f'{name} {history.began}'.encode()):08x}"
            for study in self._storage.get_all_studies():
                if study.study_name == name:
                    self._storage.delete_study(study._study_id)
        directions = [StudyDirection.MINIMIZE] * len(self._config.searcher.objectives)
        study_id = self._storage.create_new_study(directions, name)
        self._storage.set_study_user_attr(study_id, "question", self._config.question)
        self._study_id = study_id
        for trial in history.trials.values():
            template = self._frozen(trial)
            self._ids[trial.trial] = self._storage.create_new_trial(study_id, template)
            if trial.status == "paused":
                self._paused.add(trial.trial)
        if self._where == JOURNAL:
            os.replace(partial, journal_path(self._folder))
            self._storage = _journal(journal_path(self._folder))

    def _frozen(self, trial: TrialHistory) -> FrozenTrial:
        state, values = TrialState.WAITING, None
        if trial.status in ENDED and trial.status != "paused":
            state = STATES[trial.told_as]
            if state == TrialState.COMPLETE:
                values = _reached(self._config.searcher, trial.last_report)
                state = state if values else TrialState.PRUNED
        params = to_optuna(self._space, trial.values)
        attributes = {
            "trial": trial.trial,
            "variant": trial.variant,
            "replicate": trial.replicate,
            "seed": trial.seed,
            **({"reason": trial.reason} if trial.reason else {}),
        }
        return create_trial(
            state=state,
            values=values,
            params=params,
            distributions={key: self._distributions[key] for key in params},
            user_attrs=attributes,
            intermediate_values={point.positions_seen: point.value_loss for point in trial.curve},
        )

    def _apply(self, event: Event) -> None:
        storage = self._storage
        if isinstance(event, Suggested):
            trial = TrialHistory.suggested(event)
            if trial.phase in SEARCHED:
                template = self._frozen(trial)
                self._ids[trial.trial] = storage.create_new_trial(self._study_id, template)
        elif isinstance(event, Interrupted):
            for trial_id in self._ids.values():
                if storage.get_trial(trial_id).state == TrialState.RUNNING:
                    storage.set_trial_state_values(trial_id, TrialState.WAITING)
        elif isinstance(event, Finished):
            for name in list(self._paused):  # they will not continue now
                storage.set_trial_state_values(self._ids.pop(name), TrialState.PRUNED)
            self._paused.clear()
        elif isinstance(event, TrialEvent) and event.trial in self._ids:
            self._apply_to_trial(self._ids[event.trial], event)

    def _apply_to_trial(self, trial_id: int, event: TrialEvent) -> None:
        storage = self._storage
        if isinstance(event, Started):
            if storage.get_trial(trial_id).state == TrialState.WAITING:
                storage.set_trial_state_values(trial_id, TrialState.RUNNING)
        elif isinstance(event, Reported):
            report = event.report
            self._last[event.trial] = report
            storage.set_trial_intermediate_value(trial_id, report.positions_seen, report.value_loss)
        elif isinstance(event, Failed):
            storage.set_trial_user_attr(trial_id, "reason", event.reason)
        elif isinstance(event, Decided) and event.decision == "pause":
            self._paused.add(event.trial)
        elif isinstance(event, Promoted):
            self._paused.discard(event.trial)
        elif isinstance(event, Discarded):
            self._paused.discard(event.trial)
            storage.set_trial_state_values(self._ids.pop(event.trial), TrialState.PRUNED)
        elif isinstance(event, Told):
            if event.trial in self._paused:  # Optuna cannot reopen a trial, and it may continue
                storage.set_trial_state_values(trial_id, TrialState.WAITING)
            else:
                self._tell(event)

    def _tell(self, event: Told) -> None:
        state, values = STATES[event.state], None
        last = self._last.pop(event.trial, None)
        if state == TrialState.COMPLETE:
            values = _reached(self._config.searcher, last)
            state = state if values else TrialState.PRUNED
        self._storage.set_trial_state_values(self._ids.pop(event.trial), state, values)


class OptunaExport:
    """Keeps an Optuna storage up to date in a separate thread.

    Args:
        ledger: the thread reads its present events from the disk. Later events are given to
            `apply`.

    Attributes:
        fault: why it has stopped, or None. The study continues.
    """

    def __init__(self, storage: OptunaStorage, ledger: Ledger) -> None:
        self.fault: str | None = None
        self._queue: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        held = islice(ledger, len(ledger))
        self._thread = threading.Thread(
            target=self._write, args=(storage, held), name="optuna-storage", daemon=True
        )
        self._thread.start()

    def apply(self, event: Event) -> None:
        """Queue an event, without waiting."""
        if self.fault is None:
            self._queue.put(event)

    def close(self) -> None:
        """Wait until everything is written, or a few seconds at most."""
        self._queue.put(None)
        self._thread.join(_CLOSE_S)
        if self._thread.is_alive():
            self.fault = f"Optuna storage: was not written within {_CLOSE_S:.0f} seconds"

    def _write(self, storage: OptunaStorage, events: Iterable[Event]) -> None:
        try:
            storage.rebuild(events)
            while (event := self._queue.get()) is not None:
                storage.apply(event)
        except HexsearchError as error:
            self.fault = str(error)
        finally:
            storage.close()


def _reached(config: SearcherConfig, report: ReportSummary | None) -> tuple[float, ...]:
    """Objectives of a completed trial; empty if it did not report."""
    return () if report is None else objectives_of(config, report)


def _journal(path: Path) -> JournalStorage:
    return JournalStorage(JournalFileBackend(str(path)))
