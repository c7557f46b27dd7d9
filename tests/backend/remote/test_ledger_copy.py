"""Tests of the copy of a ledger in storage."""

from __future__ import annotations

from pathlib import Path

import pytest

from hexsearch.backend.remote import ledger_copy
from hexsearch.backend.remote.ledger_copy import LedgerCopy, read_copy
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


def test_a_copy_is_the_ledger_at_each_length(storage: Counting, tmp_path: Path) -> None:
    copy = LedgerCopy(storage, "heads", tmp_path / "ledger.jsonl")
    assert read_copy(storage, "heads") is None
    for lines in range(40):
        ledger = written(tmp_path / "ledger.jsonl", lines)
        copy.push()
        assert read_copy(storage, "heads") == ledger.read_bytes()


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
    assert read_copy(storage, "heads") == before
    storage.__dict__["refused"] = ""
    copy.push()
    assert read_copy(storage, "heads") == path.read_bytes()


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
    assert read_copy(storage, "heads") == path.read_bytes()
    LedgerCopy(storage, "heads", path).push()
    assert storage.files("heads")["ledger.jsonl"] == PART
    assert read_copy(storage, "heads") == path.read_bytes()


def test_full_parts_of_another_driver_are_replaced(storage: Counting, tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    path.write_bytes(b"theirs".ljust(3 * PART, b"."))
    LedgerCopy(storage, "heads", path).push()
    path.write_bytes(b"own".ljust(3 * PART, b"-"))
    copy = LedgerCopy(storage, "heads", path)
    copy.push()
    assert read_copy(storage, "heads") == path.read_bytes()
    storage.write("heads/ledger.jsonl", b"late".ljust(PART, b"."))  # a request that had hung
    copy.push(everything=True)
    assert read_copy(storage, "heads") == path.read_bytes()


def test_a_driver_that_was_cut_off_overwrites_no_part(storage: Counting, tmp_path: Path) -> None:
    path = written(tmp_path / "ledger.jsonl", 20)
    storage.write("heads/ledger.jsonl", b"theirs")
    answers = iter([True, False])
    LedgerCopy(storage, "heads", path, lambda: next(answers)).push()
    assert read_copy(storage, "heads") == b"theirs"  # a later part came before the lease was lost
