"""Writes files completely or not at all, and reads small ones. It needs no torch."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from io import FileIO
from pathlib import Path

from hexsearch.errors import CheckpointError

_BLOCK = 65_536
_MOST_READ = 1 << 28  # bytes of a file that is read as a whole


def read_whole(path: Path, most: int = _MOST_READ) -> bytes:
    """The content of a file that is small if it is what it should be.

    Raises:
        OSError: it cannot be read, is a pipe or a device (which would be waited for), or is larger.
    """
    with open(path, "rb", opener=_open_without_waiting) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, "it is not a file", str(path))
        content = file.read(most + 1)
    if len(content) > most:
        raise OSError(errno.EFBIG, f"more than {most:,} bytes", str(path))
    return content


def remedy_for(error: OSError) -> str:
    """What to do about a file that cannot be written, in a study that can be resumed.

    >>> remedy_for(OSError(errno.ENOSPC, "No space left on device"))
    'free some disk space'
    """
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return "free some disk space"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return "make its folder writable"
    if error.errno in (errno.EINVAL, errno.EISDIR, errno.ENOTDIR):
        return "remove what is in its place"
    return "check the disk"


def _open_without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def append_line(path: Path, line: str) -> None:
    """Append a line to a file, completely or not at all.

    An incomplete last line, left by a crash, is removed first.

    Raises:
        CheckpointError: it cannot be written; the earlier lines are unchanged.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "a+b", buffering=0) as file:  # a buffer might be written in pieces
            end = _end_of_lines(file)
            file.truncate(end)
            content = f"{line}\n".encode()
            try:
                if file.write(content) < len(content):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            except OSError:
                file.truncate(end)
                raise
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be written: {error.strerror}") from error


def _end_of_lines(file: FileIO) -> int:
    """The position at which the last complete line of a file ends."""
    end = file.seek(0, os.SEEK_END)
    while end:
        start = max(0, end - _BLOCK)
        file.seek(start)
        newline = file.read(end - start).rfind(b"\n")
        if newline >= 0:
            return start + newline + 1
        end = start
    return 0


def write_atomically(path: Path, content: bytes, keep_as: Path | None = None) -> None:
    """Replace a file by new content, completely or not at all.

    Args:
        keep_as: path that the older file is moved to after the new one has been read back.
    Raises:
        CheckpointError: it cannot be written; an older file is unchanged.
    """
    if not path.name:  # `/` and the empty path
        raise CheckpointError(f"{path}: is a folder; give the path of a file")
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists() and not (path.is_file() or path.is_dir()):
            # Renaming would replace a device or a pipe, such as /dev/full, by a file.
            raise OSError(errno.EINVAL, "it is a device or a pipe, and not a file")
        with open(partial, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if keep_as is not None and path.exists():
            if partial.read_bytes() != content:
                raise OSError(errno.EIO, "the file that was written reads back differently")
            os.replace(path, keep_as)
        os.replace(partial, path)
    except OSError as error:
        with suppress(OSError):
            partial.unlink()
        raise CheckpointError(f"{path}: cannot be written: {error.strerror}") from error
