"""What happens to a ledger that other programs remove, move or change while its study runs."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from hexsearch.errors import DiskError
from hexsearch.ledger.events import Told
from hexsearch.ledger.ledger import Ledger, read_ledger

EVENT = Told(trial="t0", state="FAIL")


def begun(path: Path) -> Ledger:
    ledger = Ledger(path / "study" / "ledger.jsonl")
    ledger.append(EVENT)
    ledger.append(EVENT)
    return ledger


@pytest.mark.parametrize(
    ("left", "remedy"),
    [
        (["study.yaml", "games.archive"], "its records; continue with 'resume"),
        (["games.archive"], "its records; restore study.yaml, too, from a copy, then continue"),
        ([], "its records; restore study.yaml and games.archive, too, from a copy"),
    ],
)
def test_a_ledger_that_is_removed_is_written_again_with_every_record(
    tmp_path: Path, left: list[str], remedy: str
) -> None:
    with closing(begun(tmp_path)) as ledger:
        before = ledger.path.read_bytes()
        ledger.path.unlink()
        for name in left:
            (ledger.path.parent / name).write_bytes(b"")
        with pytest.raises(DiskError, match=f"has been written again with all {remedy}"):
            ledger.append(EVENT)
        assert ledger.path.read_bytes() == before
    with closing(Ledger(tmp_path / "study" / "ledger.jsonl")) as again:
        again.append(EVENT)
    assert len(read_ledger(again.path)) == 3


def test_a_study_whose_folder_is_moved_writes_nothing_more(tmp_path: Path) -> None:
    with closing(begun(tmp_path)) as ledger:
        before = ledger.path.read_bytes()
        (tmp_path / "study").rename(tmp_path / "other")
        with pytest.raises(DiskError, match="was moved or removed while the study ran"):
            ledger.append(EVENT)
    assert not (tmp_path / "study").exists()
    assert (tmp_path / "other" / "ledger.jsonl").read_bytes() == before


def _emptied(path: Path) -> None:
    os.truncate(path, 0)


def _longer(path: Path) -> None:
    with open(path, "ab") as file:
        file.write(b"another driver's line\n")


@pytest.mark.parametrize("change", [_emptied, _longer])
def test_no_record_is_added_to_a_ledger_that_another_program_has_changed(
    tmp_path: Path, change: Callable[[Path], None]
) -> None:
    with closing(begun(tmp_path)) as ledger:
        change(ledger.path)
        before = ledger.path.read_bytes()
        with pytest.raises(DiskError, match="was changed by another program"):
            ledger.append(EVENT)
        assert ledger.path.read_bytes() == before


def test_another_file_in_the_place_of_a_ledger_is_left_alone(tmp_path: Path) -> None:
    with closing(begun(tmp_path)) as ledger:
        ledger.path.unlink()
        ledger.path.write_text("restored\n")
        with pytest.raises(DiskError, match="was moved or removed"):
            ledger.append(EVENT)
        assert ledger.path.read_text() == "restored\n"
