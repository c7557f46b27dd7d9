"""The folders of a worker's job: on a shared disk, or on a local disk with a copy in storage.

The driver of a study on a shared disk has heard of every report but the last one, since its ledger
is there as well. With files in storage another driver may go on from a copy of the ledger that is a
minute old, so each job keeps all its reports beside its checkpoint.
"""

from __future__ import annotations

import json
import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

from hexsearch.backend.assignment import Assignment
from hexsearch.backend.file_sync import PREVIOUS, FileSync
from hexsearch.backend.storage import Storage, patiently, scratch_folder, storing
from hexsearch.ledger.folder import CHECKPOINT
from hexsearch.ledger.game_losses import CURVE
from hexsearch.ledger.kinds import checked
from hexsearch.ledger.report import ReportSummary
from hexsearch.training.atomic import append_line, read_whole

Reports = dict[str, ReportSummary]  # trial -> report

REPORTS = "reports.jsonl"  # in storage: a line for each point at which the job has reported
_RESUMED_FROM = frozenset({CHECKPOINT, PREVIOUS, CURVE, REPORTS})


class JobFolders:
    """The folder of a job's checkpoint and the folder of each trial, which may be the same."""

    def __init__(self, assignment: Assignment) -> None:
        self._assignment = assignment
        self._synced: dict[str, FileSync] = {}  # folder's name in storage -> its copies

    @property
    def job(self) -> Path:
        """The folder with the checkpoint of the whole job."""
        return self._local(self._assignment.folder)

    def of(self, trial: str) -> Path:
        """The folder with the reports and losses of a trial."""
        task = self._assignment
        return self._local(task.trial_folders[task.trials.index(trial)])

    def pull(self) -> None:
        """Fetch the files from which the job continues, if they are in storage.

        Raises:
            Unwritable: storage cannot be reached, or the node's disk is full.
        """
        task = self._assignment
        if task.trial_files is None:
            return
        scratch, storage = self._scratch, Storage(task.trial_files)
        shutil.rmtree(scratch, ignore_errors=True)
        # The job's own folder is the last one, so that its checkpoint is sent last.
        for name in dict.fromkeys((*task.trial_folders, task.folder)):
            synced = self._synced[name] = FileSync(storage, name, scratch / Path(name).name)
            with storing(scratch):
                patiently(lambda synced=synced: synced.pull(_RESUMED_FROM.__contains__))  # type: ignore[misc]

    def push(self) -> None:
        """Send changed files. The job's checkpoint is sent last, after all that belongs to it."""
        for synced in self._synced.values():
            patiently(synced.push)

    def keep_reports(self, positions: int, reports: Reports) -> None:
        """Keep the reports at a point of the job, if its files are in storage.

        Raises:
            CheckpointError: they cannot be written.
        """
        if self._synced and reports:
            plain = {name: report.to_json() for name, report in reports.items()}
            line = json.dumps({"positions_seen": positions, "reports": plain})
            append_line(self.job / REPORTS, line)

    def kept_reports(self, after: int, before: int) -> list[Reports]:
        """The kept reports between two points, in the order of their points."""
        try:
            lines = read_whole(self.job / REPORTS).splitlines()
        except OSError:
            return []
        found: dict[int, Reports] = {}
        for line in lines:
            with suppress(ValueError, KeyError, TypeError, AttributeError):  # a cut line
                kept = json.loads(line)
                if after < kept["positions_seen"] < before:
                    found[kept["positions_seen"]] = {
                        name: checked(ReportSummary.from_json(report))
                        for name, report in kept["reports"].items()
                    }
        return [found[positions] for positions in sorted(found)]

    def forget(self) -> None:
        """Remove what another trial of this name has left, of which the ledger does not know."""
        for synced in self._synced.values():
            for name in (CURVE, REPORTS):
                (synced.local / name).unlink(missing_ok=True)

    def clear(self) -> None:
        """Remove local copies of files in storage."""
        if self._synced:
            shutil.rmtree(self._scratch, ignore_errors=True)

    @property
    def _scratch(self) -> Path:
        return scratch_folder() / "trials" / str(os.getpid()) / self._assignment.job

    def _local(self, folder: str) -> Path:
        return self._synced[folder].local if folder in self._synced else Path(folder)


def checkpoint_content(state: dict[str, Any], reports: Reports) -> dict[str, Any]:
    """Content of a checkpoint. The report of a single trial has the same key as in `train`."""
    if len(reports) == 1:
        (report,) = reports.values()
        return {"state": state, "report": json.dumps(report.to_json())}
    plain = {name: report.to_json() for name, report in reports.items()}
    return {"state": state, "reports": json.dumps(plain)}


def stored_reports(content: dict[str, Any], task: Assignment, seen: int) -> Reports:
    """The reports that were stored with a checkpoint; none if it was saved without a report.

    Raises:
        KeyError, TypeError, ValueError: they are damaged, or those of other trials.
    """
    if "report" in content:
        stored = {task.trials[0]: json.loads(content["report"])}
    else:
        stored = json.loads(content["reports"])
    reports = {name: checked(ReportSummary.from_json(report)) for name, report in stored.items()}
    for name, report in reports.items():
        if name not in task.trials or report.positions_seen != seen:
            raise ValueError(f"its report on {name} is not one of this checkpoint")
    return reports
