from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import hexsearch as hs
from tests.interface.trackers.told import tell_two_trials

pytest.importorskip("wandb")
pytestmark = pytest.mark.filterwarnings("ignore")


_BLOCK, _HEAD = 32_768, 7  # bytes of a block of the log, and in front of each of its chunks
_WHOLE, _LAST = 1, 4  # kinds of chunks that end a record


def records(file: Path) -> list[Any]:
    """The records of an offline run: a log as LevelDB writes it, of protobuf messages."""
    from wandb.proto import wandb_internal_pb2

    content, place, found, partial = file.read_bytes(), _HEAD, [], b""
    while place < len(content):
        left = _BLOCK - place % _BLOCK
        if left < _HEAD:  # too few for a chunk
            place += left
            continue
        length, kind = int.from_bytes(content[place + 4 : place + 6], "little"), content[place + 6]
        partial += content[place + _HEAD : place + _HEAD + length]
        place += _HEAD + length
        if kind in (_WHOLE, _LAST):
            record = wandb_internal_pb2.Record()
            record.ParseFromString(partial)
            found.append(record)
            partial = b""
    return found


def test_offline_runs_of_every_trial_lie_in_the_studys_folder(tmp_path: Path) -> None:
    import wandb

    tell_two_trials(tmp_path / "mine", hs.WandbCallback())
    wandb.teardown()  # as at the end of a process: what is buffered is written
    files = sorted((tmp_path / "mine" / "wandb").glob("offline-run-*/run-*.wandb"))
    assert len(files) == 2
    steps = {}
    for file in files:
        kept = records(file)
        (run,) = (record.run for record in kept if record.HasField("run"))
        assert run.project == "hexsearch" and run.run_group == "mine"
        history = [
            {item.nested_key[0] if item.nested_key else item.key: json.loads(item.value_json)
             for item in record.history.item}
            for record in kept if record.HasField("history")
        ]  # fmt: skip
        steps[run.display_name] = [row["positions_seen"] for row in history]
        assert all("validation/value_loss" in row and "stages/final" in row for row in history)
    assert steps == {"mine/t0000": [64, 192, 576, 1728], "mine/t0001": [32]}
