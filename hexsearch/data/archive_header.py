"""The header of an archive file: its magic bytes, its version, and the places of its arrays."""

from __future__ import annotations

import hashlib
import json
import mmap
from pathlib import Path
from typing import Any

from hexsearch.errors import ArchiveError

FORMAT_VERSION = 2
MAGIC = b"HEXGAMES"
_ALIGNMENT = 64
PREFIX = 40  # bytes before the header


def read_header(path: Path, mapped: mmap.mmap) -> tuple[dict[str, Any], int]:
    if mapped[: len(MAGIC)] != MAGIC:
        raise ArchiveError(f"{path}: is not a game archive")
    if len(mapped) < 16:
        raise ArchiveError(f"{path}: truncated to {len(mapped)} bytes; import the games again")
    version = int.from_bytes(mapped[8:16], "little")
    if version != FORMAT_VERSION:
        raise ArchiveError(
            f"{path}: archive version {version}, but this hexsearch reads version "
            f"{FORMAT_VERSION}; import the games again"
        )
    length = int.from_bytes(mapped[16:24], "little")
    text = mapped[PREFIX : PREFIX + length]
    if len(mapped) < PREFIX or len(text) < length:
        raise ArchiveError(f"{path}: truncated within its header; import the games again")
    if header_checksum(text) != mapped[24:PREFIX]:
        raise ArchiveError(f"{path}: corrupt header; import the games again")
    header: dict[str, Any] = json.loads(text)
    return header, aligned(PREFIX + length)


def header_checksum(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=16).digest()


def aligned(position: int) -> int:
    return -(-position // _ALIGNMENT) * _ALIGNMENT


def is_archive(path: Path) -> bool:
    """Whether a file begins as an archive does.

    Raises:
        ArchiveError: it cannot be read.
    """
    try:
        with open(path, "rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except OSError as error:
        raise ArchiveError(f"{path}: cannot be read: {error.strerror}") from error
