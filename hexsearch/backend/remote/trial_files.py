"""Files of ended trials: the driver fetches what a study reads, and removes what nobody needs."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

from hexsearch.backend.file_sync import PREVIOUS, FileSync
from hexsearch.backend.job_folders import REPORTS
from hexsearch.backend.remote.copies import StudyCopies
from hexsearch.backend.storage import Storage, patiently
from hexsearch.errors import CheckpointError, DiskError, StorageError
from hexsearch.ledger.folder import CHECKPOINT, StudyFolder
from hexsearch.ledger.history import TrialHistory
from hexsearch.training.atomic import write_atomically

_LOSSES = re.compile(r"games-(\d+)\.npz")
_AT_ONCE = 16  # files that are fetched at once


class TrialFiles:
    """Fetches and removes files of ended trials for the driver.

    Args:
        say: called with a warning if a local file cannot be removed.
        copies: the study's copy in storage; None if files are in the study's folder itself.
        dropped: trials whose checkpoints have been removed before.
    """

    def __init__(
        self,
        folder: StudyFolder,
        say: Callable[[str], None],
        copies: StudyCopies | None = None,
        dropped: Iterable[str] = (),
    ) -> None:
        self._folder, self._say, self._copies = folder, say, copies
        self._to_fetch: dict[str, bool] = {}  # trial -> whether its checkpoint is fetched as well
        self._dropped = set(dropped)

    def fetch(self, trial: str, checkpoint: bool = False) -> None:
        """Fetch a trial's curve and losses, and its checkpoint if wanted, to the study's folder.

        If storage fails, they are fetched later.
        """
        if self._copies is None:
            return
        self._to_fetch[trial] = checkpoint
        if self._copies.outage.is_resting:
            return
        try:
            self._fetch_all(self._copies.storage)
        except (StorageError, CheckpointError) as error:  # either side may fail
            self._copies.outage.failed(error)

    def complete(self) -> None:
        """Fetch what could not be fetched before.

        Raises:
            DiskError: it can still not be fetched.
        """
        if self._copies is None or not self._to_fetch:
            return
        storage = self._copies.storage
        try:
            patiently(lambda: self._fetch_all(storage))
        except (StorageError, CheckpointError) as error:
            names = ", ".join(self._to_fetch)
            raise DiskError(
                f"files of {names} cannot be fetched, and nothing is decided without them: {error}."
                " No file was lost; check that storage can be reached, and resume"
            ) from error

    def drop_checkpoint(self, trial: str) -> None:
        """Remove the checkpoints of a trial that will not continue."""
        for name in (CHECKPOINT, PREVIOUS):
            try:
                (self._folder.trial(trial) / name).unlink(missing_ok=True)
            except OSError as error:
                self._say(f"warning: the checkpoint of {trial} cannot be removed: {error}")
                return
        if self._copies is not None and trial not in self._dropped:
            for name in (CHECKPOINT, PREVIOUS):
                self._copies.delete(f"{trial_name(self._folder, trial)}/{name}")
        self._dropped.add(trial)

    def checkpoint_bytes(self, trial: str) -> int:
        """Bytes of a trial's checkpoint on this disk; 0 if it is only in storage."""
        path = self._folder.checkpoint(trial)
        return path.stat().st_size if path.exists() else 0

    def _fetch_all(self, storage: Storage) -> None:
        for name, whole in list(self._to_fetch.items()):
            sync = FileSync(storage, trial_name(self._folder, name), self._folder.trial(name))
            sync.pull(lambda file, whole=whole: is_fetched(file, whole))  # type: ignore[misc]
            del self._to_fetch[name]


def fetch_missing(
    folder: StudyFolder, storage: Storage, trials: Iterable[TrialHistory]
) -> set[str]:
    """Fetch what storage has of ended trials and the study's folder lacks.

    Returns:
        The trials that have ended for good and have no checkpoint in storage.
    Raises:
        StorageError: storage cannot be read.
        CheckpointError: a file cannot be written.
    """
    present: dict[str, dict[str, int]] = {}
    for path, size in patiently(lambda: storage.sizes(f"{folder.name}/trials")).items():
        trial, _, name = path.partition("/")
        present.setdefault(trial, {})[name] = size
    missing, dropped = [], set()
    for ended in trials:
        if not ended.told:
            continue
        files = present.get(ended.trial, {})
        if ended.status != "paused" and not {CHECKPOINT, PREVIOUS} & files.keys():
            dropped.add(ended.trial)
        for name, size in files.items():
            local = folder.trial(ended.trial) / name
            is_here = local.exists() and local.stat().st_size == size
            is_known = positions_of(name) <= ended.positions_seen
            if not is_here and is_known and is_fetched(name, ended.status == "completed"):
                missing.append((ended.trial, name))

    def fetch(trial: str, name: str) -> None:
        content = patiently(lambda: storage.read(f"{trial_name(folder, trial)}/{name}"))
        if content is not None:
            write_atomically(folder.trial(trial) / name, content)

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for fetched in [pool.submit(fetch, *each) for each in missing]:
            fetched.result()
    return dropped


def is_fetched(name: str, checkpoint: bool) -> bool:
    """Whether the driver wants a file of an ended trial.

    >>> is_fetched("curve.jsonl", checkpoint=False), is_fetched("checkpoint.pt", checkpoint=False)
    (True, False)
    """
    return name not in (PREVIOUS, REPORTS) and (checkpoint or name != CHECKPOINT)


def positions_of(name: str) -> int:
    """The point that a file of losses is about. It may be later than what the ledger knows.

    >>> positions_of("games-192.npz"), positions_of("curve.jsonl")
    (192, 0)
    """
    found = _LOSSES.fullmatch(name)
    return int(found[1]) if found else 0


def trial_name(folder: StudyFolder, trial: str) -> str:
    """The name of a trial's folder in storage."""
    return f"{folder.name}/trials/{trial}"
