"""Messages for workers that raise an error, run out of memory, hang or die."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from ray.air.execution._internal.actor_manager import RayActorManager
from ray.exceptions import OutOfMemoryError, RayActorError

from hexsearch.backend.assignment import Assignment
from hexsearch.backend.faults import explain, explain_hang
from hexsearch.backend.message import Message
from hexsearch.backend.ray_private import every_death_is_an_actors
from hexsearch.backend.tune import EngineCallback, SignsOfLife, TuneScheduler, TuneSearcher
from hexsearch.backend.watchdog import HANG_LOG
from hexsearch.ledger.events import Retried
from hexsearch.ledger.history import TrialHistory
from hexsearch.report.console import describe_event
from hexsearch.search.engine import Engine, Job
from tests.search.simulation import make_engine, study_config

HEADING = "\x1b[36mray::ResourceTrainable.train()\x1b[39m (pid=12, ip=10.0.0.1)\n"
DEAD = (
    "The actor died unexpectedly before finishing this task.\n\tclass_name: Worker\n"
    "The actor is dead because its worker process has died. Worker exit type: SYSTEM_ERROR"
)
LOW = (
    "2 worker(s) were killed due to the node running low on memory. Memory on the node (IP: "
    "10.0.0.1, ID: ee9b) was 5.67GB used / 23.54GB limit (0.24)\nObject store memory usage: [- x\n"
    "Top 10 memory users: PID\tMEM(GB)\tCOMMAND\n13212\t2.07\tray::ResourceTrainable.train\n"
)


def raised(error: str) -> str:
    return f"{HEADING}  File 'trial.py', line 1, in step\n    self.run()\n{error}"


def refused_by_torch() -> str:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 50)
    return f"RuntimeError: {caught.value}"


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (raised("ValueError: the head's own fault"), "ValueError: the head's own fault"),
        (raised("RuntimeError: CUDA error: x\nCompile with it.\n"), "RuntimeError: CUDA error: x"),
        (
            raised("hexsearch.errors.CheckpointError: t1/checkpoint.pt: damaged"),
            "t1/checkpoint.pt: damaged",
        ),
        (
            DEAD,
            "its worker process died: it crashed, or was killed from outside (by the kernel if",
        ),
        ("The actor is dead because its node has died. Node Id: 1", "its node died"),
        ("", "its worker process died"),
    ],
)
def test_a_reason_is_one_line_that_names_the_error(said: str, reason: str) -> None:
    fault = explain(said)
    assert fault.reason.startswith(reason)
    assert "\n" not in fault.reason and "\x1b" not in fault.reason + fault.log


@pytest.mark.parametrize(
    "said",
    [
        raised("MemoryError"),
        raised("numpy._core._exceptions._ArrayMemoryError: Unable to allocate 9. GiB"),
        raised(refused_by_torch()),
        LOW,
    ],
)
def test_want_of_memory_is_named_with_what_to_do(said: str) -> None:
    reason = explain(said).reason
    assert "emory" in reason
    assert "lower batch_size, set micro_batch, or run fewer trials at once" in reason


def test_want_of_gpu_memory_is_named_with_what_to_do() -> None:
    said = "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 1.00 GiB."
    assert explain(raised(f"torch.OutOfMemoryError: {said}")).reason == (
        "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB; lower batch_size, "
        "set micro_batch, or raise run.gpus_per_trial"
    )


def test_of_a_full_node_the_log_names_who_filled_it() -> None:
    fault = explain(LOW)
    assert fault.reason.startswith("its node ran low on memory (5.67GB used / 23.54GB limit)")
    assert fault.log.splitlines()[1].startswith("13212")


def test_a_long_traceback_keeps_its_end() -> None:
    frames = "".join(f"  File {number}\n" for number in range(90))
    log = explain(f"{HEADING}{frames}ValueError: bad").log.splitlines()
    assert log[-2:] == ["  File 89", "ValueError: bad"] and len(log) == 20


STACKS = (
    'Timeout (0:00:15)!\nThread 0x1 (most recent call first):\n  File "a.py", line 1 in wait\n\n'
    'Thread 0x2 (most recent call first):\n  File "head.py", line 9 in forward\n'
    + "".join(f'  File "deep.py", line {n} in call\n' for n in range(30))
    + '  File "/hexsearch/backend/trainable.py", line 107 in step\n'
    + '  File "ray.py", line 1 in train\n'
)


def test_of_a_hang_the_log_ends_where_it_hung() -> None:
    fault = explain_hang(15.0, STACKS)
    assert fault.reason == "no report within 15 s (run.hang_timeout)"
    assert fault.log.splitlines()[-1] == '  File "head.py", line 9 in forward'
    assert "a.py" not in fault.log


class Attempts:
    """The first trial of an engine as Tune would run it, with Ray's words for its failures."""

    def __init__(
        self, folder: Path, retries: int, storage: str | None = None, trials: int = 12
    ) -> None:
        self.now = 0.0
        config = study_config(run={"trials": trials, "retries": retries})
        self.engine: Engine = make_engine(folder / "ledger.jsonl", config)
        signs = SignsOfLife(lambda: self.now)
        self.searcher = TuneSearcher(self.engine, self._assign)
        self.scheduler = TuneScheduler(self.engine, self.searcher, signs)
        take_back = self.scheduler.take_back
        self.callback = EngineCallback(self.engine, signs, lambda: None, take_back)
        self._folder, self._storage, self._tried = folder, storage, 0

    def _assign(self, job: Job) -> Assignment:
        named = dict.fromkeys(Assignment.__dataclass_fields__)
        named |= {"job": job.name, "folder": str(self._folder), "hang_timeout": 15.0}
        return Assignment(**{**named, "trial_files": self._storage})  # type: ignore[arg-type]

    def next(self) -> Any:
        """What Tune makes of the next suggestion."""
        self._tried += 1
        config = self.searcher.suggest(f"ray{self._tried}")
        return SimpleNamespace(
            trial_id=f"ray{self._tried}", config=config, error_file=str(self._folder / "error.txt")
        )

    def fail(self, says: str, begun: bool = True) -> str:
        """The next attempt fails; the name of its trial."""
        trial = self.next()
        if begun:
            self.callback.on_trial_start(0, [], trial)
        self.lose(trial, says)
        return str(trial.config["job"])

    def lose(self, trial: Any, says: str) -> None:
        """Its worker has raised or died, as Ray says it."""
        self.now += 20.0
        with open(trial.error_file, "a") as file:
            file.write(f"Failure # 1 (occurred at noon)\n{says}\n")
        self.scheduler.on_trial_error(None, trial)
        self.searcher.on_trial_complete(trial.trial_id, error=True)

    @property
    def history(self) -> TrialHistory:
        return self.engine.history.trials["t0000"]


class Controller:
    """Stops a trial as Tune does where no worker has begun it."""

    def __init__(self, searcher: TuneSearcher) -> None:
        self.searcher, self.stopped = searcher, list[str]()

    def stop_trial(self, trial: Any) -> None:
        trial.status = "TERMINATED"
        self.stopped.append(trial.trial_id)
        self.searcher.on_trial_complete(trial.trial_id)


def test_a_study_that_drains_takes_back_the_trials_that_wait_for_a_node(tmp_path: Path) -> None:
    attempts = Attempts(tmp_path, retries=1)
    attempts.engine.setup = replace(attempts.engine.setup, slots=lambda: 3)
    trials = [attempts.next() for _ in range(3)]
    controller = Controller(attempts.searcher)
    for trial in trials:
        trial.status = "PENDING"
        attempts.scheduler.on_trial_add(controller, trial)
    trials[0].status = "RUNNING"
    attempts.callback.on_trial_start(0, [], trials[0])
    attempts.callback.on_step_end(0, trials)
    assert controller.stopped == []
    attempts.engine.drain()
    for _ in range(2):
        attempts.callback.on_step_end(0, trials)
    assert controller.stopped == ["ray2", "ray3"]
    attempts.engine.ledger.close()
    again = make_engine(tmp_path / "ledger.jsonl", attempts.engine.config, slots=lambda: 3)
    jobs = [again.next_job() for _ in range(3)]
    assert [job.name for job in jobs if isinstance(job, Job)] == ["t0000", "t0001", "t0002"]
    assert [trial.attempts for trial in again.history.trials.values()] == [1, 0, 0]


def test_a_trial_that_raises_is_retried_and_then_fails_with_its_own_words(tmp_path: Path) -> None:
    attempts = Attempts(tmp_path, retries=2)
    tried = [attempts.fail(f"Traceback:\n  File x\nValueError: bad {n}") for n in range(3)]
    assert tried == ["t0000"] * 3  # before any other trial
    history = attempts.history
    assert (history.status, history.attempts) == ("failed", 3)
    assert history.reason == "ValueError: bad 2"
    assert history.log.splitlines()[-1] == "ValueError: bad 2"
    retried = [event for event in attempts.engine.ledger if isinstance(event, Retried)]
    assert [event.reason for event in retried] == ["ValueError: bad 0", "ValueError: bad 1"]
    line = describe_event(retried[0], attempts.engine.history)
    assert line == "t0000 will be tried again: ValueError: bad 0"
    assert attempts.next().config["job"] == "t0001"  # the study goes on


def test_a_worker_that_dies_before_its_trial_has_begun_costs_one_retry(tmp_path: Path) -> None:
    attempts = Attempts(tmp_path, retries=1)
    attempts.fail(DEAD, begun=False)
    assert (attempts.history.status, attempts.history.losses) == ("waiting", 1)
    assert attempts.next().config["job"] == "t0000"


def test_the_last_trial_is_retried_too(tmp_path: Path) -> None:
    """Tune asks no more once it has been told that the search is finished."""
    attempts = Attempts(tmp_path, retries=1, trials=1)
    last = attempts.next()
    attempts.callback.on_trial_start(0, [], last)
    assert attempts.searcher.suggest("ray9") is None
    attempts.lose(last, DEAD)
    assert attempts.fail(DEAD) == "t0000"
    assert attempts.history.status == "failed"
    assert attempts.searcher.suggest("ray9") == TuneSearcher.FINISHED


def test_retries_are_counted_over_a_resume(tmp_path: Path) -> None:
    attempts = Attempts(tmp_path, retries=1)
    attempts.fail(DEAD)
    attempts.engine.ledger.close()
    again = Attempts(tmp_path, retries=1)
    again.fail(DEAD)
    assert again.history.status == "failed"


def test_a_hang_is_told_from_a_death_by_the_stacks_it_left(tmp_path: Path) -> None:
    attempts = Attempts(tmp_path, retries=0)
    (tmp_path / HANG_LOG).write_text(STACKS)
    attempts.fail(DEAD)
    assert attempts.history.reason == "no report within 15 s (run.hang_timeout)"
    assert not (tmp_path / HANG_LOG).exists()  # or the next death would be called a hang


def test_a_step_under_way_when_its_worker_is_killed_is_no_hang(tmp_path: Path) -> None:
    attempts = Attempts(tmp_path, retries=0)
    (tmp_path / HANG_LOG).write_text("")
    attempts.fail(DEAD)
    assert attempts.history.reason.startswith("its worker process died")


def test_a_hang_on_a_node_whose_disk_nobody_sees_is_told_by_the_wait(tmp_path: Path) -> None:
    attempts = Attempts(tmp_path, retries=0, storage="s3://bucket")
    attempts.fail(DEAD)
    assert attempts.history.reason == "no report within 15 s (run.hang_timeout)"


def test_a_disk_that_takes_no_more_drains_the_study_and_fails_nobody(tmp_path: Path) -> None:
    attempts = Attempts(tmp_path, retries=0)
    trial = attempts.next()
    attempts.callback.on_trial_start(0, [], trial)
    message = Message(unwritable="t0000/checkpoint.pt: no space")
    decision = attempts.scheduler.on_trial_result(None, trial, message.to_result())
    attempts.searcher.on_trial_complete("ray1", {"done": True})
    assert decision == TuneScheduler.STOP
    assert attempts.engine.next_job() == "finished"
    assert attempts.history.status == "running"  # goes on when the study is resumed
    assert str(attempts.engine.broken) == "t0000/checkpoint.pt: no space"
    assert attempts.engine.broken is not None and attempts.engine.broken.exit_status == 1


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Exception]]:
    """What Tune's actor manager would be told of."""
    exceptions: list[Exception] = []
    known = RayActorManager._actor_task_failed

    def listen(self: Any, tracked_actor_task: Any, exception: Exception) -> None:
        exceptions.append(exception)
        known(self, tracked_actor_task, exception)

    monkeypatch.setattr(RayActorManager, "_actor_task_failed", listen)
    yield exceptions


def test_a_worker_ended_by_rays_memory_monitor_ends_no_study(heard: list[Exception]) -> None:
    failures: list[Exception] = []
    actor = SimpleNamespace(actor_id=1, _on_error=lambda actor, error: failures.append(error))
    task = SimpleNamespace(_tracked_actor=actor, _on_error=None)
    manager = RayActorManager.__new__(RayActorManager)
    manager._failed_actor_ids = set()
    manager._cleanup_actor = lambda tracked_actor: None
    with pytest.raises(RuntimeError, match="Caught unexpected exception"):  # Ray as it is
        manager._actor_task_failed(tracked_actor_task=task, exception=OutOfMemoryError(LOW))
    with every_death_is_an_actors():
        manager._actor_task_failed(tracked_actor_task=task, exception=OutOfMemoryError(LOW))
    (failure,) = failures
    assert isinstance(failure, RayActorError)
    assert explain(str(failure)).reason.startswith("its node ran low on memory")
