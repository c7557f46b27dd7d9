"""While a study runs, storage has a copy of it from which it can go on."""

from __future__ import annotations

from pathlib import Path

import pytest

from hexsearch.backend import storage as storage_module
from hexsearch.backend.remote.lease import LEASE, Holder, Lease, Watch
from hexsearch.backend.storage import Storage
from tests.backend.remote.made import REFUSED, made_copies, refuse_everything, written_study


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return Storage.of_path(tmp_path / "bucket")


def test_the_last_copy_is_the_whole_study_and_its_whole_ledger(
    storage: Storage, tmp_path: Path
) -> None:
    folder = written_study(tmp_path / "study")
    with made_copies(folder, storage, pytest.fail):
        folder.ledger.write_text("with its last record\n")
    assert storage.read("study/ledger.jsonl") == b"with its last record\n"
    assert storage.read("study/games.archive") == b"games.archive"
    assert storage.read("study/study.yaml") == b"study.yaml"
    assert storage.read("study/baselines/always-half/games-0.npz") == b"losses"


def test_a_copy_ends_with_the_ledger_which_is_no_longer_than_the_files(
    storage: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever finds a ledger in storage finds all that belongs to it."""
    written: list[str] = []
    write = Storage.write

    def record(self: Storage, name: str, content: bytes, keep_as: str | None = None) -> None:
        written.append(name)
        write(self, name, content, keep_as)

    copies = made_copies(written_study(tmp_path / "study"), storage, pytest.fail)
    monkeypatch.setattr(Storage, "write", record)
    copies._copy()
    assert written[-1] == "study/ledger.jsonl" and len({*written} - {"study/driver.json"}) == 4


def test_a_checkpoint_is_removed_after_a_copy_that_does_not_need_it(
    storage: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage.write("study/trials/t0000/checkpoint.pt", b"network")
    folder = written_study(tmp_path / "study")
    copies = made_copies(folder, storage, pytest.fail)
    folder.ledger.write_text("t0000 was pruned\n")
    copies.delete("study/trials/t0000/checkpoint.pt")
    assert storage.read("study/trials/t0000/checkpoint.pt") == b"network"
    deleted: list[bytes | None] = []
    delete = Storage.delete

    def record(self: Storage, name: str) -> None:
        deleted.append(self.read("study/ledger.jsonl"))
        delete(self, name)

    monkeypatch.setattr(Storage, "delete", record)
    copies._copy()
    assert deleted == [b"t0000 was pruned\n"]
    assert storage.read("study/trials/t0000/checkpoint.pt") is None
    copies._copy()
    assert len(deleted) == 1


def test_storage_that_takes_nothing_is_one_line_and_the_study_goes_on(
    storage: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage_module, "_WAITS_S", (0.0, 0.0))
    folder = written_study(tmp_path / "study")
    said: list[str] = []
    copies = made_copies(folder, storage, said.append)
    with monkeypatch.context() as patch:
        refuse_everything(patch)
        with copies:
            pass
    assert said == [f"warning: storage cannot be used for now, and the study goes on: {REFUSED}"]


def test_a_driver_that_lost_its_study_writes_no_copy_over_the_other_ones(
    storage: Storage, tmp_path: Path
) -> None:
    folder = written_study(tmp_path / "study")
    copies = made_copies(folder, storage, pytest.fail)
    other = Holder("node-b", 22, "token-b")
    Lease.take(storage, "study", other, Watch(sleep=lambda seconds: None))
    storage.write("study/ledger.jsonl", b"the other one's\n")
    with copies:
        pass
    assert "on node-b has taken the study over" in str(copies.lost)
    assert storage.read("study/ledger.jsonl") == b"the other one's\n"
    assert LEASE in storage.names("study")
