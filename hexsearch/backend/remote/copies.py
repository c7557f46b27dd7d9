"""Keeps a copy of a study in storage while its driver runs, so that another host can resume it.

The ledger stays on the driver's disk, because object storage cannot append, and each record must
be synced. What is new is sent seconds after it was written; if a copy takes long, less often, but
each minute. What trials store is in storage already. A checkpoint is removed only after a copy that
knows that its trial has ended, so every copy finds the checkpoints of its unfinished trials.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from types import TracebackType

from hexsearch.backend.file_sync import FileSync
from hexsearch.backend.remote.lease import RENEW_EVERY_S, Lease
from hexsearch.backend.remote.ledger_copy import LedgerCopy
from hexsearch.backend.remote.outage import Outage
from hexsearch.backend.storage import Storage, patiently
from hexsearch.errors import DiskError, StorageError
from hexsearch.ledger.folder import StudyFolder
from hexsearch.ledger.game_losses import BASELINES

TREES = (BASELINES, "match")  # folders of a study that its copy has, beside its files
_TICK_S = 5.0
_RARELY_S = 60.0
_PAUSE = 20.0  # times what a copy takes is waited for the next one


class StudyCopies:
    """A thread that sends copies and renews the lease, from entering to leaving the context."""

    def __init__(self, folder: StudyFolder, storage: Storage, lease: Lease, outage: Outage) -> None:
        self.storage, self.outage = storage, outage
        self._folder, self._lease = folder, lease
        self._sync = FileSync(storage, folder.name, folder.path)
        self._ledger = LedgerCopy(storage, folder.name, folder.ledger, self._holds_lease)
        self._to_delete: deque[str] = deque()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._tend, name="study copies", daemon=True)

    def __enter__(self) -> StudyCopies:
        self._lease.remember(self._folder.path)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._thread.join()
        waits_s = (1.0, 2.0) if self.outage.is_resting else None  # what has failed long enough
        try:
            patiently(self._finish, waits_s)
        except (StorageError, OSError) as fault:
            self.outage.failed(fault)

    @property
    def lost(self) -> DiskError | None:
        """The error if another driver has taken the study over."""
        return self._lease.lost

    def delete(self, name: str) -> None:
        """Remove a file after the next copy of the ledger."""
        self._to_delete.append(name)

    def _tend(self) -> None:
        renewed_at = copied_at = -math.inf
        pause_s = 0.0
        while self.lost is None:
            began = time.monotonic()
            try:
                if began - renewed_at >= RENEW_EVERY_S:
                    self._lease.renew()
                    renewed_at = time.monotonic()
                    self.outage.took(renewed_at - began)
                if self.lost is None and began - copied_at >= pause_s:
                    began = time.monotonic()
                    self._copy()
                    copied_at = time.monotonic()
                    pause_s = min(_RARELY_S, _PAUSE * (copied_at - began))
            except (StorageError, OSError) as error:
                self.outage.failed(error)
            if self._ended.wait(_TICK_S):
                return

    def _finish(self) -> None:
        if self._lease.renew():
            self._copy(everything=True)

    def _holds_lease(self) -> bool:
        """Whether no other driver has taken the study; a request may have hung for long."""
        return self.lost is None and self._lease.renew()

    def _copy(self, everything: bool = False) -> None:
        """Send what has changed, the ledger last, and remove what its copy no longer needs."""
        folder, root = self._folder, self._folder.path
        to_delete = len(self._to_delete)
        files = [folder.description, folder.archive, folder.trunk, folder.match]
        for tree in TREES:
            files += sorted((root / tree).rglob("*"))
        names = [path.relative_to(root).as_posix() for path in files if path.is_file()]
        self._sync.push(names)
        self._ledger.push(everything)
        if self.lost is not None:
            return  # the other driver's copy may need them
        for _ in range(to_delete):
            self.storage.delete(self._to_delete[0])
            self._to_delete.popleft()
