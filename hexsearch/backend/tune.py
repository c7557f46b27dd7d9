"""Ray Tune's interfaces over the engine. Ray places and runs; the engine knows and decides.

Tune pickles its searcher, scheduler and callbacks when a run starts, for a restore of its own
that is never used here (it forgets rungs and repeats trials). What it pickles is therefore
emptied: resuming is a new run over the same ledger.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
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
    """Leaves the engine behind when Tune takes its snapshot."""

    def __getstate__(self) -> dict[str, Any]:
        return {}


class SignsOfLife:
    """When each job was last heard of, and what became of one that is heard of no more."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._at: dict[str, float] = {}

    def note(self, name: str) -> None:
        """A job's worker has begun or reported."""
        self._at[name] = self._clock()

    def fault(self, trial: Any) -> Fault:
        """What ended an attempt, given Ray's trial."""
        task = trial.config
        silent_s = self._clock() - self._at.get(task["job"], self._clock())
        stacks, hang = "", Path(task["folder"]) / HANG_LOG
        if task["trial_files"] is None and hang.exists():
            stacks = hang.read_text(encoding="utf-8", errors="replace")
            hang.unlink()  # the next attempt may end before it opens its own
        seconds = task["hang_timeout"]
        # A worker with files in storage leaves its stacks on its node; the wait tells as well.
        if stacks or (task["trial_files"] is not None and seconds and silent_s >= seconds):
            return explain_hang(seconds, stacks)
        return explain(last_error(trial))


class TuneSearcher(_Unpicklable, Searcher):  # type: ignore[misc]
    """Hands the engine's next job to Tune, for which it is a trial."""

    def __init__(self, engine: Engine, assign: Callable[[Job], Assignment]) -> None:
        super().__init__(metric=None, mode=None)
        self._engine, self._assign = engine, assign
        self._jobs: dict[str, str] = {}  # Ray's trial id -> our job
        self.faults: dict[str, Fault] = {}  # our job -> what ended its last attempt

    def set_search_properties(self, metric: Any, mode: Any, config: Any, **spec: Any) -> bool:
        """Accept anything: the metric is the engine's business."""
        return True

    def suggest(self, trial_id: str) -> Any:
        """A configuration, None to be asked again later, or FINISHED."""
        job = self._engine.next_job()
        if job == "finished":
            return Searcher.FINISHED
        if job == "wait":
            return None
        assert isinstance(job, Job)
        self._jobs[trial_id] = job.name
        return self._assign(job).to_config()

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Reports reach the engine through the scheduler, which decides."""

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """A job's worker is gone, perhaps by an error; the engine says what comes of that."""
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
        """Keep the reason for when the searcher is told."""
        self._searcher.faults[trial.config["job"]] = self._signs.fault(trial)


class EngineCallback(_Unpicklable, Callback):  # type: ignore[misc]
    """Starts of jobs to the ledger; a heartbeat for deadlines and the console."""

    def __init__(self, engine: Engine, signs: SignsOfLife, beat: Callable[[], None]) -> None:
        self._engine, self._signs, self._beat = engine, signs, beat

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """A worker begins, or begins again after an error."""
        self._signs.note(trial.config["job"])
        self._engine.start(trial.config["job"])

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """Called by Tune's loop, several times a second."""
        self._beat()


@dataclass(frozen=True)
class TuneRun:
    """What Tune needs besides the engine.

    Attributes:
        assign: a worker's description of a job.
        beat: called several times a second.
        say: told what workers warn of.
        note: told a job's positions seen between its reports.
        ship: files to put into Ray's object store, by content hash, for nodes that do not see
            the study's folder.
    """

    folder: StudyFolder
    assign: Callable[[Job], Assignment]
    beat: Callable[[], None]
    say: Callable[[str], None] = lambda line: None
    note: Callable[[str, int], None] = lambda job, positions: None
    ship: Mapping[str, Path] = field(default_factory=dict)


def run_jobs(engine: Engine, run: TuneRun) -> None:
    """Run jobs through Ray Tune until the engine wants no more.

    Raises:
        DiskError: the ledger cannot be written any more; what it holds is whole.
    """
    resources = engine.config.run
    shipped = {name: ray.put(np.fromfile(path, np.uint8)) for name, path in run.ship.items()}
    trainable = tune.with_parameters(TrialWorker, shipped=shipped)
    each = {"cpu": resources.cpus_per_trial, "gpu": resources.gpus_per_trial}
    searcher, signs = TuneSearcher(engine, run.assign), SignsOfLife()
    tuner = tune.Tuner(
        tune.with_resources(trainable, each),
        tune_config=TuneConfig(
            search_alg=searcher,
            scheduler=TuneScheduler(engine, searcher, signs, run.say, run.note),
            num_samples=-1,
            reuse_actors=True,
            trial_dirname_creator=lambda trial: str(trial.config["job"]),
        ),
        run_config=RunConfig(
            name="tune",
            storage_path=str((run.folder.path / "ray").resolve()),
            verbose=0,
            callbacks=[EngineCallback(engine, signs, run.beat)],
            # Retries are the engine's: Tune counts the death of a reused worker twice, which
            # fails a trial that has hardly begun (ray 2.60, TuneController._actor_failed).
            failure_config=FailureConfig(max_failures=0),
            checkpoint_config=CheckpointConfig(checkpoint_frequency=0, checkpoint_at_end=False),
        ),
    )
    try:
        with every_death_is_an_actors():
            tuner.fit()
    except tune.TuneError as error:
        # Tune wraps whatever is raised under its loop in a traceback of text.
        if engine.broken is not None:
            raise engine.broken from error
        raise
