"""The folders of a worker's job: on a shared disk, or on a local disk with a copy in storage."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from hexsearch.backend.assignment import Assignment
from hexsearch.backend.file_sync import PREVIOUS, FileSync
from hexsearch.backend.storage import Storage, patiently, scratch_folder, storing
from hexsearch.ledger.folder import CHECKPOINT
from hexsearch.ledger.game_losses import CURVE

_RESUMED_FROM = frozenset({CHECKPOINT, PREVIOUS, CURVE})


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

    def clear(self) -> None:
        """Remove local copies of files in storage."""
        if self._synced:
            shutil.rmtree(self._scratch, ignore_errors=True)

    @property
    def _scratch(self) -> Path:
        return scratch_folder() / "trials" / str(os.getpid()) / self._assignment.job

    def _local(self, folder: str) -> Path:
        return self._synced[folder].local if folder in self._synced else Path(folder)
