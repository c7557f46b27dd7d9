"""The ledger: an append-only record of everything a search did, the one truth about it.

One JSON object a line, `{"n": 12, "bytes": 345, "crc": "89abcdef", "record": {...}}`: a running
number, and length and checksum of the record's own text. Each append reaches the disk before
it counts. A torn last line, left by a crash, is cut off when the ledger is opened for writing;
damage anywhere else is an error. Searcher, rungs, leaderboard and progress are folds over it.
"""

from __future__ import annotations

import fcntl
import gc
import json
import os
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from hexsearch.errors import LedgerError

Record = dict[str, Any]
# Keys of a record that differ between two equal runs.
TIMES = frozenset({"at", "timings", "microseconds"})


class Ledger:
    """The ledger of one study folder, open for appending, held against other drivers.

    Raises:
        LedgerError: another driver holds it, it is damaged, or it cannot be written.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self.path = path
        self._clock = clock
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = open(path, "a+b", buffering=0)  # a buffer would keep what failed
        except OSError as error:
            raise LedgerError(f"{path}: cannot be written: {error.strerror}") from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._file.close()
            raise LedgerError(
                f"{path.parent}: another process is running this study; wait for it, or end it"
            ) from error
        whole, self.records = _read(path)
        if whole < path.stat().st_size:
            self._file.truncate(whole)
            os.fsync(self._file.fileno())

    def append(self, event: str, **fields: Any) -> Record:
        """Write one record and sync it.

        Raises:
            LedgerError: the disk is full or gone; nothing is half-written.
        """
        record: Record = {"event": event, "at": round(self._clock(), 3), **fields}
        text = json.dumps(record, separators=(",", ":"), allow_nan=False)
        line = _frame(len(self.records), text)
        end = self._file.seek(0, os.SEEK_END)
        try:
            written = 0
            while written < len(line):
                written += self._file.write(line[written:])
            os.fsync(self._file.fileno())
        except OSError as error:
            with suppress(OSError):
                self._file.truncate(end)
            raise LedgerError(
                f"{self.path}: cannot be written: {error.strerror}. What it holds is whole; make "
                "room and resume."
            ) from error
        self.records.append(record)
        return record

    def close(self) -> None:
        """Give the ledger back."""
        self._file.close()


def read_ledger(path: Path) -> list[Record]:
    """All whole records; a torn last line, perhaps being written, is left out.

    Raises:
        LedgerError: missing, or damaged before its last line.
    """
    if not path.exists():
        raise LedgerError(f"{path}: no ledger; is this a study folder?")
    return _read(path)[1]


def is_held(path: Path) -> bool:
    """Whether a driver has the ledger open for appending."""
    try:
        with open(path, "rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # no such file, or a file system without locks
        return False
    return False


def without_times(record: Record) -> Record:
    """A record as it would be in an equal run."""

    def strip(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: strip(inner) for key, inner in value.items() if key not in TIMES}
        return value

    stripped: Record = strip(record)
    return stripped


def _frame(number: int, text: str) -> bytes:
    body = text.encode()
    head = f'{{"n":{number},"bytes":{len(body)},"crc":"{zlib.crc32(body):08x}","record":'
    return head.encode() + body + b"}\n"


def _read(path: Path) -> tuple[int, list[Record]]:
    """Bytes that whole lines take, and their records."""
    records: list[Record] = []
    whole = 0
    try:
        with open(path, "rb") as file, _collector_paused():
            for line, is_last in _with_last(file):
                record = _parse(line, len(records))
                if record is None:
                    if is_last:
                        break
                    raise LedgerError(
                        f"{path} line {len(records) + 1}: damaged (length or checksum do not "
                        "match); restore the file from a copy"
                    )
                records.append(record)
                whole += len(line)
    except OSError as error:
        raise LedgerError(f"{path}: cannot be read: {error.strerror}") from error
    return whole, records


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Records hold no cycles, and looking for some takes as long as parsing them."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _with_last(file: Any) -> Iterator[tuple[bytes, bool]]:
    previous: bytes | None = None
    for line in file:
        if previous is not None:
            yield previous, False
        previous = line
    if previous is not None:
        yield previous, True


def _parse(line: bytes, number: int) -> Record | None:
    """The record of a line, or None if the line is torn or damaged."""
    head, separator, rest = line.partition(b'"record":')
    if not separator or not rest.endswith(b"}\n"):
        return None
    body = rest[:-2]
    expected = f'{{"n":{number},"bytes":{len(body)},"crc":"{zlib.crc32(body):08x}",'
    if head != expected.encode():
        return None
    record: Record = json.loads(body)
    return record
