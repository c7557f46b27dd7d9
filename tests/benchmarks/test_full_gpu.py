"""The rate of a whole study, from records written out by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import full_gpu
import pytest
import torch


def started(trial: str, at: float) -> dict[str, Any]:
    return {"event": "started", "trial": trial, "at": at}


def reported(trial: str, at: float, positions: int) -> dict[str, Any]:
    seen = {"positions_seen": positions}
    return {"event": "reported", "trial": trial, "at": at, "report": seen}


def test_a_study_is_timed_from_its_first_report_to_its_last(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """From second 10 to 40: 100 positions of a, 150 of b (half of its first 100), 200 of c."""
    records = [
        started("a", 0.0),
        started("b", 5.0),
        reported("a", 10.0, 100),
        reported("b", 15.0, 100),
        reported("a", 20.0, 200),
        started("c", 21.0),
        reported("b", 25.0, 200),
        reported("c", 30.0, 100),
        reported("c", 40.0, 200),
    ]
    monkeypatch.setattr(full_gpu, "read_ledger", lambda path: records)
    assert full_gpu.rate_of(Path("ledger.jsonl")) == pytest.approx((100 + 150 + 200) / 30)


def test_without_a_gpu_it_says_that_nothing_was_measured(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.setattr("sys.argv", ["full_gpu.py"])
    assert full_gpu.main() == 1
    said = capsys.readouterr()
    assert "no GPU" in said.err and not said.out
