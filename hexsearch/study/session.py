"""One session of a study: from a connected Ray and an open ledger to its end or interruption."""

from __future__ import annotations

import math
import shutil
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from hexsearch.backend.file_sync import TrialFiles, copies_in_storage
from hexsearch.backend.storage import Storage
from hexsearch.config.study import StudyConfig
from hexsearch.leaderboard.paired_losses import paired_difference
from hexsearch.ledger.events import Discarded, Event, Finished, Interrupted, Told
from hexsearch.ledger.folder import StudyFolder
from hexsearch.ledger.ledger import Ledger
from hexsearch.search.engine import Engine, EngineSetup
from hexsearch.search.optuna_export import OptunaExport, OptunaStorage
from hexsearch.search.space_parsing import build_space
from hexsearch.study.assignments import Assigner, progress_seconds
from hexsearch.study.frozen_trunk import require_trunk
from hexsearch.study.listener import Ended, Listener
from hexsearch.study.phases import PhasePlanner
from hexsearch.study.progress import ProgressMeter
from hexsearch.study.retention import CheckpointRetention
from hexsearch.study.signals import draining_signals
from hexsearch.study.strength import play_study_match


@dataclass(frozen=True)
class OpenStudy:
    """A study whose ledger is held by this process.

    Attributes:
        trials: number of trials that the search will have.
        archive_hash: content hash of the study's games.
        address: address of a running Ray cluster; None if Ray was started on this machine.
    """

    config: StudyConfig
    folder: StudyFolder
    ledger: Ledger
    archive_hash: str
    trials: int
    address: str | None
    listener: Listener


class Session:
    """Runs an engine on the connected Ray.

    Raises:
        CheckpointError: the study's copy of a frozen trunk is missing or another checkpoint.
    """

    def __init__(self, study: OpenStudy) -> None:
        from hexsearch.backend.cluster import trial_slots

        config, self._study = study.config, study
        self._trunk = require_trunk(config, study.folder)
        self._storage = Storage(config.run.trial_files) if config.run.trial_files else None
        self._files = TrialFiles(study.folder, self._storage, study.listener.say)
        self._export: OptunaExport | None = None
        self._said_halt = False
        self._deadline = time.monotonic() + (config.run.time_budget or math.inf)
        space = build_space(config)
        setup = EngineSetup(
            config,
            space,
            study.trials,
            slots=trial_slots(config.run),
            observe=self._observe,
            planner=PhasePlanner(config, space, study.folder),
            seconds_left=lambda: self._deadline - time.monotonic(),
            paired=partial(paired_difference, study.folder),
        )
        self._engine = Engine(setup, study.ledger)
        self._meter = ProgressMeter(study.folder, self._engine.schedules)
        self._retention = CheckpointRetention(
            self._files,
            config.run.keep_checkpoints,
            config.run.paused_checkpoints_gb * 1e9,
            self._engine.history,
        )
        if config.run.optuna_storage is not None and "search" in config.phases:
            storage = OptunaStorage(study.folder, config, space, config.run.optuna_storage)
            self._export = OptunaExport(storage, study.ledger)

    def run(self) -> Ended:
        """Run until the study is finished, interrupted or out of its budget.

        Raises:
            HexsearchError: the ledger or the trials' folders cannot be written. The study can be
                resumed.
        """
        engine, study = self._engine, self._study
        try:
            engine.begin()
            copies = copies_in_storage(study.folder, self._storage, study.listener.say)
            with draining_signals(engine, study.listener.say), copies:
                if engine.plan():
                    self._run_jobs()
            if engine.broken is None and not engine.plan():
                self._play()
                engine.record(Finished())
                shutil.rmtree(study.folder.path / "ray", ignore_errors=True)
                return "finished"
            engine.record(Interrupted(reason=engine.halted or "signal"))
        finally:
            self._meter.close()
            self._close_export()
        if engine.broken is not None:
            raise engine.broken
        return "out_of_budget" if engine.halted else "interrupted"

    def _play(self) -> None:
        """Run the phase `match`, which trains nothing."""
        study = self._study
        if "match" in study.config.phases:
            study.listener.wait("the games of the match")
            play_study_match(study.config, self._engine.history, study.folder, self._say)

    def _run_jobs(self) -> None:
        from hexsearch.backend.tune import TuneRun, run_jobs

        study = self._study
        assign = Assigner(
            study.config,
            study.folder,
            study.archive_hash,
            self._engine.schedules,
            self._trunk,
            progress_seconds=progress_seconds(self._engine.setup.slots()),
        )
        ship: dict[str, Path] = {}
        if study.address is not None:
            ship[study.archive_hash] = study.folder.archive
            if self._trunk is not None and study.config.compare.trunk_hash is not None:
                ship[study.config.compare.trunk_hash] = self._trunk
        study.listener.wait("workers, which import torch and read the games")
        run = TuneRun(study.folder, assign, self._beat, self._say, self._note, ship)
        run_jobs(self._engine, run)

    def _note(self, job: str, positions: int) -> None:
        """A worker is so far, between two reports."""
        self._meter.note(self._engine.history.trials_of(job), positions)

    def _observe(self, event: Event) -> None:
        """Update files, export and listener after an event was written."""
        history = self._engine.history
        self._meter.apply(event)
        if isinstance(event, Told):
            ended = history.trials[event.trial]
            self._files.fetch(ended.trial, checkpoint=ended.status == "completed")
            self._retention.ended(ended)
            if ended.status == "paused":
                for name in self._retention.surplus(self._engine.decisions.paused):
                    self._engine.record(Discarded(trial=name))
                    self._retention.discard(name)
        if self._export is not None:
            self._export.apply(event)
        self._study.listener.record(event, history)

    def _beat(self) -> None:
        engine = self._engine
        if time.monotonic() > self._deadline and not engine.draining:
            engine.halt("time budget")
        if engine.halted and not self._said_halt:
            self._said_halt = True
            self._say(f"{engine.halted} reached: running trials stop at their next report")
        if self._export is not None and self._export.fault is not None:
            self._warn_of_export()
        progress = self._meter.read(engine.history)
        self._meter.store(progress)
        self._study.listener.beat(engine.history, progress)

    def _close_export(self) -> None:
        if self._export is not None:
            self._export.close()
            if self._export.fault is not None:
                self._warn_of_export()

    def _warn_of_export(self) -> None:
        """Warn once that the Optuna storage is no longer written. The study continues."""
        assert self._export is not None
        self._say(
            f"warning: {self._export.fault}. The study continues; write the storage later with "
            f"'storage {self._study.folder.path}'"
        )
        self._export = None

    def _say(self, line: str) -> None:
        self._study.listener.say(line)
