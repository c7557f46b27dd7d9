from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest

from hexsearch.errors import DiskError, LedgerError
from hexsearch.ledger.events import Decided, Told
from hexsearch.ledger.ledger import Ledger, is_held, read_events, read_ledger, without_times


def filled(path: Path, count: int = 3) -> Path:
    ledger = Ledger(path, clock=lambda: 12.3456)
    for number in range(count):
        ledger.append(Told(trial=f"t{number}", state="ünïcode"))
    ledger.close()
    return path


def test_what_is_appended_is_read_back_in_order(tmp_path: Path) -> None:
    records = read_ledger(filled(tmp_path / "ledger.jsonl"))
    assert [record["trial"] for record in records] == ["t0", "t1", "t2"]
    assert records[0] == {"event": "told", "at": 12.346, "trial": "t0", "state": "ünïcode"}


def test_every_line_is_json_that_others_can_read(tmp_path: Path) -> None:
    lines = filled(tmp_path / "ledger.jsonl").read_text().splitlines()
    assert [json.loads(line)["n"] for line in lines] == [0, 1, 2]
    assert json.loads(lines[1])["record"]["trial"] == "t1"


@pytest.mark.parametrize("kept", range(1, 100, 7))
def test_a_torn_last_line_is_cut_off_wherever_it_tore(tmp_path: Path, kept: int) -> None:
    path = filled(tmp_path / "ledger.jsonl")
    whole = path.read_bytes()
    last = whole.splitlines(keepends=True)[-1]
    path.write_bytes(whole[: -len(last)] + last[: min(kept, len(last) - 1)])
    assert len(read_ledger(path)) == 2
    ledger = Ledger(path)
    ledger.append(Told(trial="t9", state="FAIL"))
    ledger.close()
    assert [record["trial"] for record in read_ledger(path)] == ["t0", "t1", "t9"]


@pytest.mark.parametrize("position", range(0, 240, 9))
def test_a_changed_byte_before_the_last_line_is_an_error(tmp_path: Path, position: int) -> None:
    path = filled(tmp_path / "ledger.jsonl")
    content = bytearray(path.read_bytes())
    assert position < len(content) - 1
    content[position] ^= 1
    path.write_bytes(content)
    first_two = len(b"".join(bytes(content).splitlines(keepends=True)[:2]))
    if position < first_two:
        with pytest.raises(LedgerError, match=r"line [123]: damaged"):
            read_ledger(path)
    else:
        assert len(read_ledger(path)) == 2


def test_a_second_driver_is_refused(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.jsonl")
    assert is_held(ledger.path)
    with pytest.raises(LedgerError, match="another process is running this study"):
        Ledger(tmp_path / "ledger.jsonl")
    ledger.close()
    assert not is_held(ledger.path)
    Ledger(tmp_path / "ledger.jsonl").close()


def test_a_number_that_json_has_no_word_for_is_never_written(tmp_path: Path) -> None:
    nan = float("nan")
    ledger = Ledger(tmp_path / "ledger.jsonl")
    with pytest.raises(ValueError, match="not JSON compliant"):
        ledger.append(Decided(trial="t0", positions_seen=1, value_loss=nan, decision="stop"))
    ledger.append(Told(trial="t0", state="FAIL"))
    ledger.close()
    assert len(read_ledger(ledger.path)) == 1


def test_a_full_disk_costs_nothing_that_was_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = Ledger(tmp_path / "ledger.jsonl")
    ledger.append(Told(trial="t0", state="FAIL"))
    whole = ledger.path.read_bytes()

    def refuse(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", refuse)  # the line has been written to the disk's cache
        with pytest.raises(DiskError, match=r"No space left on device.*free some disk space"):
            ledger.append(Told(trial="t1", state="FAIL"))
    assert ledger.path.read_bytes() == whole
    ledger.append(Told(trial="t1", state="FAIL"))
    ledger.close()
    assert len(read_ledger(ledger.path)) == 2


def test_a_folder_without_a_ledger_is_told_apart(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="is this a study folder"):
        read_ledger(tmp_path / "ledger.jsonl")


def test_times_are_taken_out_at_every_depth() -> None:
    record = {"event": "x", "at": 1.0, "report": {"value_loss": 0.2, "timings": {"train_s": 3}}}
    assert without_times(record) == {"event": "x", "report": {"value_loss": 0.2}}


def test_an_open_ledger_counts_and_gives_what_it_has_taken_in(tmp_path: Path) -> None:
    ledger = Ledger(filled(tmp_path / "ledger.jsonl"))
    ledger.append(Told(trial="t3", state="FAIL"))
    assert len(ledger) == 4
    assert [event.to_record()["trial"] for event in ledger] == ["t0", "t1", "t2", "t3"]
    assert list(ledger) == read_events(ledger.path)
    assert ledger.records == read_ledger(ledger.path)
    ledger.close()
