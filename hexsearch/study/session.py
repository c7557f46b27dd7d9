"""One session of a study: from a connected Ray and an open ledger to its end or interruption."""

from __future__ import annotations

import math
import shutil
import time
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from hexsearch.backend.remote.copies import StudyCopies
from hexsearch.backend.remote.lease import Lease
from hexsearch.backend.remote.outage import Outage
from hexsearch.backend.remote.trial_files import TrialFiles, fetch_missing
from hexsearch.backend.storage import Storage
from hexsearch.config.study import StudyConfig
from hexsearch.errors import DiskError
from hexsearch.leaderboard.paired_losses import paired_difference
from hexsearch.ledger.events import Discarded, Event, Finished, Interrupted, Promoted, Told
from hexsearch.ledger.folder import StudyFolder
from hexsearch.ledger.history import StudyHistory
from hexsearch.ledger.ledger import Ledger
from hexsearch.search.engine import Engine, EngineSetup
from hexsearch.search.optuna_export import OptunaExport, OptunaStorage
from hexsearch.search.reruns import Batch
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
        lease: lease of the study in storage; None if the trials' files are in the study's folder.
    """

    config: StudyConfig
    folder: StudyFolder
    ledger: Ledger
    archive_hash: str
    trials: int
    address: str | None
    listener: Listener
    lease: Lease | None = None


class Session:
    """Runs an engine on the connected Ray.

    Raises:
        CheckpointError: the study's copy of a frozen trunk is missing or another checkpoint.
    """

    def __init__(self, study: OpenStudy) -> None:
        from hexsearch.backend.cluster import trial_slots

        config, self._study = study.config, study
        self._trunk = require_trunk(config, study.folder)
        self._copies = _copies_of(study)
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
            planner=self._plan,
            seconds_left=lambda: self._deadline - time.monotonic(),
            paired=self._paired,
        )
        self._planner = PhasePlanner(config, space, study.folder)
        self._engine = Engine(setup, study.ledger)
        self._files = self._trial_files()
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
        with self._copies or nullcontext():
            return self._run()

    def _run(self) -> Ended:
        engine, study = self._engine, self._study
        try:
            engine.begin()
            with draining_signals(engine, study.listener.say):
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

    def _plan(self, history: StudyHistory) -> Batch:
        """The next batch of planned runs, from all files of the trials that have ended."""
        try:
            self._files.complete()
        except DiskError as error:
            self._engine.halt("end of storage", error)
            return Batch()
        return self._planner(history)

    def _paired(self, first: str, second: str, positions: int) -> tuple[float, float] | None:
        """The difference of two trials, from all files of the trials that have ended.

        Raises:
            DiskError: files cannot be fetched. The decision is made when the study is resumed.
        """
        try:
            self._files.complete()
        except DiskError as error:
            self._engine.halt("end of storage", error)
            raise
        return paired_difference(self._study.folder, first, second, positions)

    def _trial_files(self) -> TrialFiles:
        study, copies = self._study, self._copies
        dropped: set[str] = set()
        if copies is not None and self._engine.history.trials:
            trials = self._engine.history.trials.values()
            dropped = fetch_missing(study.folder, copies.storage, trials)
        return TrialFiles(study.folder, study.listener.say, copies, dropped)

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
        if isinstance(event, Promoted):
            self._retention.leave(event.trial)
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
        if self._copies is not None and self._copies.lost is not None and not engine.broken:
            engine.halt("end of this driver's lease", self._copies.lost)
        if time.monotonic() > self._deadline and not engine.draining:
            engine.halt("time budget")
        if engine.halted and not self._said_halt:
            self._said_halt = True
            self._say(f"{engine.halted} reached: running trials stop at their next report")
        if self._export is not None and self._export.fault is not None:
            self._warn_of_export()
        if self._meter.is_due:
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


def _copies_of(study: OpenStudy) -> StudyCopies | None:
    """The copies of a study whose trials have their files in storage."""
    url, lease = study.config.run.trial_files, study.lease
    if url is None or lease is None:
        return None
    return StudyCopies(study.folder, Storage(url), lease, Outage(study.listener.say))
