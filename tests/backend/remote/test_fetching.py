"""A study goes on on another host, from what storage has of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from filelock import FileLock

from hexsearch.backend.remote import ledger_copy
from hexsearch.backend.remote.fetching import (
    _is_within,
    fetch_study,
    require_newest,
    require_unused,
    split_study_url,
    study_url,
)
from hexsearch.backend.remote.lease import LEASE, Holder, Lease, Watch
from hexsearch.backend.remote.ledger_copy import LedgerCopy
from hexsearch.backend.storage import Storage
from hexsearch.errors import ConfigError, LedgerError, StorageError
from hexsearch.ledger.folder import StudyFolder
from tests.backend.remote.made import made_copies, written_study

WATCH = Watch(sleep=lambda seconds: None)


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return Storage.of_path(tmp_path / "bucket")


@pytest.fixture
def url(storage: Storage) -> str:
    return study_url(storage.url, "study")


@pytest.fixture
def first(storage: Storage, tmp_path: Path) -> StudyFolder:
    """The folder of a driver that ended, whose study is in storage."""
    folder = written_study(tmp_path / "first host" / "study")
    copies = made_copies(folder, storage, pytest.fail)
    with copies:
        pass
    copies._lease.release()
    return folder


def test_all_files_of_a_study_arrive_and_its_lease_is_held(
    first: StudyFolder, storage: Storage, url: str, tmp_path: Path
) -> None:
    results = tmp_path / "second host"
    found = fetch_study(url, results, WATCH)
    assert found.path == results / "study"
    for path in sorted(first.path.rglob("*")):
        if path.is_file() and path.name != "driver.token":
            assert (found.path / path.relative_to(first.path)).read_bytes() == path.read_bytes()
    assert storage.names("study") == [LEASE, "games.archive", "ledger.jsonl", "study.yaml"]
    assert [path.name for path in results.iterdir()] == ["study"]
    never = Watch(sleep=lambda seconds: pytest.fail("it is this folder's own"))
    Lease.take(storage, "study", Holder.of_folder(found.path), never)


def test_a_study_whose_driver_lives_is_left_alone(
    first: StudyFolder, storage: Storage, url: str, tmp_path: Path
) -> None:
    lease = Lease.take(storage, "study", Holder("node-a", 11, "x"), WATCH)

    def sleep(seconds: float) -> None:
        lease.renew()

    with pytest.raises(LedgerError, match="process 11 on node-a is running this study"):
        fetch_study(url, tmp_path / "second", Watch(sleep=sleep))
    assert not (tmp_path / "second").exists()


def test_an_older_folder_is_brought_up_to_date_and_a_newer_one_is_kept(
    first: StudyFolder, url: str, tmp_path: Path
) -> None:
    second = fetch_study(url, tmp_path / "second", WATCH)
    whole = first.ledger.read_bytes()
    second.ledger.write_bytes(whole[: len(whole) // 2])  # its last line is incomplete
    assert fetch_study(url, tmp_path / "second", WATCH).ledger.read_bytes() == whole
    newer = whole + b"third record\n"
    second.ledger.write_bytes(newer)
    assert fetch_study(url, tmp_path / "second", WATCH).ledger.read_bytes() == newer
    require_newest(second, url.rpartition("/")[0], "study")


def test_a_fetch_that_storage_ends_in_the_middle_leaves_no_folder_and_no_lease(
    first: StudyFolder, storage: Storage, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_copy, "_PART_BYTES", 8)
    LedgerCopy(storage, "study", first.ledger).push()
    read = Storage.read

    def fails(self: Storage, name: str) -> bytes | None:
        if name.endswith("ledger-0001.jsonl"):
            raise StorageError(f"{name}: away")
        return read(self, name)

    monkeypatch.setattr(Storage, "read", fails)
    monkeypatch.setattr("hexsearch.backend.storage._WAITS_S", (0.0,))
    with pytest.raises(StorageError, match=r"ledger-0001\.jsonl: away"):
        fetch_study(url, tmp_path / "second", WATCH)
    assert list((tmp_path / "second").iterdir()) == []
    assert LEASE not in storage.names("study")
    monkeypatch.undo()
    monkeypatch.setattr(ledger_copy, "_PART_BYTES", 8)
    second = fetch_study(url, tmp_path / "second", WATCH)
    assert second.ledger.read_bytes() == first.ledger.read_bytes()


def test_what_a_killed_fetch_left_is_removed_by_the_next_one_and_nothing_else(
    first: StudyFolder, url: str, tmp_path: Path
) -> None:
    results = tmp_path / "second"
    for name in (".study.123.partial", ".study.b.123.partial", "study.123.partial"):
        (results / name).mkdir(parents=True)
    fetch_study(url, results, WATCH)
    names = sorted(path.name for path in results.iterdir())
    assert names == [".study.b.123.partial", "study", "study.123.partial"]


@pytest.mark.parametrize("block", [1, 2, 3, 100])
@pytest.mark.parametrize(
    ("shorter", "longer", "expected"),
    [
        (b"", b"", True),
        (b"a\nb\n", b"a\nb\nc\n", True),
        (b"a\nb\nxx", b"a\nb\ncc\n", True),  # its last line is incomplete
        (b"a\nb\nccccc", b"a\nb\n", True),
        (b"a\nb\nc\n", b"a\nb\n", False),
        (b"a\nx\n", b"a\nb\nc\n", False),
        (b"a\nx", b"b\n", False),
        (b"a\nb\n", b"a\nb", False),
        (b"xx\n", b"", False),
    ],
)
def test_one_ledger_is_within_another_by_its_complete_lines(
    shorter: bytes, longer: bytes, expected: bool, block: int, tmp_path: Path
) -> None:
    path = tmp_path / "ledger.jsonl"
    path.write_bytes(longer)
    blocks = [shorter[at : at + block] for at in range(0, len(shorter), block)]
    assert _is_within(blocks, path) == expected


def test_a_folder_with_other_records_is_neither_overwritten_nor_resumed(
    first: StudyFolder, storage: Storage, url: str, tmp_path: Path
) -> None:
    first.ledger.write_bytes(b"first record\nanother second record\n")
    with pytest.raises(ConfigError, match="holds records that storage does not have; move"):
        fetch_study(url, first.path.parent, WATCH)
    assert first.ledger.read_bytes() == b"first record\nanother second record\n"
    assert LEASE not in storage.names("study")
    with pytest.raises(ConfigError, match=r"went on on another host.*'resume file://"):
        require_newest(first, storage.url, "study")


def test_a_folder_that_was_renamed_is_told_its_name_in_storage(
    first: StudyFolder, storage: Storage
) -> None:
    with pytest.raises(ConfigError, match="under the name heads; name the folder so again"):
        require_newest(first, storage.url, "heads")


def test_a_study_that_runs_here_is_not_fetched_over_itself(
    storage: Storage, first: StudyFolder, url: str
) -> None:
    with (
        FileLock(first.ledger.with_suffix(".lock")),
        pytest.raises(LedgerError, match="another process is running this study"),
    ):
        fetch_study(url, first.path.parent, WATCH)


def test_a_url_without_a_study_is_one_line(storage: Storage, tmp_path: Path) -> None:
    storage.write("other/ledger.jsonl", b"x\n")
    with pytest.raises(LedgerError, match="no study is stored there"):
        fetch_study(study_url(storage.url, "study"), tmp_path / "results", WATCH)
    assert not (tmp_path / "results").exists()
    with pytest.raises(ConfigError, match="names no study"):
        split_study_url("s3://bucket")


def test_a_new_study_of_the_same_name_is_refused_with_the_way_to_go_on(
    first: StudyFolder, storage: Storage, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=r"already holds a study named study; .* 'resume file://"):
        require_unused(StudyFolder(tmp_path / "third" / "study"), storage.url)
    require_unused(StudyFolder(tmp_path / "third" / "other"), storage.url)
    require_unused(StudyFolder(tmp_path / "third" / "study"), None)


def test_options_of_a_url_stay_behind_its_path() -> None:
    base = "s3://bucket/studies?scheme=http&endpoint_override=10.0.0.1:9000"
    url = study_url(base, "heads")
    assert url == "s3://bucket/studies/heads?scheme=http&endpoint_override=10.0.0.1:9000"
    assert split_study_url(url) == (base, "heads")
