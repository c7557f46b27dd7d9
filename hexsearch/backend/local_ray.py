"""Private Ray for one study on this machine: its own folder, and ports on the loopback only."""

from __future__ import annotations

import os
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hexsearch.errors import HexsearchError

LOOPBACK = "127.0.0.1"
_PREFIX = "hexs"
# The path of a socket may have 107 bytes. `/hexs-PID-RANDOM/r` needs 24 of them, and Ray's
# `/session_DATE_TIME_MICROSECONDS_PID/sockets/plasma_store` needs 64.
_LONGEST = 107 - 24 - 64
_ROOM = 64 << 20  # bytes for its logs; a study of hundreds of trials writes a few megabytes
_PATIENCE_S = 5.0  # until the last process has written its last line


@contextmanager
def private_folder() -> Iterator[Path]:
    """A folder for Ray's session that other users cannot read. It is removed at the end.

    Folders of drivers that were killed are removed as well.

    Raises:
        HexsearchError: there is no suitable place for it.
    """
    base = _base()
    _sweep(base)
    folder = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}-{os.getpid()}-", dir=base))
    try:
        yield folder / "r"  # Ray makes its own folder readable for all users (ray 2.60)
    finally:
        _remove(folder)


def _base() -> Path:
    """The first folder for temporary files that is writable, not full, and has a short path."""
    tried = []
    for place in (tempfile.gettempdir(), "/tmp", "/var/tmp", "/dev/shm"):
        base = Path(place).resolve()
        fits = len(os.fsencode(base)) <= _LONGEST
        if not fits:
            fault = "its path is too long"
        elif not base.is_dir() or not os.access(base, os.W_OK | os.X_OK):
            fault = "cannot be written"
        elif shutil.disk_usage(base).free < _ROOM:
            fault = "is full"
        else:
            return base
        tried.append(f"{base} ({fault})")
    raise HexsearchError(
        f"no place for Ray's sockets and logs: {', '.join(dict.fromkeys(tried))}; set TMPDIR to a "
        f"short path with {_ROOM >> 20} MB of room"
    )


def _sweep(base: Path) -> None:
    """Remove our own folders of processes that have ended."""
    if sys.platform == "win32":  # folders have no owner there, and signal 0 would end a process
        return
    for folder in base.glob(f"{_PREFIX}-*"):
        match = re.match(rf"{_PREFIX}-([0-9]+)-", folder.name)
        try:
            if match and folder.stat().st_uid == os.getuid() and not _is_alive(int(match[1])):
                shutil.rmtree(folder, ignore_errors=True)
        except OSError:  # another process has removed it
            continue


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _remove(folder: Path) -> None:
    ends = time.monotonic() + _PATIENCE_S
    while folder.exists():
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists() or time.monotonic() > ends:
            return
        time.sleep(0.1)
