"""With disks that are full, read-only or missing, nothing is lost and no file is incomplete."""

from __future__ import annotations

import errno
import json
import os
import resource
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from hexsearch.backend import storage as storage_module
from hexsearch.backend.remote.trial_files import TrialFiles
from hexsearch.backend.storage import Storage
from hexsearch.backend.trainable import TrialWorker
from hexsearch.data.archive import build_archive, write_archive
from hexsearch.errors import (
    ArchiveError,
    CheckpointError,
    ConfigError,
    DiskError,
    LedgerError,
    StorageError,
)
from hexsearch.ledger.events import StudyOpened, Told
from hexsearch.ledger.folder import CHECKPOINT, StudyFolder
from hexsearch.ledger.game_losses import CURVE
from hexsearch.ledger.ledger import Ledger, read_ledger
from hexsearch.ledger.new_study import new_ledger
from hexsearch.training.atomic import append_line
from tests.backend.remote.made import made_copies
from tests.backend.test_trainable import (
    archive,
    assignment,
    comparison,
    heard,
    reports,
    scratch,
)
from tests.data.games import random_games

__all__ = ["archive", "scratch"]  # fixtures


@dataclass
class Disk:
    """A folder whose disk can be made full for a while."""

    path: Path
    full: Callable[[int], Any]  # a context: so many bytes and no more


def _limited(path: Path) -> Disk:
    """The kernel refuses files beyond a size, after writing what fits: a full disk anywhere."""

    @contextmanager
    def full(spare: int) -> Iterator[None]:
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (spare, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    return Disk(path, full)


def mounted(path: Path, *options: str) -> None:
    """A file system of its own at a folder, where that is allowed."""
    done = subprocess.run(
        ["mount", "-t", "tmpfs", *options, "tmpfs", str(path)], capture_output=True, text=True
    )
    if done.returncode:
        pytest.skip(f"no mounting here: {done.stderr.strip()}")


def _small(path: Path) -> Disk:
    @contextmanager
    def full(spare: int) -> Iterator[None]:
        ballast = path / "ballast"
        with open(ballast, "wb", buffering=0) as file:
            free = os.statvfs(path).f_bavail * os.statvfs(path).f_bsize
            file.write(bytes(max(0, free - spare)))
        try:
            yield
        finally:
            ballast.unlink()

    return Disk(path, full)


@pytest.fixture(params=["limit", "mount"])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Disk]:
    path = tmp_path / "disk"
    path.mkdir()
    if request.param == "limit":
        yield _limited(path)
        return
    mounted(path, "-o", "size=16m")
    try:
        yield _small(path)
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_a_ledger_on_a_full_disk_keeps_what_it_holds_and_goes_on_later(disk: Disk) -> None:
    ledger = Ledger(disk.path / "study" / "ledger.jsonl")
    ledger.append(Told(trial="t0", state="FAIL"))
    whole = ledger.path.read_bytes()
    with (
        disk.full(len(whole) + 30),
        pytest.raises(DiskError, match=r"ledger\.jsonl: cannot be written: .*resume") as caught,
    ):
        for _ in range(9):  # a small file system rounds up
            ledger.append(Told(trial="t1", state="x" * 4096))
    assert caught.value.exit_status == 1
    assert ledger.path.read_bytes().startswith(whole)
    kept = read_ledger(ledger.path)
    ledger.append(Told(trial="t2", state="FAIL"))
    assert read_ledger(ledger.path) == [*kept, ledger.records[-1]]
    ledger.close()


def test_a_line_that_does_not_fit_leaves_the_lines_before_it(disk: Disk) -> None:
    path = disk.path / "t0000" / "curve.jsonl"
    append_line(path, "first")
    with disk.full(20), pytest.raises(CheckpointError, match="cannot be written"):
        append_line(path, "y" * 9000)
    assert path.read_text() == "first\n"
    append_line(path, "third")
    assert path.read_text() == "first\nthird\n"


@pytest.mark.parametrize("length", [0, 5, 70_000, 200_000])
def test_a_torn_last_line_goes_before_the_next_one_is_added(tmp_path: Path, length: int) -> None:
    path = tmp_path / "curve.jsonl"
    path.write_text("one\ntwo\n" + "z" * length)
    append_line(path, "three")
    assert path.read_text() == "one\ntwo\nthree\n"
    path.write_text("z" * length)
    append_line(path, "one")
    assert path.read_text() == "one\n"


# Where the disk is full: at the losses, at the curve, in the middle of the checkpoint.
@pytest.mark.parametrize("spare", [0, 5_000, None])
def test_a_worker_on_a_full_disk_says_so_and_goes_on_from_its_last_report(
    archive: Path, scratch: Path, disk: Disk, spare: int | None, tmp_path: Path
) -> None:
    straight = TrialWorker(assignment(archive, None, str(tmp_path / "straight")))
    expected = reports(straight, 2)
    trial = disk.path / "t0000"
    task = assignment(archive, None, str(trial))
    worker = TrialWorker(task)
    assert reports(worker, 1) == expected[:1]
    before = files(trial)
    with disk.full(len(before[CHECKPOINT]) // 2 if spare is None else spare):
        message = heard(worker)
    assert message.reports == {} and message.failure is None
    assert message.unwritable is not None
    assert (
        f"{trial}" in message.unwritable and "free some disk space and resume" in message.unwritable
    )
    after = files(trial)
    assert after[CHECKPOINT] == before[CHECKPOINT]
    assert not [name for name in after if "partial" in name]
    for line in after[CURVE].splitlines():
        json.loads(line)
    resumed = TrialWorker({**task, "reported": 64})
    assert reports(resumed, 1) == expected[1:]


def test_a_study_that_cannot_be_opened_leaves_no_folder(disk: Disk) -> None:
    folder = StudyFolder(disk.path / "results" / "study")
    games = build_archive(random_games(20, size=5))
    with (
        disk.full(3000),
        pytest.raises((ArchiveError, DiskError)),
        new_ledger(folder) as ledger,
    ):
        write_archive(folder.archive, games)
        ledger.append(StudyOpened(name="x" * 9000))
    assert list(disk.path.iterdir()) == []


def test_a_read_only_folder_is_refused_for_a_new_study_and_for_a_resume(tmp_path: Path) -> None:
    folder = StudyFolder(tmp_path / "study")
    folder.path.mkdir()
    mounted(folder.path)
    try:
        Ledger(folder.ledger).close()
        subprocess.run(["mount", "-o", "remount,ro", str(folder.path)], check=True)
        with pytest.raises(ConfigError, match="is read-only; choose another --results"):
            StudyFolder(folder.path / "new").require_writable()
        with pytest.raises(LedgerError, match="cannot be written: Read-only file system"):
            Ledger(folder.ledger)
    finally:
        subprocess.run(["umount", "--lazy", str(folder.path)], check=True)


def test_a_folder_that_becomes_read_only_costs_a_warning_where_files_were_to_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    trial_files = TrialFiles(StudyFolder(tmp_path), said.append)

    def refuse(self: Path, missing_ok: bool = False) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(self))

    monkeypatch.setattr(Path, "unlink", refuse)
    trial_files.drop_checkpoint("t0000")
    assert "checkpoint of t0000 cannot be removed" in said[0] and "Read-only" in said[0]


def test_a_full_disk_of_the_driver_leaves_trials_files_in_storage_for_now(
    tmp_path: Path,
) -> None:
    storage = Storage((tmp_path / "bucket").as_uri())
    storage.write("study/trials/t0000/games-64.npz", bytes(5000))
    said: list[str] = []
    folder = StudyFolder(tmp_path / "study")
    trial_files = TrialFiles(folder, said.append, made_copies(folder, storage, said.append))
    with _limited(tmp_path).full(1000):
        trial_files.fetch("t0000")
    assert len(said) == 1 and "File too large" in said[0]
    trial_files.complete()
    assert (tmp_path / "study" / "trials" / "t0000" / "games-64.npz").stat().st_size == 5000


@pytest.mark.parametrize("failures", [2, 99])
def test_storage_out_of_reach_is_waited_for_and_then_drains_the_study(
    archive: Path,
    scratch: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    failures: int,
) -> None:
    monkeypatch.setattr(storage_module, "_WAITS_S", (0.0, 0.0, 0.0))
    place = (tmp_path / "bucket").as_uri()
    worker = TrialWorker(assignment(archive, place, "study/trials/t0000"))
    reports(worker, 1)
    write, left = Storage.write, [failures]

    def fail(self: Storage, name: str, content: bytes, keep_as: str | None) -> None:
        left[0] -= 1
        if left[0] >= 0:
            raise StorageError(f"{self.url}: no route to host")
        write(self, name, content, keep_as)

    with monkeypatch.context() as patch:
        patch.setattr(Storage, "write", fail)
        message = heard(worker)
    assert bool(message.reports) == (failures == 2)
    worker.cleanup()
    if failures == 99:
        assert message.unwritable is not None
        assert "no route to host" in message.unwritable and "can be reached" in message.unwritable
        again = TrialWorker({**assignment(archive, place, "study/trials/t0000"), "reported": 64})
        straight = TrialWorker(assignment(archive, None, str(tmp_path / "straight")))
        assert reports(again, 1) == reports(straight, 2)[1:]
        again.cleanup()


def test_a_comparison_on_a_full_disk_fails_no_head(
    archive: Path, scratch: Path, disk: Disk, tmp_path: Path
) -> None:
    straight = TrialWorker(comparison(archive, tmp_path / "straight"))
    expected = reports(straight, 2)
    worker = TrialWorker(comparison(archive, disk.path / "cup"))
    assert reports(worker, 1) == expected[:1]
    with disk.full(0):
        message = heard(worker)
    assert message.failure is None
    assert (
        message.unwritable is not None and "free some disk space and resume" in message.unwritable
    )
    resumed = TrialWorker(comparison(archive, disk.path / "cup"))
    assert reports(resumed, 2) == expected  # the first was stored, and is handed out again
