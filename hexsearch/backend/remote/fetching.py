"""Finds a study in storage, and fetches it to this machine, where it goes on."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

from hexsearch.backend.remote.copies import TREES
from hexsearch.backend.remote.lease import LEASE, Holder, Lease, Watch
from hexsearch.backend.remote.ledger_copy import FIRST_PART, copied_parts, is_part, store_copy
from hexsearch.backend.storage import Storage, patiently
from hexsearch.errors import CheckpointError, ConfigError, DiskError, LedgerError, StorageError
from hexsearch.ledger.folder import StudyFolder, require_name
from hexsearch.ledger.ledger import is_held
from hexsearch.training.atomic import write_atomically

_BLOCK_BYTES = 4 * 2**20  # of a ledger that is compared; none is held in memory as a whole


def study_url(base: str, name: str) -> str:
    """The URL of a study in the storage of a `run.trial_files`.

    >>> study_url("s3://bucket/studies?region=eu-west-1", "heads")
    's3://bucket/studies/heads?region=eu-west-1'
    """
    parts = urlsplit(base)
    return parts._replace(path=f"{parts.path.rstrip('/')}/{name}").geturl()


def split_study_url(url: str) -> tuple[str, str]:
    """The `run.trial_files` and the name of a study, from its URL.

    >>> split_study_url("s3://bucket/studies/heads?region=eu-west-1")
    ('s3://bucket/studies?region=eu-west-1', 'heads')
    """
    parts = urlsplit(url)
    above, _, name = parts.path.rstrip("/").rpartition("/")
    if not name:
        raise ConfigError(f"{url}: names no study; give its name after the folder of studies")
    require_name(name)
    return parts._replace(path=above).geturl(), name


def holds_study(url: str, name: str) -> bool:
    """Whether storage holds a study of this name.

    Raises:
        StorageError: storage cannot be read.
    """
    return FIRST_PART in Storage(url).names(name)


def require_unused(folder: StudyFolder, url: str | None) -> None:
    """Check that storage holds no study of this name.

    Raises:
        ConfigError: it does; says how to start another one.
        StorageError: storage cannot be read.
    """
    if url and holds_study(url, folder.name):
        raise ConfigError(
            f"{url} already holds a study named {folder.name}; continue it with "
            f"'resume {study_url(url, folder.name)}', or give another --name"
        )


def fetch_study(url: str, results: Path, watch: Watch) -> StudyFolder:
    """Fetch a study from storage into `results`, and take its lease for its folder there.

    Raises:
        LedgerError: there is no such study, or a driver that lives runs it.
        ConfigError: a folder of this name holds records that storage does not have.
        StorageError: storage cannot be read.
        DiskError: the folder cannot be written.
    """
    base, name = split_study_url(url)
    folder, storage = StudyFolder(results / name), Storage(base)
    if not patiently(lambda: holds_study(base, name), waits_s=(1.0, 2.0)):
        raise LedgerError(f"{url}: no study is stored there")
    if not folder.has_records:
        folder.require_new()
        folder.require_writable()
    elif is_held(folder.ledger):
        raise LedgerError(f"{folder.path}: another process is running this study; wait for it")
    holder = Holder.of_folder(folder.path)
    lease = Lease.take(Storage(base), name, holder, watch)  # renewed from a thread of its own
    try:
        # Another driver may have written until now. Nobody does from here on.
        with lease.kept():
            fetched = _fetch(storage, folder)
        if fetched:
            watch.say(f"fetched {url} to {folder.path}")
        else:
            watch.say(f"{folder.path} holds this study, which goes on from there")
        lease.remember(folder.path)
    except (CheckpointError, OSError) as error:
        lease.release()
        raise DiskError(f"{url} cannot be fetched: {error}") from error
    except (ConfigError, DiskError, StorageError):
        lease.release()
        raise
    return folder


def require_newest(folder: StudyFolder, url: str, stored_name: object) -> None:
    """Check that the study has not gone on on another host.

    Args:
        stored_name: the study's name in study.yaml, by which storage knows its files.
    Raises:
        ConfigError: it has; says how to go on.
        StorageError: storage cannot be read.
    """
    if stored_name != folder.name:
        raise ConfigError(
            f"{folder.path}: storage has its trials under the name {stored_name}; name the folder "
            "so again"
        )
    if not _is_within(copied_parts(Storage(url), folder.name), folder.ledger):
        raise ConfigError(
            f"{folder.path}: the study went on on another host, whose records are in storage; move "
            f"this folder away, then 'resume {study_url(url, folder.name)}'"
        )


def _goes_on(folder: StudyFolder, copied: Path) -> bool:
    """Whether the folder has all records of the copy; False if it has older ones.

    Raises:
        ConfigError: it has other ones.
    """
    if _is_within(_blocks(copied), folder.ledger):
        return True
    if _is_within(_blocks(folder.ledger), copied):
        return False
    raise ConfigError(
        f"{folder.path}: holds records that storage does not have; move the folder away, or give "
        "another --results"
    )


def _is_within(shorter: Iterable[bytes], longer: Path) -> bool:
    """Whether the ledger in a file begins with all complete lines of another one.

    Args:
        shorter: the bytes of the other one, in blocks of any length.
    """
    differs = False
    with longer.open("rb") as file:
        for block in shorter:
            start = 0 if differs else _common(block, file.read(len(block)))
            differs = differs or start < len(block)
            if block.find(b"\n", start) >= 0:  # a complete line ends behind the first difference
                return False
    return True


def _common(one: bytes, other: bytes) -> int:
    """How many bytes are equal before the first that is not."""
    if other.startswith(one):
        return len(one)
    pairs = enumerate(zip(one, other, strict=False))
    return next((at for at, (a, b) in pairs if a != b), min(len(one), len(other)))


def _blocks(path: Path) -> Iterator[bytes]:
    """The content of a file, a few MiB at a time."""
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            yield block


def _fetch(storage: Storage, folder: StudyFolder) -> bool:
    """Write all files of a study but those of its trials, completely or not at all.

    Returns:
        False if the folder had all records of storage already, so that nothing was written.
    """
    name = re.compile(rf"\.{re.escape(folder.name)}\.\d+\.partial")
    for left in folder.path.parent.glob(".*.partial"):
        if name.fullmatch(left.name):  # of a driver that was killed: this one has the lease
            shutil.rmtree(left, ignore_errors=True)
    partial = folder.path.with_name(f".{folder.name}.{os.getpid()}.partial")
    copied = partial / folder.ledger.name
    try:
        store_copy(storage, folder.name, copied)
        if not folder.has_records:
            _fetch_files(storage, folder.name, partial)
            if folder.path.exists():
                folder.path.rmdir()
            partial.rename(folder.path)
        elif _goes_on(folder, copied):
            return False
        else:
            _fetch_files(storage, folder.name, folder.path)
            copied.replace(folder.ledger)
        return True
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _fetch_files(storage: Storage, name: str, target: Path) -> None:
    """Write the files of a study to a folder, without its ledger and those of its trials."""
    files = [file for file in storage.names(name) if file != LEASE and not is_part(file)]
    for tree in TREES:
        files += [f"{tree}/{file}" for file in storage.sizes(f"{name}/{tree}")]
    for file in files:
        if file.endswith(".partial"):
            continue
        content = patiently(lambda file=file: storage.read(f"{name}/{file}"))  # type: ignore[misc]
        if content is not None:
            write_atomically(target / file, content)
