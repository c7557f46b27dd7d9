"""Tasks of a step beside training: reports by time, watchdog, disks that cannot be written."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
import weakref
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from hexsearch.backend.assignment import Assignment
from hexsearch.backend.message import Message
from hexsearch.backend.trainable import TrialWorker
from hexsearch.backend.watchdog import HANG_LOG
from hexsearch.config.data import DataConfig
from hexsearch.config.trial import TrialConfig
from hexsearch.data.archive import write_archive
from hexsearch.data.dataset import Dataset
from hexsearch.ledger.folder import CHECKPOINT
from hexsearch.training.checkpoint import load_checkpoint
from hexsearch.training.report_points import PositionCount


@pytest.fixture
def assignment(dataset: Dataset, tmp_path: Path) -> Assignment:
    path = tmp_path / "games.archive"
    write_archive(path, dataset.archive)
    config = TrialConfig.model_validate({"trunk": "tiny", "batch_size": 32})
    folder = str(tmp_path / "trials" / "t0000")
    return Assignment(
        job="t0000",
        folder=folder,
        trials=("t0000",),
        trial_folders=(folder,),
        configs=(config.model_dump(mode="json"),),
        archive=str(path),
        archive_hash=dataset.archive.content_hash,
        data=DataConfig(board_size=5).model_dump(mode="json"),
        seed=0,
        points=(640, 1920),
        hang_timeout=600.0,
    )


def worker(assignment: Assignment) -> TrialWorker:
    """One without Ray round it."""
    made: TrialWorker = TrialWorker.__new__(TrialWorker)
    made.setup(assignment.to_config())
    return made


def step(worker: TrialWorker) -> Message:
    return Message.of_result(worker.step())


def seen(message: Message) -> int:
    """Positions of the one report that a message holds."""
    (report,) = message.reports.values()
    return report.positions_seen


def test_reports_by_the_clock_change_nothing_but_their_number(assignment: Assignment) -> None:
    plain = worker(assignment)
    expected = [seen(step(plain)) for _ in range(2)]
    assert expected == [640, 1920]
    end = load_checkpoint(Path(assignment.folder) / CHECKPOINT)["state"]["network"]
    folder = assignment.folder + "-often"
    often = replace(assignment, folder=folder, trial_folders=(folder,), report_seconds=1e-6)
    clocked, found = worker(often), [0]
    while found[-1] < 1920:
        found.append(seen(step(clocked)))
    assert found == [0, 320, 640, 960, 1280, 1600, 1920]
    again = load_checkpoint(Path(often.folder) / CHECKPOINT)["state"]["network"]
    for name, tensor in end.items():
        assert torch.equal(tensor, again[name]), name


def test_a_folder_that_cannot_be_written_is_no_fault_of_the_trial(assignment: Assignment) -> None:
    folder = Path(assignment.folder)
    folder.parent.mkdir()
    folder.touch()  # a file where the folder should be
    message = step(worker(assignment))
    assert message.reports == {} and message.failure is None
    assert message.unwritable is not None and "cannot be written" in message.unwritable


def test_a_step_that_hangs_ends_its_process_and_leaves_its_stack(assignment: Assignment) -> None:
    hanging = replace(assignment, hang_timeout=0.5)
    script = f"""
        import json, time
        from hexsearch.backend.trainable import TrialWorker

        class Hanging(TrialWorker):
            def _next_message(self):
                self.wait_for_ever()

            def wait_for_ever(self):
                time.sleep(600)

        worker = Hanging.__new__(Hanging)
        worker.setup(json.loads({json.dumps(json.dumps(hanging.to_config()))}))
        worker.step()
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], timeout=120)
    assert done.returncode == 1
    assert "wait_for_ever" in (Path(assignment.folder) / HANG_LOG).read_text()


def test_a_step_in_time_leaves_no_log(assignment: Assignment) -> None:
    assert step(worker(assignment)).reports
    assert not (Path(assignment.folder) / HANG_LOG).exists()


def test_a_gpu_gets_its_memory_back_before_the_next_trial(
    assignment: Assignment, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = worker(assignment)
    step(made)
    held = weakref.ref(made._trial)
    made._assignment = replace(assignment, gpus=0.5)  # as if it had been on one
    alive_then: list[object] = []
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: alive_then.append(held()))
    made.reset_config(assignment.to_config())
    assert alive_then == [None]  # nothing holds the network when the cache is emptied


def test_at_equal_compute_a_costly_trial_sees_fewer_positions_than_it_counts(
    assignment: Assignment,
) -> None:
    config = TrialConfig.model_validate({"trunk": "small", "batch_size": 32})
    equal = replace(
        assignment,
        configs=(config.model_dump(mode="json"),),
        points=(6_400, 19_200),
        equal_compute="tiny",
    )
    own = PositionCount.of(equal.points, config, DataConfig(board_size=5), "tiny").own
    assert own[-1] < 10_000
    first = worker(equal)
    assert seen(step(first)) == 6_400
    saved = load_checkpoint(Path(equal.folder) / CHECKPOINT)["state"]
    assert (saved["positions_seen"], saved["max_positions"]) == own
    # The driver did not receive the report: it is sent again, and training goes on from there.
    again = worker(equal)
    assert [seen(step(again)) for _ in range(2)] == [6_400, 19_200]
    resumed = worker(replace(equal, reported=6_400))
    assert seen(step(resumed)) == 19_200
    assert load_checkpoint(Path(equal.folder) / CHECKPOINT)["state"]["positions_seen"] == own[-1]
