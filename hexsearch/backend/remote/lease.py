"""The lease of a study in storage: one driver at a time runs it, on whatever host.

A driver renews its lease every 15 seconds and removes it when it ends. Another driver that finds a
lease watches it for 90 seconds. If it is renewed or removed by its holder, the other driver lives,
and the study is refused; if not, the other driver is dead, and the lease is taken. No clocks of two
hosts are compared. A driver that finds the lease in other hands stops, and writes no more copies.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from hexsearch.backend.storage import Storage, patiently
from hexsearch.errors import CheckpointError, DiskError, LedgerError, StorageError
from hexsearch.training.atomic import write_atomically

LEASE = "driver.json"  # in storage, beside the copy of the ledger
RENEW_EVERY_S = 15.0
SILENT_FOR_S = 90.0  # without a renewal, after which a driver is dead
_LOOK_EVERY_S = 5.0
_TOKEN = "driver.token"  # in the study's folder: the token of the lease that its driver holds


@dataclass(frozen=True)
class Holder:
    """Who holds a lease.

    Attributes:
        token: random text of the study's folder, so that a driver knows its own lease again.
        renewals: number of renewals so far.
    """

    host: str
    process: int
    token: str
    renewals: int = 0

    @classmethod
    def of_folder(cls, folder: Path) -> Holder:
        """This process, with the token of the study's folder if it has one."""
        try:
            token = (folder / _TOKEN).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            token = ""
        return cls(socket.gethostname(), os.getpid(), token or uuid.uuid4().hex)

    def is_of(self, other: Holder) -> bool:
        """Whether both are drivers of one folder, of which its lock lets only one live."""
        return (self.host, self.token) == (other.host, other.token)


@dataclass(frozen=True)
class Watch:
    """How a lease is watched; tests have a clock of their own."""

    say: Callable[[str], None] = lambda line: None
    sleep: Callable[[float], None] = time.sleep
    silent_for_s: float = SILENT_FOR_S


class Lease:
    """The lease of one study, which this process holds."""

    def __init__(self, storage: Storage, study: str, holder: Holder) -> None:
        self._storage, self._study, self._holder = storage, study, holder
        self.lost: DiskError | None = None

    @classmethod
    def take(cls, storage: Storage, study: str, holder: Holder, watch: Watch) -> Lease:
        """Take the lease of a study, after watching another holder for a while.

        Raises:
            LedgerError: a driver that lives holds it.
            StorageError: storage cannot be read or written.
        """
        found = _read(storage, study)
        if found is not None and not found.is_of(holder):
            _require_silence(storage, study, found, watch)
        lease = cls(storage, study, holder)
        lease._write()
        return lease

    def remember(self, folder: Path) -> None:
        """Store the token in the study's folder, which may take the lease again at once.

        Raises:
            DiskError: it cannot be written.
        """
        try:
            write_atomically(folder / _TOKEN, f"{self._holder.token}\n".encode())
        except CheckpointError as error:
            raise DiskError(str(error)) from error

    def renew(self) -> bool:
        """Renew the lease. False if another driver has taken it, which `lost` then says.

        Raises:
            StorageError: storage cannot be read or written.
        """
        found = _read(self._storage, self._study)
        if found is not None and not found.is_of(self._holder):
            self.lost = DiskError(
                f"{_where(self._storage, self._study)}: {_who(found)} has taken the study over "
                "while storage did not hear of this driver. It goes on there, and stops here"
            )
        if self.lost is None:
            self._holder = replace(self._holder, renewals=self._holder.renewals + 1)
            self._write()
        return self.lost is None

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Renew the lease in the background while something long is done.

        Raises:
            DiskError: at the end, if another driver has taken it.
        """
        ended = threading.Event()

        def renew() -> None:
            while self.lost is None and not ended.wait(RENEW_EVERY_S):
                with suppress(StorageError):  # the next renewal may arrive
                    self.renew()

        thread = threading.Thread(target=renew, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()
        if self.lost is not None:
            raise self.lost

    def release(self) -> None:
        """Remove the lease, so that another host need not wait.

        Raises:
            StorageError: storage cannot be read or written.
        """
        found = _read(self._storage, self._study)
        if found is not None and found.is_of(self._holder):
            self._storage.delete(f"{self._study}/{LEASE}")

    def _write(self) -> None:
        content = json.dumps(asdict(self._holder)).encode()
        patiently(lambda: self._storage.write(f"{self._study}/{LEASE}", content), waits_s=(1.0,))


@contextmanager
def held_lease(folder: Path, url: str | None, say: Callable[[str], None]) -> Iterator[Lease | None]:
    """Hold the lease of a study while it runs; None if its files are not in storage.

    Raises:
        LedgerError: a driver that lives holds it.
        StorageError: storage cannot be read or written.
    """
    if url is None:
        yield None
        return
    holder = Holder.of_folder(folder)
    lease = Lease.take(Storage(url), folder.resolve().name, holder, Watch(say))
    try:
        yield lease
    finally:
        with suppress(StorageError):  # then the next driver on another host waits a while
            lease.release()


def _require_silence(storage: Storage, study: str, found: Holder, watch: Watch) -> None:
    """Return when a holder has not renewed its lease for a while, or has removed it.

    Raises:
        LedgerError: it has renewed its lease.
    """
    watch.say(
        f"{_who(found)} ran this study and did not end it; waiting {watch.silent_for_s:g} s for a "
        "sign of life"
    )
    waited = 0.0
    while waited < watch.silent_for_s:
        watch.sleep(_LOOK_EVERY_S)
        waited += _LOOK_EVERY_S
        now = _read(storage, study)
        if now is None:
            return
        if now != found:
            raise LedgerError(
                f"{_where(storage, study)}: {_who(now)} is running this study; stop it there, or "
                "wait for it"
            )


def _read(storage: Storage, study: str) -> Holder | None:
    """Who holds the lease of a study; None if nobody does."""
    content = patiently(lambda: storage.read(f"{study}/{LEASE}"), waits_s=(1.0,))
    if content is None:
        return None
    try:
        return Holder(**json.loads(content))
    except (ValueError, TypeError):
        return Holder("an unknown host", 0, "")


def _who(holder: Holder) -> str:
    return f"process {holder.process} on {holder.host}"


def _where(storage: Storage, study: str) -> str:
    return f"{storage.url} {study}"
