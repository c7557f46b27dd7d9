"""Ray Tune's interfaces to the engine. Ray places and runs jobs; the engine decides.

When a run starts, Tune pickles its searcher, scheduler and callbacks, for its own restore. This
restore is not used, since it loses rungs and repeats trials. So the pickled objects are empty.
Resuming a study is a new run with the same ledger.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import ray
from ray import tune
from ray.tune import Callback, CheckpointConfig, FailureConfig, RunConfig, TuneConfig
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from hexsearch.backend.assignment import Assignment
from hexsearch.backend.faults import DIED, Fault, explain, explain_hang
from hexsearch.backend.message import Message
from hexsearch.backend.ray_private import every_death_is_an_actors, last_error
from hexsearch.backend.trainable import TrialWorker
from hexsearch.backend.watchdog import HANG_LOG
from hexsearch.errors import DiskError
from hexsearch.ledger.folder import StudyFolder
from hexsearch.search.engine import Engine, Job


class _Unpicklable:
    """Base class whose pickle is empty, so that Tune's snapshot does not contain the engine."""

    def __getstate__(self) -> dict[str, Any]:
        return {}


class SignsOfLife:
    """The time of each job's last message, and the fault of a job that has ended."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._at: dict[str, float] = {}

    def note(self, name: str) -> None:
        """Note that a job's worker has started or reported."""
        self._at[name] = self._clock()

    def fault(self, trial: Any) -> Fault:
        """The fault that ended an attempt, from Ray's trial."""
        task = trial.config
        silent_s = self._clock() - self._at.get(task["job"], self._clock())
        stacks, hang = "", Path(task["folder"]) / HANG_LOG
        if task["trial_files"] is None and hang.exists():
            stacks = hang.read_text(encoding="utf-8", errors="replace")
            hang.unlink()  # the next attempt may end before it opens its own log
        seconds = task["hang_timeout"]
        # If files are in storage, the stacks stay on the worker's node. The time tells a hang, too.
        if stacks or (task["trial_files"] is not None and seconds and silent_s >= seconds):
            return explain_hang(seconds, stacks)
        return explain(last_error(trial))


class TuneSearcher(_Unpicklable, Searcher):  # type: ignore[misc]
    """Gives the engine's next job to Tune, which calls it a trial."""

    def __init__(self, engine: Engine, assign: Callable[[Job], Assignment]) -> None:
        super().__init__(metric=None, mode=None)
        self._engine, self._assign = engine, assign
        self._jobs: dict[str, str] = {}  # Ray's trial id -> our job
        self.faults: dict[str, Fault] = {}  # our job -> fault that ended its last attempt

    def set_search_properties(self, metric: Any, mode: Any, config: Any, **spec: Any) -> bool:
        """Accept everything: the engine knows the metric."""
        return True

    def suggest(self, trial_id: str) -> Any:
        """A configuration, or None to be called again later, or FINISHED."""
        job = self._engine.next_job()
        if job == "finished":
            return Searcher.FINISHED
        if job == "wait":
            return None
        assert isinstance(job, Job)
        self._jobs[trial_id] = job.name
        return self._assign(job).to_config()

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Do nothing: the scheduler passes reports to the engine."""

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Tell the engine that a job's worker has ended, which may be due to an error."""
        job = self._jobs.pop(trial_id, None)
        if job is None:
            return
        if error:
            fault = self.faults.get(job, Fault(DIED))
            self._engine.lose(job, fault.reason, fault.log)
        self._engine.release(job)


class TuneScheduler(_Unpicklable, FIFOScheduler):  # type: ignore[misc]
    """Passes results to the engine and its decisions to Tune."""

    def __init__(
        self,
        engine: Engine,
        searcher: TuneSearcher,
        signs: SignsOfLife,
        say: Callable[[str], None] = lambda line: None,
        note: Callable[[str, int], None] = lambda job, positions: None,
    ) -> None:
        super().__init__()
        self._engine, self._searcher, self._signs = engine, searcher, signs
        self._say, self._note = say, note
        self._controller: Any = None

    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
        """Keep the controller, which alone can take a trial back."""
        self._controller = tune_controller

    def take_back(self, trials: Iterable[Any]) -> None:
        """Take back the trials that no worker has begun, such as those that wait for a node."""
        for trial in trials:
            if trial.status == "PENDING":
                self._controller.stop_trial(trial)

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """CONTINUE or STOP."""
        job, message = trial.config["job"], Message.of_result(result)
        for warning in message.warnings:
            self._say(f"warning: {job}: {warning}")
        if message.progress is not None:
            # Also while the study drains: the job is kept at its next report, not before it.
            self._note(job, message.progress)
            return str(TrialScheduler.CONTINUE)
        self._signs.note(job)
        if message.unwritable is not None:
            self._engine.halt("end of storage", DiskError(message.unwritable))
            return str(TrialScheduler.STOP)
        if message.failure is not None:
            self._engine.fail(job, message.failure)
            return str(TrialScheduler.STOP)
        verdict = self._engine.hear(job, message.reports)
        return str(TrialScheduler.CONTINUE if verdict == "continue" else TrialScheduler.STOP)

    def on_trial_error(self, tune_controller: Any, trial: Any) -> None:
        """Keep the reason until the searcher is told."""
        self._searcher.faults[trial.config["job"]] = self._signs.fault(trial)


class EngineCallback(_Unpicklable, Callback):  # type: ignore[misc]
    """Tells the engine about starts of jobs, and calls `beat` for deadlines and the console.

    Args:
        take_back: called with all of Tune's trials while the study drains.
    """

    def __init__(
        self,
        engine: Engine,
        signs: SignsOfLife,
        beat: Callable[[], None],
        take_back: Callable[[Iterable[Any]], None] = lambda trials: None,
    ) -> None:
        self._engine, self._signs, self._beat = engine, signs, beat
        self._take_back = take_back

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Tell the engine that a worker has started, or started again after an error."""
        self._signs.note(trial.config["job"])
        self._engine.start(trial.config["job"])

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """Call `beat`. Tune's loop calls this several times in a second."""
        self._beat()
        if self._engine.draining:
            self._take_back(trials)


@dataclass(frozen=True)
class TuneRun:
    """Functions and files that Tune needs in addition to the engine.

    Attributes:
        assign: function that makes the assignment of a job.
        beat: called several times in a second.
        say: called with warnings of workers.
        note: called with the positions that a job has seen between two reports.
        ship: files for Ray's object store by content hash, for nodes that do not see the study's
            folder.
    """

    folder: StudyFolder
    assign: Callable[[Job], Assignment]
    beat: Callable[[], None]
    say: Callable[[str], None] = lambda line: None
    note: Callable[[str, int], None] = lambda job, positions: None
    ship: Mapping[str, Path] = field(default_factory=dict)


def run_jobs(engine: Engine, run: TuneRun) -> None:
    """Run jobs with Ray Tune until the engine has no more jobs.

    Raises:
        DiskError: the ledger cannot be written; no record was lost.
    """
    resources = engine.config.run
    shipped = {name: ray.put(np.fromfile(path, np.uint8)) for name, path in run.ship.items()}
    trainable = tune.with_parameters(TrialWorker, shipped=shipped)
    each = {"cpu": resources.cpus, "gpu": resources.gpus}
    searcher, signs = TuneSearcher(engine, run.assign), SignsOfLife()
    scheduler = TuneScheduler(engine, searcher, signs, run.say, run.note)
    tuner = tune.Tuner(
        tune.with_resources(trainable, each),
        tune_config=TuneConfig(
            search_alg=searcher,
            scheduler=scheduler,
            num_samples=-1,
            reuse_actors=True,
            trial_dirname_creator=lambda trial: str(trial.config["job"]),
        ),
        run_config=RunConfig(
            name="tune",
            storage_path=str((run.folder.path / "ray").resolve()),
            verbose=0,
            callbacks=[EngineCallback(engine, signs, run.beat, scheduler.take_back)],
            # The engine counts retries. Tune counts the death of a reused worker twice, so that a
            # trial that has just begun would fail (ray 2.60, TuneController._actor_failed).
            failure_config=FailureConfig(max_failures=0),
            checkpoint_config=CheckpointConfig(checkpoint_frequency=0, checkpoint_at_end=False),
        ),
    )
    try:
        with every_death_is_an_actors():
            tuner.fit()
    except tune.TuneError as error:
        # Tune turns every exception in its loop into the text of a traceback.
        if engine.broken is not None:
            raise engine.broken from error
        raise
