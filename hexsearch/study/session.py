"""One session of a study: from a connected Ray and an open ledger to its end or interruption."""

from __future__ import annotations

import math
import shutil
import time

from hexsearch.backend.file_sync import TrialFiles, copies_in_storage, trial_name
from hexsearch.backend.storage import Storage
from hexsearch.backend.trainable import Assignment
from hexsearch.config.study import StudyConfig
from hexsearch.ledger.folder import StudyFolder
from hexsearch.ledger.history import StudyHistory, TrialHistory
from hexsearch.ledger.ledger import Ledger, Record
from hexsearch.search.engine import Engine
from hexsearch.search.optuna_export import OptunaExport, OptunaStorage
from hexsearch.search.reruns import Follow
from hexsearch.search.space import SearchSpace
from hexsearch.study.listener import Ended, Listener
from hexsearch.study.retention import CheckpointRetention
from hexsearch.study.signals import draining_signals
from hexsearch.training.report_points import report_points


class Session:
    """Runs an engine on the Ray that is connected.

    Args:
        trials: that the search is to have. deadline: of `time.monotonic`.
        follow: what is trained again after the search.
    """

    def __init__(
        self,
        config: StudyConfig,
        folder: StudyFolder,
        ledger: Ledger,
        archive_hash: str,
        trials: int,
        address: str | None,
        listener: Listener,
        space: SearchSpace,
        follow: Follow | None = None,
        deadline: float = math.inf,
    ) -> None:
        from hexsearch.backend.cluster import trial_slots

        self._config, self._folder, self._listener = config, folder, listener
        self._archive_hash, self._address = archive_hash, address
        self._storage = Storage(config.run.trial_files) if config.run.trial_files else None
        self._files = TrialFiles(folder, self._storage, listener.say)
        self._mirror: OptunaExport | None = None
        self._said_halt = False
        slots = trial_slots(config.run)
        self._deadline = deadline
        self._engine = Engine(
            config,
            space,
            ledger,
            trials,
            slots,
            self._observe,
            follow,
            seconds_left=lambda: self._deadline - time.monotonic(),
        )
        keep = config.run.keep_checkpoints
        self._retention = CheckpointRetention(self._files, keep, self._engine.history)
        if config.run.optuna_storage is not None:
            storage = OptunaStorage(folder, config, space, config.run.optuna_storage)
            self._mirror = OptunaExport(storage, ledger)

    @property
    def history(self) -> StudyHistory:
        """What the ledger says by now."""
        return self._engine.history

    def run(self) -> Ended:
        """Until the study is finished, interrupted or out of its budget.

        Raises:
            HexsearchError: the ledger or the trials' folders cannot be written any more; what
                they hold is whole and can be resumed.
        """
        from hexsearch.backend.cluster import tune_trials

        engine = self._engine
        try:
            copies = copies_in_storage(self._folder, self._storage, self._listener.say)
            with draining_signals(engine, self._listener.say), copies:
                if not engine.is_finished:
                    ship = self._address is not None
                    tune_trials(
                        engine, self._assign, self._beat, self._folder, ship, self._listener.say
                    )
            if engine.is_finished:
                engine.record("finished")
                shutil.rmtree(self._folder.path / "ray", ignore_errors=True)
                return "finished"
            engine.record("interrupted", reason=engine.halted or "signal")
        finally:
            self._close_mirror()
        if engine.broken is not None:
            raise engine.broken
        return "out_of_budget" if engine.halted else "interrupted"

    def _observe(self, record: Record) -> None:
        """Follow a record that is on disk."""
        history = self._engine.history
        if record["event"] == "told":
            ended = history.trials[record["trial"]]
            self._files.fetch(ended.trial, checkpoint=ended.status == "completed")
            self._retention.ended(ended)
        if self._mirror is not None:
            self._mirror.apply(record)
        self._listener.record(record, history)

    def _beat(self) -> None:
        engine = self._engine
        if time.monotonic() > self._deadline and not engine.draining:
            engine.halt("time budget")
        if engine.halted and not self._said_halt:
            self._said_halt = True
            self._listener.say(f"{engine.halted} reached: running trials stop at their next report")
        if self._mirror is not None and self._mirror.fault is not None:
            self._warn_of_storage()
        self._listener.beat(engine.history)

    def _close_mirror(self) -> None:
        if self._mirror is not None:
            self._mirror.close()
            if self._mirror.fault is not None:
                self._warn_of_storage()

    def _warn_of_storage(self) -> None:
        """Say once that the mirror has stopped; the study goes on without it."""
        assert self._mirror is not None
        self._listener.say(
            f"warning: {self._mirror.fault}. The study goes on; write it later with "
            f"'storage {self._folder.path}'"
        )
        self._mirror = None

    def _assign(self, trial: TrialHistory) -> Assignment:
        run, schedule = self._config.run, self._engine.schedule
        return Assignment(
            trial=trial.trial,
            folder=(
                trial_name(self._folder, trial.trial)
                if run.trial_files
                else str(self._folder.trial(trial.trial).resolve())
            ),
            archive=str(self._folder.archive.resolve()),
            archive_hash=self._archive_hash,
            config=trial.config,
            data=self._config.data.model_dump(mode="json"),
            seed=trial.seed,
            report_points=list(
                report_points(schedule.budget, schedule.report_every, schedule.rungs)
            ),
            reported=trial.positions_seen,
            threads=run.cpus_per_trial,
            gpus=run.gpus_per_trial,
            trial_files=run.trial_files,
            hang_timeout=run.hang_timeout,
            report_seconds=run.report_seconds,
        )
