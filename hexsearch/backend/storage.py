"""Storage of a study's files: a folder that nodes share, or a URL such as `s3://`.

pyarrow itself supports `s3://`, `gs://`, `abfs://` and `hdfs://`. Other protocols use fsspec and
the package that fsspec names for them. Ray Tune installs both. A file is written under another
name and then moved, so that readers find it complete or not at all.
"""

from __future__ import annotations

import errno
import getpass
import os
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

import fsspec
from pyarrow import ArrowException
from pyarrow.fs import (
    AwsStandardS3RetryStrategy,
    FileSelector,
    FileSystem,
    FileType,
    FSSpecHandler,
    PyFileSystem,
    S3FileSystem,
)

from hexsearch.errors import CheckpointError, StorageError
from hexsearch.training.atomic import remedy_for


def scratch_folder() -> Path:
    """This node's folder for copies of games and of trials, which only the user can read.

    `HEXSEARCH_SCRATCH` sets another folder. It must not be shared between nodes, as a home folder
    may be.

    Raises:
        StorageError: it belongs to another user, or cannot be created.
    """
    given = os.environ.get("HEXSEARCH_SCRATCH")
    path = Path(given) if given else Path(tempfile.gettempdir()) / f"hexsearch-{_user()}"
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        owner = path.stat().st_uid
    except OSError as error:
        raise StorageError(f"{path}: cannot be created: {error.strerror}") from error
    if sys.platform != "win32" and owner != os.getuid():
        raise StorageError(f"{path}: belongs to another user; set HEXSEARCH_SCRATCH to a folder")
    return path


def _user() -> str:
    """A text that is different for each user of a machine."""
    if sys.platform == "win32":
        return getpass.getuser()
    return str(os.getuid())


@dataclass(frozen=True)
class Storage:
    """Storage of files by name (`t0001/checkpoint.pt`). All its errors are StorageErrors.

    Attributes:
        url: URL of the folder that holds the files. It may have pyarrow's options, as in
            `s3://bucket/studies?region=eu-west-1`.
    """

    url: str

    @classmethod
    def of_path(cls, path: Path) -> Storage:
        """Storage in a folder."""
        return cls(path.resolve().as_uri())

    def write(self, name: str, content: bytes, keep_as: str | None = None) -> None:
        """Store a file completely, and replace an older one.

        Args:
            keep_as: new name of the older file, which is kept. The new file is read back first.
        """
        system, root = self._opened
        target = f"{root}/{name}"
        is_s3 = system.type_name == "s3"
        # S3 shows an object when it is complete, so that only what must be read back is moved.
        at_once = is_s3 and keep_as is None
        partial = target if at_once else f"{target}.{os.getpid()}.partial"
        with self._explained(name):
            folder = root if is_s3 else target.rpartition("/")[0]  # S3 has no other folders
            if not is_s3 or folder not in self._created:
                system.create_dir(folder, recursive=True)
                self._created.add(folder)
            with system.open_output_stream(partial) as stream:
                stream.write(content)
            if at_once:
                return
            if keep_as is not None and system.get_file_info(target).type == FileType.File:
                with system.open_input_file(partial) as stream:
                    if stream.read() != content:
                        raise OSError(errno.EIO, "what was written reads back as something else")
                system.move(target, f"{root}/{keep_as}")
            system.move(partial, target)

    def read(self, name: str) -> bytes | None:
        """The content of a file; None if there is no such file."""
        system, root = self._opened
        with self._explained(name):
            try:
                with system.open_input_file(f"{root}/{name}") as stream:
                    content: bytes = stream.read()
            except FileNotFoundError:
                return None
        return content

    def names(self, folder: str) -> list[str]:
        """Sorted names of the files in a folder; none if there is no such folder."""
        return sorted(self.files(folder))

    def files(self, folder: str) -> dict[str, int]:
        """Bytes of each file in a folder, by its name, without those of further folders."""
        system, root = self._opened
        with self._explained(folder):
            selector = FileSelector(f"{root}/{folder}", allow_not_found=True)
            found = system.get_file_info(selector)
        return {info.base_name: info.size for info in found if info.type == FileType.File}

    def sizes(self, folder: str) -> dict[str, int]:
        """Bytes of every file below a folder, by its name there (`t0001/checkpoint.pt`)."""
        system, root = self._opened
        above = f"{root}/{folder}/".lstrip("/")
        with self._explained(folder):
            selector = FileSelector(f"{root}/{folder}", allow_not_found=True, recursive=True)
            found = system.get_file_info(selector)
        return {
            info.path.lstrip("/").removeprefix(above): info.size
            for info in found
            if info.type == FileType.File
        }

    def delete(self, name: str) -> None:
        """Remove a file if it exists."""
        system, root = self._opened
        with self._explained(name):
            if system.get_file_info(f"{root}/{name}").type == FileType.File:
                system.delete_file(f"{root}/{name}")

    def delete_folder(self, folder: str) -> None:
        """Remove a folder with all its files."""
        system, root = self._opened
        with self._explained(folder):
            system.delete_dir(f"{root}/{folder}")

    @cached_property
    def _opened(self) -> tuple[FileSystem, str]:
        with self._explained(""):
            try:
                system, root = FileSystem.from_uri(self.url)
            except ValueError as refused:  # the protocol is not one of pyarrow's own
                try:
                    other, root = fsspec.core.url_to_fs(self.url)
                except (ValueError, ImportError) as error:
                    scheme = urlsplit(self.url).scheme
                    why = error if scheme not in _NATIVE else refused
                    raise StorageError(f"{self.url}: cannot be used: {why}") from error
                system = PyFileSystem(FSSpecHandler(other))
            if isinstance(system, S3FileSystem):
                system = _patient(system)
        return system, root.rstrip("/")

    @cached_property
    def _created(self) -> set[str]:
        """Folders in S3 that need not be created again."""
        return set()

    @contextmanager
    def _explained(self, name: str) -> Iterator[None]:
        try:
            yield
        except (OSError, ArrowException) as error:
            where = f"{self.url} {name}".rstrip()
            why = str(error).strip().partition("\n")[0] or type(error).__name__
            raise StorageError(f"{where}: {why}") from error


def _patient(system: S3FileSystem) -> S3FileSystem:
    """The same S3 with longer time limits (AWS's own is 3 s a request) and fewer requests.

    Its URL cannot set them. With delayed opening a small file is one request, and not three.
    """
    _, (options,) = system.__reduce__()
    changed = {"connect_timeout": 5.0, "request_timeout": 60.0, "allow_delayed_open": True}
    return S3FileSystem(
        **{**options, **changed}, retry_strategy=AwsStandardS3RetryStrategy(max_attempts=6)
    )


Result = TypeVar("Result")
_REACH = (
    "No file was lost; check that it can be reached, its credentials and its free space, and resume"
)
_WAITS_S = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, *[60.0] * 4)  # between tries, five minutes in all


def patiently(action: Callable[[], Result], waits_s: Sequence[float] | None = None) -> Result:
    """The result of an action, which is repeated if storage fails.

    Args:
        waits_s: seconds between the tries; None waits five minutes in all.
    Raises:
        StorageError: the last try has failed.
    """
    for seconds in _WAITS_S if waits_s is None else waits_s:
        try:
            return action()
        except StorageError:
            time.sleep(seconds)
    return action()


class Unwritable(Exception):
    """A trial's folder, or the storage of its files, cannot be written."""


@contextmanager
def storing(path: Path) -> Iterator[None]:
    """Turn errors of disk and storage into `Unwritable`, to separate them from faults of a trial.

    Raises:
        Unwritable: a file cannot be written; says where and why.
    """
    try:
        yield
    except StorageError as error:
        why, remedy = str(error), _REACH
    except CheckpointError as error:
        why, remedy = str(error), _remedy(error.__cause__)
    except OSError as error:
        why, remedy = f"{path}: cannot be written: {error.strerror}", _remedy(error)
    else:
        return
    raise Unwritable(f"{why} (on {socket.gethostname()}). {remedy}")


def _remedy(error: BaseException | None) -> str:
    """What to do before the study is resumed, by the operating system's error."""
    remedy = remedy_for(error) if isinstance(error, OSError) else "check the disk"
    return f"No file was lost; {remedy} and resume"


_NATIVE = frozenset({"file", "s3", "gs", "gcs", "abfs", "abfss", "hdfs", "viewfs"})
