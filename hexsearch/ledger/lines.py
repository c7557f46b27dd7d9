"""The lines of a ledger's file: how a record is written as one, and how lines are read and tested.

Each line is a JSON object, `{"n": 12, "bytes": 345, "crc": "89abcdef", "record": {...}}`: its
number, and the length and checksum of the record's text.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from hexsearch.errors import LedgerError
from hexsearch.ledger.events import Record
from hexsearch.ledger.named import no_study

_BEFORE, _AFTER = b',"record":', b"}\n"  # bytes before and after a record's text in its line


def frame(number: int, body: bytes) -> bytes:
    """The line of a record's text."""
    return _head(number, body) + body + _AFTER


def _head(number: int, body: bytes) -> bytes:
    return b'{"n":%d,"bytes":%d,"crc":"%08x"' % (number, len(body), zlib.crc32(body)) + _BEFORE


def body_in(line: bytes) -> bytes:
    """The text of the record in a complete line, whose checksum was tested before."""
    return line[line.index(_BEFORE) + len(_BEFORE) : -len(_AFTER)]


def record_of(body: bytes, where: str) -> Record:
    """The record of a line, whose checksum a program may have written beside any text.

    Raises:
        LedgerError: the text is no JSON.
    """
    try:
        record: Record = json.loads(body.decode(), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise LedgerError(f"{where}: is no JSON ({error}); restore the file from a copy") from error
    return record


def whole_part(path: Path) -> tuple[int, int]:
    """Number of bytes of the complete lines, and number of these lines."""
    size = count = 0
    for line, _ in lines(path):
        size += len(line)
        count += 1
    return size, count


def lines(path: Path) -> Iterator[tuple[bytes, bytes]]:
    """Each complete line and the text of its record, after testing its checksum."""
    with reading(path) as file:
        for number, (line, is_last) in enumerate(_with_last(file)):
            body = _body(line, number)
            if body is None:
                if is_last:
                    return
                raise LedgerError(
                    f"{path} line {number + 1}: damaged (length or checksum do not "
                    "match); restore the file from a copy"
                )
            yield line, body


def _refuse_constant(constant: str) -> None:
    raise ValueError(f"{constant} is no number of JSON")


@contextmanager
def reading(path: Path) -> Iterator[BinaryIO]:
    """A ledger's file, open for reading.

    Raises:
        LedgerError: there is none, or it cannot be read.
    """
    try:
        if not path.is_file():  # a pipe would be waited for
            raise LedgerError(no_study(path.parent))
        with open(path, "rb") as file:
            yield file
    except OSError as error:
        raise LedgerError(f"{path}: cannot be read: {error.strerror}") from error


def _with_last(file: Any) -> Iterator[tuple[bytes, bool]]:
    previous: bytes | None = None
    for line in file:
        if previous is not None:
            yield previous, False
        previous = line
    if previous is not None:
        yield previous, True


def _body(line: bytes, number: int) -> bytes | None:
    """The text of a line's record, or None if the line is incomplete or damaged."""
    start = line.find(_BEFORE) + len(_BEFORE)
    if not line.endswith(_AFTER):
        return None
    body = line[start : -len(_AFTER)]
    return body if line.startswith(_head(number, body)) else None
