"""Progress between reports: it is told, and changes nothing."""

from __future__ import annotations

import math
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from hexsearch.backend.assignment import Assignment
from hexsearch.backend.message import Message
from hexsearch.backend.stretch import Stretch
from hexsearch.backend.trainable import TrialWorker
from hexsearch.backend.tune import EngineCallback, SignsOfLife, TuneScheduler, TuneSearcher
from hexsearch.backend.watchdog import HANG_LOG
from hexsearch.ledger.folder import CHECKPOINT
from hexsearch.search.engine import Job
from hexsearch.training.checkpoint import load_checkpoint
from tests.backend.test_steps import assignment, step, worker
from tests.backend.test_trainable import plain
from tests.search.simulation import curve, make_engine, study_config

__all__ = ["assignment"]  # a fixture
EVERY_BATCH = 1e-9  # seconds


def told(assignment: Assignment, folder: str) -> Assignment:
    """The same job in another folder, telling progress after every batch."""
    return replace(assignment, folder=folder, trial_folders=(folder,), progress_seconds=EVERY_BATCH)


def to_the_end(worker: TrialWorker, last: int = 1920) -> tuple[list[dict[str, Any]], list[int]]:
    """Reports and progress of a job until a report at its last point."""
    reports: list[dict[str, Any]] = []
    progress: list[int] = []
    while not reports or reports[-1]["t0000"]["positions_seen"] < last:
        message = step(worker)
        if message.progress is not None:
            assert not message.reports
            progress.append(message.progress)
        else:
            reports.append(plain(message))
    return reports, progress


def networks_are_equal(one: str, other: str) -> bool:
    states = [load_checkpoint(Path(path) / CHECKPOINT)["state"] for path in (one, other)]
    pairs = zip(states[0]["network"].values(), states[1]["network"].values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def test_progress_after_every_batch_changes_no_bit(assignment: Assignment) -> None:
    silent, _ = to_the_end(worker(assignment))
    talking = told(assignment, assignment.folder + "-told")
    reports, progress = to_the_end(worker(talking))
    assert reports == silent
    assert progress == [*range(32, 641, 32), *range(672, 1921, 32)]  # none but once
    assert networks_are_equal(assignment.folder, talking.folder)
    one, other = (Path(folder, "games-1920.npz") for folder in (assignment.folder, talking.folder))
    assert one.read_bytes() == other.read_bytes()


def test_a_job_that_dies_between_two_reports_goes_on_to_the_same_bits(
    assignment: Assignment,
) -> None:
    straight, _ = to_the_end(worker(assignment))
    cut = replace(told(assignment, assignment.folder + "-cut"), hang_timeout=None)
    first = worker(cut)
    while not (message := step(first)).reports:
        pass
    assert plain(message) == straight[0]
    assert step(first).progress == 672  # and then its node is gone
    again, progress = to_the_end(worker(replace(cut, reported=640)))
    assert again == straight[1:]
    assert progress[0] == 672
    assert networks_are_equal(assignment.folder, cut.folder)


def test_a_quick_job_reports_without_having_told_progress(assignment: Assignment) -> None:
    quick = replace(assignment, progress_seconds=3600.0)
    assert to_the_end(worker(quick))[1] == []


def test_reports_by_the_clock_come_at_the_same_positions_beside_progress(
    assignment: Assignment,
) -> None:
    clocked = replace(told(assignment, assignment.folder), report_seconds=1e-6)
    reports, progress = to_the_end(worker(clocked))
    assert [report["t0000"]["positions_seen"] for report in reports] == [
        320, 640, 960, 1280, 1600, 1920
    ]  # fmt: skip
    assert progress == list(range(32, 1921, 32))


@pytest.mark.parametrize("seconds", [None, EVERY_BATCH])
def test_a_divergence_is_found_at_the_point_however_often_progress_is_told(
    assignment: Assignment, seconds: float | None
) -> None:
    diverging = worker(replace(assignment, progress_seconds=seconds))
    diverging._begin()
    assert diverging._trial is not None
    next(diverging._trial.body.trunk.parameters()).data.fill_(math.nan)
    while (message := step(diverging)).progress is not None:
        pass
    assert message.failure is not None
    assert "is not finite at 640 positions" in message.failure


def test_losses_are_looked_at_before_a_report_by_the_clock(assignment: Assignment) -> None:
    clocked = worker(replace(assignment, report_seconds=1e-6))
    clocked._begin()
    assert clocked._trial is not None
    next(clocked._trial.body.trunk.parameters()).data.fill_(math.nan)
    failure = step(clocked).failure
    assert failure is not None and "training loss is not finite at 320 positions" in failure


def test_the_driver_hears_about_every_second_and_before_an_evaluation() -> None:
    now = [0.0]

    class Training:
        """Stands for a trial: 16 positions a batch, half a second each."""

        positions_seen = 0
        config = SimpleNamespace(batch_size=16)

        def train_to(self, positions: int, pause: Any = lambda: False) -> None:
            while self.positions_seen < positions:
                self.positions_seen += 16
                now[0] += 0.5
                if pause():
                    return

    trial, heard = Training(), []
    task = SimpleNamespace(points=(80, 400), report_seconds=None, progress_seconds=1.0)
    stretch = Stretch(trial, task, lambda: now[0])  # type: ignore[arg-type]
    while not stretch.train():
        heard.append((now[0], trial.positions_seen))
    assert heard == [(1.0, 32), (2.0, 64), (2.5, 80)]
    assert trial.positions_seen == 80


def test_a_message_of_progress_travels_through_a_result() -> None:
    message = Message(progress=96, warnings=["beware"])
    assert Message.of_result(message.to_result()) == message


class Driver:
    """The first trial of an engine, and what Tune is told of it."""

    def __init__(self, folder: Path) -> None:
        self.now = 0.0
        self.engine = make_engine(folder / "ledger.jsonl", study_config())
        self.signs = SignsOfLife(lambda: self.now)
        searcher = TuneSearcher(self.engine, lambda job: None)  # type: ignore[arg-type,return-value]
        self.noted: list[tuple[str, int]] = []
        self.said: list[str] = []
        self.scheduler = TuneScheduler(
            self.engine, searcher, self.signs, self.said.append,
            lambda job, positions: self.noted.append((job, positions)),
        )  # fmt: skip
        job = self.engine.next_job()
        assert isinstance(job, Job)
        self.trial = SimpleNamespace(config={"job": job.name, "folder": str(folder)})
        EngineCallback(self.engine, self.signs, lambda: None).on_trial_start(0, [], self.trial)

    def hear(self, message: Message) -> str:
        return self.scheduler.on_trial_result(None, self.trial, message.to_result())


def test_progress_reaches_whoever_watches_and_never_the_ledger(tmp_path: Path) -> None:
    driver = Driver(tmp_path)
    before = (tmp_path / "ledger.jsonl").read_bytes()
    assert driver.hear(Message(progress=48, warnings=["one"])) == "CONTINUE"
    assert driver.noted == [("t0000", 48)] and driver.said == ["warning: t0000: one"]
    assert (tmp_path / "ledger.jsonl").read_bytes() == before
    assert driver.engine.history.trials["t0000"].positions_seen == 0


def test_a_study_that_drains_keeps_a_trial_at_its_report_and_not_before(tmp_path: Path) -> None:
    driver = Driver(tmp_path)
    driver.engine.drain()
    assert driver.hear(Message(progress=48)) == "CONTINUE"
    trial = driver.engine.history.trials["t0000"]
    assert driver.hear(Message(reports={"t0000": curve(trial, 32)})) == "STOP"


def test_progress_does_not_count_as_a_report_where_a_hang_is_explained(tmp_path: Path) -> None:
    driver = Driver(tmp_path)
    driver.now = 14.0
    driver.hear(Message(progress=48))
    driver.now = 16.0
    driver.trial.config |= {"trial_files": "s3://bucket", "hang_timeout": 15.0}
    driver.trial.error_file = ""
    assert driver.signs.fault(driver.trial).reason == "no report within 15 s (run.hang_timeout)"


def test_steps_without_a_report_are_timed_together(assignment: Assignment) -> None:
    hanging = replace(assignment, hang_timeout=1.0)
    script = f"""
        import json, time
        from hexsearch.backend.message import Message
        from hexsearch.backend.trainable import TrialWorker

        class Slow(TrialWorker):
            def _next_message(self):
                time.sleep(0.3)
                return Message(progress=32)

        worker = Slow.__new__(Slow)
        worker.setup(json.loads({assignment_text(hanging)}))
        for _ in range(100):
            worker.step()
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], timeout=120)
    assert done.returncode == 1
    assert "in step" in (Path(assignment.folder) / HANG_LOG).read_text()


def assignment_text(task: Assignment) -> str:
    """As a literal of a script that is to parse it as JSON."""
    import json

    return json.dumps(json.dumps(task.to_config()))
