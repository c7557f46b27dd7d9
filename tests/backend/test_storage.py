"""Storage that is not on the driver: in a folder, and in an object store in memory."""

from __future__ import annotations

import os
import uuid
from pathlib import Path

import pytest

from hexsearch.backend.file_sync import PREVIOUS, FileSync
from hexsearch.backend.nodes import examine_node
from hexsearch.backend.storage import Storage, scratch_folder
from hexsearch.errors import StorageError
from hexsearch.ledger.folder import CHECKPOINT


@pytest.fixture(params=["file", "memory"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    if request.param == "file":
        return Storage.of_path(tmp_path / "a place")
    return Storage(f"memory://{uuid.uuid4().hex}")


def test_what_is_written_is_read_back_whole_and_nothing_else_is_there(storage: Storage) -> None:
    assert storage.read("a/b") is None
    assert storage.names("a") == []
    storage.write("a/b", b"older")
    storage.write("a/b", b"newer")
    assert storage.read("a/b") == b"newer"
    assert storage.names("a") == ["b"]
    storage.delete("a/b")
    storage.delete("a/b")
    assert storage.read("a/b") is None


def test_sizes_are_those_of_all_files_below_a_folder(storage: Storage) -> None:
    assert storage.sizes("study/trials") == {}
    storage.write("study/trials/t0000/a", b"1")
    storage.write("study/trials/t0001/b/c", b"123")
    storage.write("study/ledger.jsonl", b"elsewhere")
    assert storage.sizes("study/trials") == {"t0000/a": 1, "t0001/b/c": 3}


def test_the_checkpoint_travels_last_and_unchanged_files_stay(
    storage: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    local = tmp_path / "local"
    local.mkdir()
    for name in (CHECKPOINT, "curve.jsonl", ".x.partial", "games-1.npz"):
        (local / name).write_text(name)
    written: list[str] = []
    write = Storage.write

    def record(self: Storage, name: str, content: bytes, keep_as: str | None) -> None:
        written.append(name)
        write(self, name, content, keep_as)

    monkeypatch.setattr(Storage, "write", record)
    mirror = FileSync(storage, "s/trials/t0000", local)
    mirror.push()
    assert [name.rpartition("/")[2] for name in written] == [
        "curve.jsonl",
        "games-1.npz",
        CHECKPOINT,
    ]
    (local / "curve.jsonl").write_text("longer than before")
    mirror.push()
    assert written[3:] == ["s/trials/t0000/curve.jsonl"]
    other = FileSync(storage, "s/trials/t0000", tmp_path / "other")
    other.pull(lambda name: name != CHECKPOINT)
    assert sorted(path.name for path in (tmp_path / "other").iterdir()) == [
        "curve.jsonl",
        "games-1.npz",
    ]


def test_storage_keeps_the_checkpoint_before_the_newest(storage: Storage, tmp_path: Path) -> None:
    local = tmp_path / "local"
    local.mkdir()
    mirror = FileSync(storage, "s/trials/t0000", local)
    for content in (b"first", b"second", b"the third"):
        (local / CHECKPOINT).write_bytes(content)
        (local / PREVIOUS).write_bytes(b"of this disk")
        mirror.push()
    assert storage.read(f"s/trials/t0000/{CHECKPOINT}") == b"the third"
    assert storage.read(f"s/trials/t0000/{PREVIOUS}") == b"second"
    assert storage.names("s/trials/t0000") == sorted([CHECKPOINT, PREVIOUS])


def test_a_checkpoint_that_storage_does_not_give_back_replaces_none(tmp_path: Path) -> None:
    """The file that is read back is another one: a disk or a service that lies."""
    storage = Storage.of_path(tmp_path / "place")
    storage.write(f"t/{CHECKPOINT}", b"sound", f"t/{PREVIOUS}")
    partial = tmp_path / "place" / "t" / f"{CHECKPOINT}.{os.getpid()}.partial"
    partial.symlink_to("/dev/null")  # takes everything and gives nothing back
    with pytest.raises(StorageError, match="reads back as something else"):
        storage.write(f"t/{CHECKPOINT}", b"newer", f"t/{PREVIOUS}")
    assert storage.read(f"t/{CHECKPOINT}") == b"sound"
    assert storage.read(f"t/{PREVIOUS}") is None


@pytest.mark.parametrize("action", ["read", "write"])
def test_one_request_that_storage_refuses_does_not_refuse_a_node(
    action: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client of S3 does not repeat a request for a file that is smaller than a 503's text."""
    storage = Storage.of_path(tmp_path)
    storage.write("check/driver", b"check")
    whole = getattr(Storage, action)
    refused: list[str] = []

    def once(self: Storage, name: str, *more: bytes) -> object:
        if not refused:
            refused.append(name)
            raise StorageError(f"{name}: 503")
        return whole(self, name, *more)

    monkeypatch.setattr(Storage, action, once)
    monkeypatch.setattr("hexsearch.backend.nodes._WAITS_S", (0.0,))
    assert examine_node(storage.url, "check", "n1")["problem"] == ""
    assert refused


def test_a_node_that_does_not_see_the_drivers_file_is_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hexsearch.backend.nodes._WAITS_S", (0.0,))
    driver, elsewhere = Storage.of_path(tmp_path / "a"), Storage.of_path(tmp_path / "b")
    driver.write("check/driver", b"check")
    assert examine_node(driver.url, "check", "n1")["problem"] == ""
    assert driver.read("check/n1") == b"check"
    assert "is not the driver's" in examine_node(elsewhere.url, "check", "n2")["problem"]
    (tmp_path / "c").write_text("a file, not a folder")
    blocked = examine_node(Storage.of_path(tmp_path / "c").url, "check", "n3")["problem"]
    assert blocked.startswith("file://") and "\n" not in blocked


@pytest.mark.parametrize("url", ["nonsense://bucket/x", "sftp://nowhere"])
def test_storage_that_nothing_here_can_reach_is_one_line(url: str) -> None:
    with pytest.raises(StorageError, match=f"{url}: cannot be used: ") as caught:
        Storage(url).read("x")
    assert len(caught.value.problems) == 1


def test_scratch_is_private_and_can_be_moved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEXSEARCH_SCRATCH", str(tmp_path / "scratch"))
    assert scratch_folder() == tmp_path / "scratch"
    assert (tmp_path / "scratch").stat().st_mode & 0o077 == 0
