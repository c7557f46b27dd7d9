"""Makes the assignment of a worker from a job of the engine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hexsearch.backend.assignment import Assignment
from hexsearch.backend.remote.trial_files import trial_name
from hexsearch.config.phases import PHASE_TRIALS
from hexsearch.config.study import StudyConfig
from hexsearch.ledger.folder import StudyFolder
from hexsearch.search.engine import Job
from hexsearch.search.schedules import PhaseSchedules

_PROGRESS_S = 1.0
_MESSAGES_PER_S = 50  # that the driver takes from all workers together, besides reports


@dataclass(frozen=True)
class Assigner:
    """Makes the assignments of one study.

    Attributes:
        archive_hash: content hash of the study's games.
        trunk: the study's copy of a frozen trunk, if its comparison has one.
        progress_seconds: time between two messages about progress; None sends none.
    """

    config: StudyConfig
    folder: StudyFolder
    archive_hash: str
    schedules: PhaseSchedules
    trunk: Path | None = None
    progress_seconds: float | None = None

    def __call__(self, job: Job) -> Assignment:
        """The assignment for a job."""
        run, compare = self.config.run, self.config.compare
        phase = job.trials[0].phase
        is_shared = phase == "compare"
        return Assignment(
            job=job.name,
            folder=self._folder(job.name),
            trials=tuple(trial.trial for trial in job.trials),
            trial_folders=tuple(self._folder(trial.trial) for trial in job.trials),
            configs=tuple(trial.config for trial in job.trials),
            archive=str(self.folder.archive.resolve()),
            archive_hash=self.archive_hash,
            data=self.config.data.model_dump(mode="json"),
            seed=job.trials[0].seed,
            points=self.schedules.points(phase),
            equal_compute=self.config.scheduler.equal_compute,
            reported=min(trial.positions_seen for trial in job.trials),
            judged_on=PHASE_TRIALS[phase].judged_on,
            mode=compare.mode if is_shared else "joint",
            trunk=str(self.trunk.resolve()) if is_shared and self.trunk else None,
            trunk_hash=compare.trunk_hash if is_shared else None,
            threads=run.cpus,
            gpus=run.gpus,
            trial_files=run.trial_files,
            hang_timeout=run.hang_timeout,
            report_seconds=run.report_seconds,
            progress_seconds=self.progress_seconds,
        )

    def _folder(self, name: str) -> str:
        if self.config.run.trial_files:
            return trial_name(self.folder, name)
        return str(self.folder.trial(name).resolve())


def progress_seconds(slots: int) -> float:
    """Seconds between two messages on the progress of one worker, for a number of workers.

    >>> progress_seconds(4), progress_seconds(1000)
    (1.0, 20.0)
    """
    return max(_PROGRESS_S, slots / _MESSAGES_PER_S)
