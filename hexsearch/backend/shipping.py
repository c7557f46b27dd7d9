"""Brings games and trunks to a node: by content hash, once for all its workers."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock

from hexsearch.backend.storage import scratch_folder, storing
from hexsearch.data.archive import GameArchive, open_archive
from hexsearch.errors import ArchiveError, TrialError
from hexsearch.training.atomic import write_atomically

Fetch = Callable[[str], bytes | None]  # content hash -> bytes from the driver, if it sends them


def find_games(archive: Path, content_hash: str, fetch: Fetch) -> GameArchive:
    """Map the study's games on this node.

    If the node sees the study's own archive, it is used. The driver has tested its checksum, so
    comparing the hash in its header is enough. Otherwise the node keeps a copy that is named by
    content hash and used by all workers and later studies. The first worker fetches it.

    Args:
        fetch: function that returns the archive's bytes.
    Raises:
        TrialError: this node has other games, or no games.
        Unwritable: the node's copy cannot be written.
    """
    try:
        opened = open_archive(archive, check=False)
        if opened.content_hash == content_hash:
            return opened
        problem = f"{archive} holds other games than the study's"
    except ArchiveError as error:
        problem = str(error)
    with storing(Path(f"{content_hash}.archive")):
        copy = _node_copy(scratch_folder() / "games", content_hash, fetch)
    if copy is None:
        raise TrialError(f"{problem} (on {socket.gethostname()}; the driver sends no games)")
    return copy


def find_trunk(checkpoint: Path, content_hash: str, fetch: Fetch) -> Path:
    """The path of a frozen trunk's checkpoint on this node.

    Raises:
        TrialError: the node does not see the study's folder, and the driver sends no trunk.
        Unwritable: the node's copy cannot be written.
    """
    if checkpoint.exists():
        return checkpoint
    with storing(Path(f"{content_hash}.pt")):
        path = scratch_folder() / "trunks" / f"{content_hash}.pt"
        _keep_trunk(path, checkpoint, content_hash, fetch)
    return path


def _keep_trunk(path: Path, checkpoint: Path, content_hash: str, fetch: Fetch) -> None:
    with _locked(path):
        if not path.exists():
            content = fetch(content_hash)
            if content is None:
                raise TrialError(
                    f"{checkpoint} is missing on {socket.gethostname()}, and the driver sends no "
                    "trunk"
                )
            write_atomically(path, content)


def _node_copy(folder: Path, content_hash: str, fetch: Fetch) -> GameArchive | None:
    path = folder / f"{content_hash}.archive"
    with _locked(path):
        try:
            return open_archive(path)
        except ArchiveError:  # missing or damaged
            content = fetch(content_hash)
        if content is None:
            return None
        write_atomically(path, content)
        archive = open_archive(path)
    if archive.content_hash != content_hash:
        path.unlink()
        raise TrialError(f"the driver sent games {archive.content_hash}, not {content_hash}")
    return archive


def _locked(path: Path) -> FileLock:
    """A lock, so that other workers of the node wait while one fetches a file."""
    path.parent.mkdir(exist_ok=True)
    return FileLock(path.with_suffix(".lock"))
