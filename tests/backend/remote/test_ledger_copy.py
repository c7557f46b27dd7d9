"""Tests of the copy of a ledger in storage."""

from __future__ import annotations

import filecmp
import tracemalloc
from pathlib import Path

import pytest

from hexsearch.backend.remote import ledger_copy
from hexsearch.backend.remote.ledger_copy import LedgerCopy, copied_parts, store_copy
from hexsearch.backend.storage import Storage
from hexsearch.errors import StorageError

PART = 100


class Counting(Storage):
    """Storage that counts the bytes that are sent, and may refuse a name."""

    sent: dict[str, int]
    refused: str

    @classmethod
    def in_folder(cls, path: Path) -> Counting:
        storage = cls(path.resolve().as_uri())
        object.__setattr__(storage, "sent", {})
        object.__setattr__(storage, "refused", "")
        return storage

    def write(self, name: str, content: bytes, keep_as: str | None = None) -> None:
        if name == self.refused:
            raise StorageError(f"{name}: refused")
        self.sent[name] = self.sent.get(name, 0) + len(content)
        super().write(name, content, keep_as)


@pytest.fixture
def storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Counting:
    monkeypatch.setattr(ledger_copy, "_PART_BYTES", PART)
    return Counting.in_folder(tmp_path / "storage")


def written(path: Path, lines: int) -> Path:
    path.write_bytes(b"".join(b"record %06d of a study\n" % n for n in range(lines)))
    return path


def copied(storage: Storage) -> bytes:
    return b"".join(copied_parts(storage, "heads"))


def test_a_copy_is_the_ledger_at_each_length(storage: Counting, tmp_path: Path) -> None:
    copy = LedgerCopy(storage, "heads", tmp_path / "ledger.jsonl")
    assert copied(storage) == b""
    for lines in range(40):
        ledger = written(tmp_path / "ledger.jsonl", lines)
        copy.push()
        assert copied(storage) == ledger.read_bytes()


def test_a_record_costs_the_same_in_a_long_study(storage: Counting, tmp_path: Path) -> None:
    copy = LedgerCopy(storage, "heads", tmp_path / "ledger.jsonl")
    for lines in range(1, 101):
        written(tmp_path / "ledger.jsonl", lines)
        copy.push()
    assert len(storage.sent) == 25  # 2,500 bytes
    assert max(storage.sent.values()) <= 5 * PART  # five of its lengths


def test_an_interrupted_copy_leaves_the_one_before(storage: Counting, tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    copy = LedgerCopy(storage, "heads", path)
    before = written(path, 6).read_bytes()
    copy.push()
    storage.__dict__["refused"] = "heads/ledger-0001.jsonl"
    written(path, 30)
    with pytest.raises(StorageError):
        copy.push()
    assert copied(storage) == before
    storage.__dict__["refused"] = ""
    copy.push()
    assert copied(storage) == path.read_bytes()


def test_a_shorter_ledger_leaves_no_part_of_a_longer_one(storage: Counting, tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    written(path, 50)
    LedgerCopy(storage, "heads", path).push()
    path.write_bytes(b"x" * 2 * PART)  # another driver went on from fewer records
    LedgerCopy(storage, "heads", path).push()
    assert storage.names("heads") == ["ledger-0001.jsonl", "ledger.jsonl"]


def test_a_copy_in_one_file_is_read_and_goes_on_in_parts(storage: Counting, tmp_path: Path) -> None:
    path = written(tmp_path / "ledger.jsonl", 20)
    storage.write("heads/ledger.jsonl", path.read_bytes())
    assert copied(storage) == path.read_bytes()
    LedgerCopy(storage, "heads", path).push()
    assert storage.files("heads")["ledger.jsonl"] == PART
    assert copied(storage) == path.read_bytes()


def test_full_parts_of_another_driver_are_replaced(storage: Counting, tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    path.write_bytes(b"theirs\n".ljust(3 * PART, b"."))
    LedgerCopy(storage, "heads", path).push()
    path.write_bytes(b"own".ljust(3 * PART, b"-"))
    copy = LedgerCopy(storage, "heads", path)
    copy.push()
    assert copied(storage) == path.read_bytes()
    storage.write("heads/ledger.jsonl", b"late".ljust(PART, b"."))  # a request that had hung
    copy.push(everything=True)
    assert copied(storage) == path.read_bytes()


def test_a_driver_that_was_cut_off_overwrites_no_part(storage: Counting, tmp_path: Path) -> None:
    path = written(tmp_path / "ledger.jsonl", 20)
    storage.write("heads/ledger.jsonl", b"theirs\n")
    answers = iter([True, False])
    LedgerCopy(storage, "heads", path, lambda: next(answers)).push()
    assert copied(storage) == b"theirs\n"  # a later part came before the lease was lost


def test_a_stored_copy_is_the_ledger_and_never_in_memory_as_a_whole(
    storage: Counting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_copy, "_PART_BYTES", 2**18)
    path = tmp_path / "ledger.jsonl"
    path.write_bytes(b"".join(b"record %06d of a study\n" % n for n in range(200_000)))
    LedgerCopy(storage, "heads", path).push()
    assert len(storage.names("heads")) == 20
    tracemalloc.start()
    try:
        store_copy(storage, "heads", tmp_path / "another host" / "ledger.jsonl")
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 4 * 2**18
    assert filecmp.cmp(path, tmp_path / "another host" / "ledger.jsonl", shallow=False)


def test_each_part_is_asked_for_again_if_storage_fails(
    storage: Counting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    LedgerCopy(storage, "heads", written(tmp_path / "ledger.jsonl", 20)).push()
    asked: list[str] = []

    def read(self: Storage, name: str) -> bytes | None:
        asked.append(name)
        if asked.count(name) == 1:
            raise StorageError(f"{name}: 503")
        return whole(self, name)

    whole = Storage.read
    monkeypatch.setattr(Storage, "read", read)
    monkeypatch.setattr("hexsearch.backend.storage._WAITS_S", (0.0,))
    assert copied(storage) == (tmp_path / "ledger.jsonl").read_bytes()
    assert max(map(asked.count, asked)) == 2


def test_a_part_that_was_lost_is_named_and_not_passed_over(
    storage: Counting, tmp_path: Path
) -> None:
    ledger = tmp_path / "ledger.jsonl"
    ledger.write_bytes(b"x" * (3 * PART + 10))
    LedgerCopy(storage, "study", ledger).push()
    storage.delete("study/ledger-0001.jsonl")
    with pytest.raises(StorageError, match=r"ledger-0001\.jsonl is missing, though ledger-0002"):
        store_copy(storage, "study", tmp_path / "copy" / "ledger.jsonl")


def test_a_part_that_was_cut_off_is_named_where_later_ones_are_there(
    storage: Counting, tmp_path: Path
) -> None:
    ledger = tmp_path / "ledger.jsonl"
    ledger.write_bytes(b"record\n" * PART)
    LedgerCopy(storage, "study", ledger).push()
    first = storage.read("study/ledger.jsonl")
    assert first is not None
    storage.write("study/ledger.jsonl", first[:10])
    with pytest.raises(StorageError, match=r"ledger\.jsonl is cut off, though ledger-0001"):
        store_copy(storage, "study", tmp_path / "copy" / "ledger.jsonl")
