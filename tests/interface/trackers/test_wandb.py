from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import hexsearch as hs
from tests.interface.trackers.told import tell_two_trials

pytest.importorskip("wandb")
pytestmark = pytest.mark.filterwarnings("ignore")


def records(file: Path) -> list[Any]:
    """What an offline run holds, as W&B itself reads it to send it later."""
    from wandb.proto import wandb_internal_pb2
    from wandb.sdk.internal.datastore import DataStore

    store, found = DataStore(), []
    store.open_for_scan(str(file))
    while (data := store.scan_data()) is not None:
        record = wandb_internal_pb2.Record()
        record.ParseFromString(data)
        found.append(record)
    return found


def test_offline_runs_of_every_trial_lie_in_the_studys_folder(tmp_path: Path) -> None:
    tell_two_trials(tmp_path / "mine", hs.WandbCallback())
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
    assert steps == {"mine/t0000": [64, 192, 576, 1728], "mine/t0001": [64]}
