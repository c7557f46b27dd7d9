"""Files of a study away from the driver: a folder that nodes share, or a URL such as `s3://`.

pyarrow reaches `s3://`, `gs://`, `abfs://` and `hdfs://` by itself; every other protocol goes
through fsspec and the package that fsspec names for it. Ray Tune brings both along. A file is
written beside its name and then moved, so that whoever reads finds it whole or not at all.
"""

from __future__ import annotations

import errno
import getpass
import os
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

import fsspec
from pyarrow import ArrowException
from pyarrow.fs import FileSelector, FileSystem, FileType, FSSpecHandler, PyFileSystem

from hexsearch.errors import CheckpointError, StorageError


def scratch_folder() -> Path:
    """This node's own folder for copies of games and of trials, private to the user.

    `HEXSEARCH_SCRATCH` names another. It is never shared between nodes, as a home folder may be.

    Raises:
        StorageError: it belongs to somebody else, or cannot be made.
    """
    given = os.environ.get("HEXSEARCH_SCRATCH")
    path = Path(given) if given else Path(tempfile.gettempdir()) / f"hexsearch-{_user()}"
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        owner = path.stat().st_uid
    except OSError as error:
        raise StorageError(f"{path}: cannot be made: {error.strerror}") from error
    if sys.platform != "win32" and owner != os.getuid():
        raise StorageError(f"{path}: belongs to another user; set HEXSEARCH_SCRATCH to a folder")
    return path


def _user() -> str:
    """What tells users of one machine apart."""
    if sys.platform == "win32":
        return getpass.getuser()
    return str(os.getuid())


@dataclass(frozen=True)
class Storage:
    """A place for files by name (`t0001/checkpoint.pt`); its errors are all StorageErrors.

    Attributes:
        url: of the folder that the names lie in. pyarrow's options may follow, as in
            `s3://bucket/studies?region=eu-west-1`.
    """

    url: str

    @classmethod
    def of_path(cls, path: Path) -> Storage:
        """A folder as storage."""
        return cls(path.resolve().as_uri())

    def write(self, name: str, content: bytes, keep_as: str | None = None) -> None:
        """Store a file whole, in place of an older one.

        Args:
            keep_as: the older one's name, once the new one has been read back.
        """
        system, root = self._opened
        target = f"{root}/{name}"
        partial = f"{target}.{os.getpid()}.partial"
        with self._explained(name):
            system.create_dir(target.rpartition("/")[0], recursive=True)
            with system.open_output_stream(partial) as stream:
                stream.write(content)
            if keep_as is not None and system.get_file_info(target).type == FileType.File:
                with system.open_input_stream(partial) as stream:
                    if stream.read() != content:
                        raise OSError(errno.EIO, "what was written reads back as something else")
                system.move(target, f"{root}/{keep_as}")
            system.move(partial, target)

    def read(self, name: str) -> bytes | None:
        """A file's content; None where there is none."""
        system, root = self._opened
        with self._explained(name):
            try:
                with system.open_input_stream(f"{root}/{name}") as stream:
                    content: bytes = stream.read()
            except FileNotFoundError:
                return None
        return content

    def names(self, folder: str) -> list[str]:
        """Names of the files in a folder, sorted; none where there is no such folder."""
        system, root = self._opened
        with self._explained(folder):
            selector = FileSelector(f"{root}/{folder}", allow_not_found=True)
            found = system.get_file_info(selector)
        return sorted(info.base_name for info in found if info.type == FileType.File)

    def delete(self, name: str) -> None:
        """Remove a file if it is there."""
        system, root = self._opened
        with self._explained(name):
            if system.get_file_info(f"{root}/{name}").type == FileType.File:
                system.delete_file(f"{root}/{name}")

    def delete_folder(self, folder: str) -> None:
        """Remove a folder and all that is in it."""
        system, root = self._opened
        with self._explained(folder):
            system.delete_dir(f"{root}/{folder}")

    @cached_property
    def _opened(self) -> tuple[FileSystem, str]:
        with self._explained(""):
            try:
                system, root = FileSystem.from_uri(self.url)
            except ValueError as refused:  # not one of pyarrow's own protocols
                try:
                    other, root = fsspec.core.url_to_fs(self.url)
                except (ValueError, ImportError) as error:
                    scheme = urlsplit(self.url).scheme
                    why = error if scheme not in _NATIVE else refused
                    raise StorageError(f"{self.url}: cannot be used: {why}") from error
                system = PyFileSystem(FSSpecHandler(other))
        return system, root.rstrip("/")

    @contextmanager
    def _explained(self, name: str) -> Iterator[None]:
        try:
            yield
        except (OSError, ArrowException) as error:
            where = f"{self.url} {name}".rstrip()
            why = str(error).strip().partition("\n")[0] or type(error).__name__
            raise StorageError(f"{where}: {why}") from error


Result = TypeVar("Result")
_MAKE_ROOM = "What is on disk is whole; make room and resume"
_REACH = "What is stored is whole; see that it can be reached and has room, and resume"
_WAITS_S = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0)  # a minute and the time of seven tries


def patiently(action: Callable[[], Result]) -> Result:
    """What an action gives, tried again after a while if storage fails.

    Raises:
        StorageError: of the last try.
    """
    for seconds in _WAITS_S:
        try:
            return action()
        except StorageError:
            time.sleep(seconds)
    return action()


class Unwritable(Exception):
    """A trial's folder, or the storage that it keeps its files in, takes no more."""


@contextmanager
def storing(path: Path) -> Iterator[None]:
    """Tell what the disk refuses from what a trial does wrong.

    Raises:
        Unwritable: says where and why.
    """
    try:
        yield
    except StorageError as error:
        why, remedy = str(error), _REACH
    except CheckpointError as error:
        why, remedy = str(error), _MAKE_ROOM
    except OSError as error:
        why, remedy = f"{path}: cannot be written: {error.strerror}", _MAKE_ROOM
    else:
        return
    raise Unwritable(f"{why} (on {socket.gethostname()}). {remedy}")


_NATIVE = frozenset({"file", "s3", "gs", "gcs", "abfs", "abfss", "hdfs", "viewfs"})
