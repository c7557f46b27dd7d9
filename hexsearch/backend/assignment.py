"""What a worker is to do: one description for every kind of job."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Literal

from hexsearch.training.heads import Mode


@dataclass(frozen=True, kw_only=True)
class Assignment:
    """Everything that a worker needs for one job; travels as plain values in a Ray configuration.

    Attributes:
        job: its name: the trial's, or that of a comparison's seed, whose heads share a trunk.
        folder: of the job, where its checkpoint lies, on a disk that every node sees; with
            `trial_files` its name there.
        trials, trial_folders, configs: one of each for every value head; a trial that is
            trained alone has the job's own name and folder.
        archive, archive_hash: the games; the hash keeps a worker from training on others.
        points: positions at which it reports, the last one being the budget.
        reported: positions at the last report of all trials that the ledger holds.
        judged_on: `test`: only save at the points, and judge on test games at the last one.
        mode: how the heads teach their trunk.
        trunk, trunk_hash: checkpoint of a frozen trunk and its content; None trains one.
        gpus: how much of a GPU; 0 trains on the CPU.
        trial_files: URL under which jobs keep their files; None if `folder` is a path.
        hang_timeout: seconds in which a step must come to its point, or the process ends.
        report_seconds: report at least so often, also between points.
        progress_seconds: say so often how far it is, also between reports; None never does.
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
        """Whether the job is no trial itself, but heads that share a trunk."""
        return self.trials != (self.job,)

    def to_config(self) -> dict[str, Any]:
        """As a configuration of Ray Tune."""
        return {one.name: getattr(self, one.name) for one in fields(self)}
