"""Two processes that begin a study of one name do not harm each other's files."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from hexsearch.errors import ConfigError, DiskError, LedgerError
from hexsearch.ledger.events import StudyOpened
from hexsearch.ledger.folder import StudyFolder
from hexsearch.ledger.ledger import Ledger, is_held
from hexsearch.ledger.new_study import new_ledger


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix != ".lock"}


@pytest.fixture
def folder(tmp_path: Path) -> StudyFolder:
    return StudyFolder(tmp_path / "results" / "study")


def begin(folder: StudyFolder, games: bytes) -> Ledger:
    with new_ledger(folder) as ledger:
        folder.archive.write_bytes(games)
        ledger.append(StudyOpened(name="study"))
    return ledger


def test_a_launch_leaves_the_study_alone_that_another_process_began_in_the_meantime(
    folder: StudyFolder,
) -> None:
    folder.require_new()  # what both launches ask before Ray starts
    with closing(begin(folder, b"first")):
        before = contents(folder.path)
        with pytest.raises(ConfigError, match="a study of this name exists"):
            begin(folder, b"second")
        assert contents(folder.path) == before
        assert is_held(folder.ledger)


def test_a_launch_does_not_write_where_another_process_is_writing_its_first_files(
    folder: StudyFolder,
) -> None:
    with new_ledger(folder) as ledger:
        folder.archive.write_bytes(b"first")
        with pytest.raises(ConfigError, match="a study of this name exists"):
            begin(folder, b"second")
        assert folder.archive.read_bytes() == b"first"
        ledger.append(StudyOpened(name="study"))
    with closing(ledger):
        assert folder.archive.read_bytes() == b"first"


@pytest.mark.parametrize("held", [True, False])
def test_a_study_that_begins_between_the_question_and_the_lock_is_left_alone(
    folder: StudyFolder, held: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(begin(folder, b"first")) as other:
        if not held:
            other.close()
        before = contents(folder.path)
        asked = iter([None, ConfigError("exists")])

        def require_new(self: StudyFolder) -> None:
            if answer := next(asked):
                raise answer

        monkeypatch.setattr(StudyFolder, "require_new", require_new)
        with pytest.raises(LedgerError if held else ConfigError):
            begin(folder, b"second")
        assert contents(folder.path) == before


@pytest.mark.parametrize("ending", [DiskError("full"), KeyboardInterrupt(), OSError("gone")])
def test_what_was_there_before_a_study_stays_when_it_cannot_be_opened(
    folder: StudyFolder, ending: BaseException
) -> None:
    folder.path.mkdir(parents=True)
    (folder.path / "notes.txt").write_text("mine")
    with pytest.raises(type(ending)), new_ledger(folder):
        folder.archive.write_text("games")
        raise ending
    assert contents(folder.path) == {"notes.txt": b"mine"}


def test_a_folder_that_cannot_be_locked_is_not_left_behind(
    folder: StudyFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("filelock.FileLock.acquire", refuse)
    with pytest.raises((LedgerError, DiskError), match="cannot be locked"):
        begin(folder, b"games")
    assert list(tmp_path.iterdir()) == []
