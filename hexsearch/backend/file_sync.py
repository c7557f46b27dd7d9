"""Studies with files in object storage: trials work in local folders and send files at reports.

The ledger stays on the driver's disk, because object storage cannot append, and each record must
be synced. Copies of the ledger, of study.yaml and of the games are sent to storage at intervals.
So a study can be resumed after the loss of its driver's machine, from a copy of its folder. Trials
that are missing in the last copy are continued from checkpoints, which are in storage already.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from hexsearch.backend.storage import Storage
from hexsearch.errors import CheckpointError, ConfigError, StorageError
from hexsearch.ledger.folder import CHECKPOINT, StudyFolder
from hexsearch.training.atomic import write_atomically
from hexsearch.training.checkpoint import previous_of

PREVIOUS = previous_of(Path(CHECKPOINT)).name
_COPY_EVERY_S = 60.0


class FileSync:
    """A local folder and its copy in storage. Only files that have changed are sent.

    Args:
        name: name of the folder in storage, such as `my-study/trials/t0001`.
    """

    def __init__(self, storage: Storage, name: str, local: Path) -> None:
        self.storage, self.name, self.local = storage, name, local
        self._sent: dict[str, tuple[int, int]] = {}

    def push(self, names: list[str] | None = None) -> None:
        """Send files, by default all. The checkpoint is sent last, after all that belongs to it.

        Storage keeps the previous checkpoint, as the local folder does.
        """
        if names is None:
            names = sorted(path.name for path in self.local.iterdir() if path.is_file())
        for name in sorted(names, key=lambda name: name == CHECKPOINT):
            if name.endswith(".partial") or name == PREVIOUS:
                continue  # storage has the previous one already, under its newer name
            path = self.local / name
            state = path.stat().st_mtime_ns, path.stat().st_size
            if self._sent.get(name) != state:
                keep_as = f"{self.name}/{PREVIOUS}" if name == CHECKPOINT else None
                self.storage.write(f"{self.name}/{name}", path.read_bytes(), keep_as)
                self._sent[name] = state

    def pull(self, wanted: Callable[[str], bool] = lambda name: True) -> None:
        """Fetch the files in storage, and replace local ones."""
        for name in self.storage.names(self.name):
            if wanted(name) and not name.endswith(".partial"):
                content = self.storage.read(f"{self.name}/{name}")
                if content is not None:
                    write_atomically(self.local / name, content)


class TrialFiles:
    """Fetches and removes files of ended trials for the driver.

    Args:
        storage: storage of the files; None if they are in the study's folder itself.
        say: called with a warning if storage fails. The study continues, and it is tried again.
    """

    def __init__(
        self, folder: StudyFolder, storage: Storage | None, say: Callable[[str], None]
    ) -> None:
        self._folder, self._storage, self._say = folder, storage, say
        self._to_fetch: dict[str, bool] = {}  # trial -> whether its checkpoint is fetched as well
        self._dropped: set[str] = set()

    def fetch(self, trial: str, checkpoint: bool = False) -> None:
        """Fetch a trial's curve and losses, and its checkpoint if wanted, to the study's folder."""
        if self._storage is None:
            return
        self._to_fetch[trial] = checkpoint
        for name, whole in list(self._to_fetch.items()):
            try:
                self._mirror(self._storage, name).pull(
                    lambda file, whole=whole: (  # type: ignore[misc]
                        file != PREVIOUS and (whole or file != CHECKPOINT)
                    )
                )
            except (StorageError, CheckpointError) as error:  # either side may fail
                self._say(f"warning: files of {name} stay in storage for now: {error}")
                return
            del self._to_fetch[name]

    def drop_checkpoint(self, trial: str) -> None:
        """Remove the checkpoints of a trial that will not continue."""
        if trial in self._dropped:
            return
        try:
            for name in (CHECKPOINT, PREVIOUS):
                (self._folder.trial(trial) / name).unlink(missing_ok=True)
                if self._storage is not None:
                    self._storage.delete(f"{trial_name(self._folder, trial)}/{name}")
        except (StorageError, OSError) as error:
            self._say(f"warning: the checkpoint of {trial} cannot be removed: {error}")
            return
        self._dropped.add(trial)

    def checkpoint_bytes(self, trial: str) -> int:
        """Bytes of a trial's checkpoint on this disk; 0 if it is only in storage."""
        path = self._folder.checkpoint(trial)
        return path.stat().st_size if path.exists() else 0

    def _mirror(self, storage: Storage, trial: str) -> FileSync:
        return FileSync(storage, trial_name(self._folder, trial), self._folder.trial(trial))


def trial_name(folder: StudyFolder, trial: str) -> str:
    """The name of a trial's folder in storage."""
    return f"{folder.name}/trials/{trial}"


def require_unused(folder: StudyFolder, url: str | None) -> None:
    """Check that storage holds no study of this name.

    Raises:
        ConfigError: it does; says how to start another one.
        StorageError: storage cannot be read.
    """
    if url and Storage(url).names(folder.name):
        raise ConfigError(
            f"{url} already holds a study named {folder.name}; give another --name, or fetch that "
            f"folder and resume it"
        )


@contextmanager
def copies_in_storage(
    folder: StudyFolder, storage: Storage | None, say: Callable[[str], None]
) -> Iterator[None]:
    """Keep copies of the ledger, study.yaml and the games in storage, every minute and at the end.

    If a copy cannot be written, there is one warning, and it is tried again every minute.
    """
    if storage is None:
        yield
        return
    mirror = FileSync(storage, folder.name, folder.path)
    names = [path.name for path in (folder.description, folder.archive, folder.ledger)]
    ended, failed = threading.Event(), False

    def copy() -> None:
        nonlocal failed
        try:
            mirror.push(names)
        except (StorageError, OSError) as error:
            if not failed:
                say(f"warning: no copy of the ledger in storage: {error}")
            failed = True
        else:
            failed = False

    def copy_at_intervals() -> None:
        copy()
        while not ended.wait(_COPY_EVERY_S):
            copy()

    thread = threading.Thread(target=copy_at_intervals, name="ledger copies", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        copy()
