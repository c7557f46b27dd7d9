"""Games and trunks on their way to a node: by content hash, fetched once, for all its workers."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock

from hexsearch.backend.storage import scratch_folder
from hexsearch.data.archive import GameArchive, open_archive
from hexsearch.errors import ArchiveError, TrialError
from hexsearch.training.atomic import write_atomically

Fetch = Callable[[str], bytes | None]  # content hash -> bytes from the driver, if it ships them


def find_games(archive: Path, content_hash: str, fetch: Fetch) -> GameArchive:
    """Map the study's games on this node.

    Where the node sees the study's own archive it is used as it is: the driver has compared its
    checksum, so the header's hash is enough. Elsewhere the node keeps a copy named by content
    hash, which its workers and later studies map too; the first of them fetches it.

    Args:
        fetch: gives the archive's bytes.
    Raises:
        TrialError: this node has other games, or none.
    """
    try:
        found = open_archive(archive, check=False)
        if found.content_hash == content_hash:
            return found
        problem = f"{archive} holds other games than the study's"
    except ArchiveError as error:
        problem = str(error)
    copy = _node_copy(scratch_folder() / "games", content_hash, fetch)
    if copy is None:
        raise TrialError(f"{problem} (on {socket.gethostname()}, and the driver ships no games)")
    return copy


def find_trunk(checkpoint: Path, content_hash: str, fetch: Fetch) -> Path:
    """Where a frozen trunk's checkpoint lies on this node.

    Raises:
        TrialError: the node does not see the study's folder, and the driver ships no trunk.
    """
    if checkpoint.exists():
        return checkpoint
    path = scratch_folder() / "trunks" / f"{content_hash}.pt"
    with _locked(path):
        if not path.exists():
            content = fetch(content_hash)
            if content is None:
                raise TrialError(
                    f"{checkpoint} is missing on {socket.gethostname()}, and the driver ships no "
                    "trunk"
                )
            write_atomically(path, content)
    return path


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
        found = open_archive(path)
    if found.content_hash != content_hash:
        path.unlink()
        raise TrialError(f"the driver sent games {found.content_hash}, not {content_hash}")
    return found


def _locked(path: Path) -> FileLock:
    """The node's other workers wait instead of fetching a file too."""
    path.parent.mkdir(exist_ok=True)
    return FileLock(path.with_suffix(".lock"))
