"""The ledger: an append-only record of everything that a study did, and its only state.

Each append is synced to disk before the study continues. If a crash leaves an incomplete last line,
it is cut off when the ledger is opened for writing. Other damage is an error. The states of
searcher, rungs, leaderboard and progress are computed by folding over the records.
"""

from __future__ import annotations

import gc
import itertools
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from hexsearch.errors import CheckpointError, DiskError, LedgerError
from hexsearch.ledger.events import Event, Record, event_of
from hexsearch.ledger.lines import body_in, frame, lines, reading, record_of, whole_part
from hexsearch.training.atomic import remedy_for, write_atomically

_PATIENCE_S = 0.2  # readers hold the lock for a moment, to ask whether it is free
_BESIDE = ("study.yaml", "games.archive")  # files of a study that nothing can write again
# Keys of a record whose values differ between two equal runs.
TIMES = frozenset({"at", "timings", "microseconds", "trainings_left"})


class Ledger:
    """The ledger of one study folder, open for appending and locked against other drivers.

    Its length is the number of events. Iterating reads the events from the disk one by one, since
    the reports of a large study would take gigabytes of memory.

    Raises:
        LedgerError: another driver holds the lock, or the ledger is damaged or cannot be written.
    """

    def __init__(self, path: Path, clock: Callable[[], float] | None = None) -> None:
        self.path = path
        self._clock = clock or steady_clock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = open(path, "a+b", buffering=0)  # a buffer would write a failed line later
        except OSError as error:
            raise LedgerError(f"{path}: cannot be written: {error.strerror}") from error
        self._lock = _lock_of(path)
        try:
            self._lock.acquire(timeout=_PATIENCE_S)
        except Timeout as error:
            self._file.close()
            raise LedgerError(
                f"{path.parent}: another process is running this study; wait for it, or stop it"
            ) from error
        except OSError as error:
            self._file.close()
            where = self._lock.lock_file
            raise LedgerError(f"{where}: cannot be locked: {error.strerror}") from error
        try:
            self._size, self._count = whole_part(path)
        except LedgerError:
            self.close()
            raise
        if not self._count and path.stat().st_size:
            self.close()  # nothing that a crash leaves, so it is left as it is
            raise LedgerError(_no_record(path))
        if self._size < path.stat().st_size:
            self._file.truncate(self._size)
            os.fsync(self._file.fileno())

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Event]:
        # The checksums were tested when the ledger was opened, and it has been locked since then.
        with _collector_paused(), reading(self.path) as file:
            for number, line in enumerate(itertools.islice(file, self._count), start=1):
                where = f"{self.path} line {number}"
                yield event_of(record_of(body_in(line), where), where)

    @property
    def records(self) -> list[Record]:
        """All records as plain values, read from the disk into memory."""
        return _read(self.path)

    def append(self, event: Event) -> Event:
        """Write one event and sync it. Returns the event with its time.

        Raises:
            DiskError: the disk is full or missing, and no incomplete line is left; or the file was
                removed, moved or changed since the last record.
        """
        self._require_untouched()
        written = event.written(round(self._clock(), 3))
        text = json.dumps(written.to_record(), separators=(",", ":"), allow_nan=False)
        line = frame(self._count, text.encode())
        try:
            sent = 0
            while sent < len(line):
                sent += self._file.write(line[sent:])
            os.fsync(self._file.fileno())
        except OSError as error:
            with suppress(OSError):
                self._file.truncate(self._size)
            raise DiskError(
                f"{self.path}: cannot be written: {error.strerror}. No record was lost; "
                f"{remedy_for(error)} and continue with 'resume {self.path.parent}'"
            ) from error
        self._size += len(line)
        self._count += 1
        return written

    def _require_untouched(self) -> None:
        """Check that the open file is still the study's ledger, and as long as it was left.

        Records of a removed file would be lost with it. If nothing but the file was removed, it is
        written again with all its records.

        Raises:
            DiskError: it is not; says what has happened to it.
        """
        opened = os.fstat(self._file.fileno())
        again = f"continue with 'resume {self.path.parent}'"
        if opened.st_size != self._size:
            raise DiskError(
                f"{self.path}: was changed by another program while the study ran; restore it from "
                f"a copy and {again}"
            )
        with suppress(FileNotFoundError):
            if os.path.samestat(opened, self.path.stat()):
                return
        removed = not opened.st_nlink and self.path.parent.is_dir() and not self.path.exists()
        if not removed:
            raise DiskError(
                f"{self.path}: was moved or removed while the study ran. Nothing more is written; "
                f"put the study's folder back and {again}"
            )
        self._file.seek(0)
        try:
            write_atomically(self.path, self._file.read())
        except CheckpointError as error:
            raise DiskError(f"{self.path}: was removed while the study ran, and {error}") from error
        missing = [name for name in _BESIDE if not (self.path.parent / name).exists()]
        if missing:
            again = f"restore {' and '.join(missing)}, too, from a copy, then {again}"
        raise DiskError(
            f"{self.path}: was removed while the study ran, and has been written again with all "
            f"its records; {again}"
        )

    def close(self) -> None:
        """Close the file and release the lock."""
        self._file.close()
        self._lock.release()


def steady_clock() -> Callable[[], float]:
    """A clock of Unix time that does not jump when the clock of the machine is set.

    Budgets and speeds are computed from the times of records. If the clock were set to the next day
    during a study, its GPU hours would be used up.
    """
    began, since = time.time(), time.monotonic()
    return lambda: began + (time.monotonic() - since)


def read_events(path: Path) -> list[Event]:
    """All complete events, as by `events_in`."""
    return list(events_in(path))


def events_in(path: Path) -> Iterator[Event]:
    """Each complete event. An incomplete last line, which may be being written, is ignored.

    All events of 100,000 trials together would take gigabytes of memory.

    Raises:
        LedgerError: the ledger is missing, holds no record, is damaged before its last line, or was
            written by another version.
    """
    number = 0
    with _collector_paused():
        for number, (_, body) in enumerate(lines(path), start=1):
            where = f"{path} line {number}"
            yield event_of(record_of(body, where), where)
    if not number:
        raise LedgerError(_no_record(path))


def _no_record(path: Path) -> str:
    return (
        f"{path}: holds no complete record; restore it from a copy, or launch a study "
        "under another --name"
    )


def read_ledger(path: Path) -> list[Record]:
    """All complete records as plain values, which may come from another version.

    Raises:
        LedgerError: the ledger is missing, or damaged before its last line.
    """
    return _read(path)


def is_held(path: Path) -> bool:
    """Whether a driver holds the lock of the ledger."""
    lock = _lock_of(path)
    if not Path(lock.lock_file).exists():
        return False
    try:
        lock.acquire(blocking=False)
    except Timeout:
        return True
    except OSError:  # a read-only folder, or a file system without locks
        return False
    lock.release()
    return False


def _lock_of(path: Path) -> FileLock:
    """The lock beside a ledger. The operating system releases it when its holder dies."""
    return FileLock(path.with_suffix(".lock"), thread_local=False)


def without_times(record: Record) -> Record:
    """A record without its times, so that records of equal runs are equal."""

    def strip(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: strip(inner) for key, inner in value.items() if key not in TIMES}
        return value

    stripped: Record = strip(record)
    return stripped


def _read(path: Path) -> list[Record]:
    with _collector_paused():
        return [
            record_of(body, f"{path} line {number}")
            for number, (_, body) in enumerate(lines(path), start=1)
        ]


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Pause garbage collection: records hold no cycles, and it takes as long as parsing them."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
