"""A study's copies, lease and storage for tests, without threads and without waiting."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from hexsearch.backend.remote.copies import StudyCopies
from hexsearch.backend.remote.lease import Holder, Lease, Watch
from hexsearch.backend.remote.outage import Outage
from hexsearch.backend.storage import Storage
from hexsearch.errors import StorageError
from hexsearch.ledger.folder import StudyFolder

REFUSED = "s3://bucket: AWS Error ACCESS_DENIED"


def made_lease(folder: StudyFolder, storage: Storage) -> Lease:
    return Lease.take(storage, folder.name, Holder.of_folder(folder.path), Watch())


def made_copies(folder: StudyFolder, storage: Storage, say: Callable[[str], None]) -> StudyCopies:
    folder.path.mkdir(parents=True, exist_ok=True)
    return StudyCopies(folder, storage, made_lease(folder, storage), Outage(say))


def written_study(path: Path) -> StudyFolder:
    """A folder with the files that a driver copies; they hold no study."""
    folder = StudyFolder(path)
    (folder.path / "baselines" / "always-half").mkdir(parents=True)
    (folder.path / "baselines" / "always-half" / "games-0.npz").write_text("losses")
    for file in (folder.description, folder.archive):
        file.write_text(file.name)
    folder.ledger.write_text("first record\nsecond record\n")
    return folder


def refuse_everything(patch: pytest.MonkeyPatch) -> None:
    """Storage that takes and gives nothing, as with credentials that were revoked."""

    def refuse(*_: object, **__: object) -> None:
        raise StorageError(REFUSED)

    for name in ("read", "write", "names", "sizes", "delete"):
        patch.setattr(Storage, name, refuse)
