"""A worker that is started by a driver with an older copy of the ledger than storage has trials."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hexsearch.backend.storage import Storage
from hexsearch.backend.trainable import TrialWorker
from hexsearch.search.space import with_values
from hexsearch.training.trial import Trial
from tests.backend.test_trainable import (
    archive,
    assignment,
    comparison,
    heard,
    plain,
    reports,
    scratch,
)
from tests.search.simulation import study_config

__all__ = ["archive", "scratch"]  # fixtures
pytestmark = pytest.mark.usefixtures("scratch")
POINTS = (64, 128, 192, 256)


@pytest.mark.parametrize("reported", [0, 64, 128, 192])
def test_every_report_that_the_ledger_lacks_is_sent_again_and_nothing_is_trained_again(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reported: int
) -> None:
    task = assignment(archive, tmp_path.as_uri(), "study/trials/t0000", points=POINTS)
    straight = assignment(archive, None, str(tmp_path / "straight"), points=POINTS)
    expected = reports(TrialWorker(straight), 4)
    first = TrialWorker(task)
    assert reports(first, 3) == expected[:3]
    first.cleanup()
    trained: list[int] = []
    train_to = Trial.train_to

    def record(self: Trial, *arguments: Any) -> None:
        trained.append(self.positions_seen)
        train_to(self, *arguments)

    monkeypatch.setattr(Trial, "train_to", record)
    again = TrialWorker({**task, "reported": reported})
    known = POINTS.index(reported) + 1 if reported else 0
    assert reports(again, 4 - known) == expected[known:]
    assert min(trained) == 192
    again.cleanup()


def test_heads_on_one_trunk_send_their_missing_reports_together(
    archive: Path, tmp_path: Path
) -> None:
    task = comparison(archive, "study", trial_files=tmp_path.as_uri(), points=POINTS)
    first = TrialWorker(task)
    expected = reports(first, 3)
    first.cleanup()
    again = TrialWorker({**task, "reported": 64})
    assert reports(again, 2) == expected[1:]
    again.cleanup()


def test_what_another_trial_of_the_same_name_left_is_not_taken_for_its_own(
    archive: Path, tmp_path: Path
) -> None:
    """Parallel trials may be proposed in another order after the last copy of the ledger."""
    other = with_values(study_config().trial, {"value_head": "512->32->1"})
    task = assignment(archive, tmp_path.as_uri(), "study/trials/t0000", points=POINTS)
    left = TrialWorker({**task, "configs": (other.model_dump(mode="json"),)})
    reports(left, 3)
    left.cleanup()
    straight = assignment(archive, None, str(tmp_path / "straight"), points=POINTS)
    expected = reports(TrialWorker(straight), 2)
    worker = TrialWorker(task)
    message = heard(worker)
    assert plain(message) == expected[0]
    assert len(message.warnings) == 2 and "in configuration" in message.warnings[0]
    assert reports(worker, 1) == expected[1:]
    curve = Storage(tmp_path.as_uri()).read("study/trials/t0000/curve.jsonl")
    assert curve is not None and len(curve.splitlines()) == 2
    worker.cleanup()
