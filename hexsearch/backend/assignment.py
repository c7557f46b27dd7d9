"""The assignment of a worker: one description for every kind of job."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Literal

from hexsearch.training.heads import Mode


@dataclass(frozen=True, kw_only=True)
class Assignment:
    """Everything that a worker needs for one job, as plain values for a Ray configuration.

    Attributes:
        job: name of the job: the trial's name, or that of a comparison's seed.
        folder: folder of the job with its checkpoint, on a disk that every node sees. With
            `trial_files` it is the name of the folder there.
        trials, trial_folders, configs: one entry for each value head. A trial that is trained
            alone has the name and the folder of the job.
        archive, archive_hash: the games. The hash prevents training on other games.
        points: positions at which it reports. The last one is the budget.
        equal_compute: trunk whose positions count as one; None counts every position as one.
        reported: positions of the last report of all its trials in the ledger.
        judged_on: with `test`, the job only saves at its points, and reports on the test games at
            the last one.
        mode: whether the value heads train the trunk.
        trunk, trunk_hash: checkpoint of a frozen trunk and its hash; None trains a trunk.
        gpus: number of GPUs, or a share of one; 0 trains on the CPU.
        trial_files: URL of the storage for files of jobs; None if `folder` is a path.
        hang_timeout: time limit of a step, in seconds, after which the process is ended.
        report_seconds: longest time between two reports.
        progress_seconds: time between two messages about progress; None sends none.
    """

    job: str
    folder: str
    trials: tuple[str, ...]
    trial_folders: tuple[str, ...]
    configs: tuple[dict[str, Any], ...]
    archive: str
    archive_hash: str
    data: dict[str, Any]
    seed: int
    points: tuple[int, ...]
    equal_compute: str | None = None
    reported: int = 0
    judged_on: Literal["validation", "test"] = "validation"
    mode: Mode = "joint"
    trunk: str | None = None
    trunk_hash: str | None = None
    threads: int = 1
    gpus: float = 0.0
    trial_files: str | None = None
    hang_timeout: float | None = None
    report_seconds: float | None = None
    progress_seconds: float | None = None

    @property
    def is_shared(self) -> bool:
        """Whether the job has several heads on one trunk, and is not a trial itself."""
        return self.trials != (self.job,)

    def to_config(self) -> dict[str, Any]:
        """The assignment as a configuration of Ray Tune."""
        return {one.name: getattr(self, one.name) for one in fields(self)}
