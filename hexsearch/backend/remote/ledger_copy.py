"""The copy of a ledger in storage, in parts, since object storage cannot append to a file.

`ledger.jsonl` has the first 4 MiB, `ledger-0001.jsonl` the next, and so on. A part is only sent
again while it grows, so a record costs the same in a long study as in a short one. A driver sends
all parts at its first copy and at its end. They are sent from the last to the first that has
changed, and a reader stops at one that is not full. So it finds the copy as it was before, or
complete.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from pathlib import Path

from hexsearch.backend.storage import Storage, patiently
from hexsearch.errors import StorageError

FIRST_PART = "ledger.jsonl"
_PART_BYTES = 4 * 2**20
_PART = re.compile(r"ledger(?:-(\d{4,}))?\.jsonl")


class LedgerCopy:
    """Sends the ledger of a study to storage, as its driver writes it.

    Args:
        study: name of the study's folder in storage.
        may_write: asked before each part; False if another driver has the study now.
    """

    def __init__(
        self,
        storage: Storage,
        study: str,
        ledger: Path,
        may_write: Callable[[], bool] = lambda: True,
    ) -> None:
        self._storage, self._study, self._ledger = storage, study, ledger
        self._may_write = may_write
        self._sent = -1  # bytes
        self._own: set[int] = set()  # full parts that this driver has sent

    def push(self, everything: bool = False) -> None:
        """Send what is new. Parts that another driver left are replaced or removed.

        Args:
            everything: send all parts, since a request of a driver that was cut off may have
                arrived late and replaced one.
        Raises:
            StorageError: storage cannot be read or written.
        """
        size = self._ledger.stat().st_size
        if size == self._sent and not everything:
            return
        stored = _parts_in(self._storage, self._study)
        last = max(size - 1, 0) // _PART_BYTES
        for number in sorted(stored, reverse=True):
            if number > last and self._may_write():
                self._storage.delete(f"{self._study}/{_name(number)}")
        with self._ledger.open("rb") as file:
            for number in range(last, -1, -1):
                start = number * _PART_BYTES
                length = min(_PART_BYTES, size - start)
                if number in self._own and stored.get(number) == length and not everything:
                    continue
                if not self._may_write():
                    return
                file.seek(start)
                self._storage.write(f"{self._study}/{_name(number)}", file.read(length))
                if length == _PART_BYTES:
                    self._own.add(number)
        self._sent = size


def copied_parts(storage: Storage, study: str) -> Iterator[bytes]:
    """The parts of a study's copied ledger, in order; none if there is no copy.

    One part at a time is in memory, however long the study is. Each is asked for again, for five
    minutes, if storage fails.

    Raises:
        StorageError: storage cannot be read, or a part in the middle is missing or cut off.
    """
    for number in count():
        part = patiently(partial(storage.read, f"{study}/{_name(number)}"))
        if part is not None:
            yield part
        if part is None or len(part) != _PART_BYTES:
            break
    if part is not None and part.endswith(b"\n"):
        return  # one that is not full: a later part may have been sent already
    later = [further for further in sorted(_parts_in(storage, study)) if further > number]
    if later:  # a driver sends whole lines, and a part before the one below it is full
        what = "missing" if part is None else "cut off"
        raise StorageError(
            f"{storage.url} {study}: {_name(number)} is {what}, "
            f"though {_name(later[0])} is there; restore it from a backup or an older version of "
            "the object"
        )


def store_copy(storage: Storage, study: str, path: Path) -> None:
    """Write the copied ledger of a study to a new file, part by part as they arrive.

    The file is on the disk when this returns. A caller that is interrupted leaves an incomplete
    one, so `path` lies in a folder that only becomes the study's when everything is there.

    Raises:
        StorageError: storage cannot be read.
        OSError: the file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        for part in copied_parts(storage, study):
            file.write(part)
        file.flush()
        os.fsync(file.fileno())


def is_part(name: str) -> bool:
    """Whether a file in storage is a part of a ledger's copy."""
    return _PART.fullmatch(name) is not None


def _parts_in(storage: Storage, study: str) -> dict[int, int]:
    """Bytes of each part in storage, by its number."""
    found = {_PART.fullmatch(name): size for name, size in storage.files(study).items()}
    return {int(match[1] or 0): size for match, size in found.items() if match}


def _name(number: int) -> str:
    return f"ledger-{number:04d}.jsonl" if number else FIRST_PART
