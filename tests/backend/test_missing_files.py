"""What a worker does when files of its trial are missing, empty, or something else than files."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from hexsearch.backend.file_sync import PREVIOUS
from hexsearch.backend.trainable import TrialWorker
from hexsearch.ledger.folder import CHECKPOINT
from tests.backend.test_trainable import archive, assignment, heard, plain, reports, scratch

__all__ = ["archive", "scratch"]  # fixtures
POINTS = (64, 128, 192)


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _missing(path: Path) -> None:
    path.unlink()


@pytest.mark.parametrize("spoil", [_empty, _missing])
@pytest.mark.parametrize("names", [(CHECKPOINT,), (CHECKPOINT, PREVIOUS)])
def test_empty_or_missing_checkpoints_cost_training_and_change_no_later_report(
    archive: Path,
    scratch: Path,
    tmp_path: Path,
    names: tuple[str, ...],
    spoil: Callable[[Path], None],
) -> None:
    straight = TrialWorker(assignment(archive, None, str(tmp_path / "straight"), points=POINTS))
    expected = reports(straight, 3)
    folder = tmp_path / "t0000"
    task = assignment(archive, None, str(folder), points=POINTS)
    begun = TrialWorker(task)
    reports(begun, 2)
    begun.cleanup()
    for name in names:
        spoil(folder / name)
    message = heard(TrialWorker({**task, "reported": 128}))
    assert plain(message) == expected[2]
    assert len(message.warnings) == (len(names) if spoil is _empty else 0)


def test_a_pipe_in_place_of_a_checkpoint_is_named_with_what_to_do(
    archive: Path, scratch: Path, tmp_path: Path
) -> None:
    straight = TrialWorker(assignment(archive, None, str(tmp_path / "straight"), points=POINTS))
    expected = reports(straight, 3)
    task = assignment(archive, None, str(tmp_path / "t0000"), points=POINTS)
    begun = TrialWorker(task)
    reports(begun, 2)
    begun.cleanup()
    checkpoint = tmp_path / "t0000" / CHECKPOINT
    checkpoint.unlink()
    os.mkfifo(checkpoint)
    worker = TrialWorker({**task, "reported": 128})
    message = heard(worker)
    assert message.unwritable is not None
    assert f"{checkpoint}: cannot be written: it is a device or a pipe" in message.unwritable
    assert "remove what is in its place and resume" in message.unwritable
    assert "disk space" not in message.unwritable
    checkpoint.unlink()
    resumed = TrialWorker({**task, "reported": 128})
    assert reports(resumed, 1) == expected[2:]


def test_a_worker_that_sees_the_games_leaves_nothing_in_scratch_space(
    archive: Path, scratch: Path, tmp_path: Path
) -> None:
    worker = TrialWorker(assignment(archive, None, str(tmp_path / "t0000")))
    reports(worker, 2)
    worker.cleanup()
    assert not scratch.exists()
