"""Independent, resumable jobs on Ray actors: seeds of a comparison, runs of a confirmation.

A job keeps its own checkpoint, so it goes on where it was on whatever node it starts again.
"""

from __future__ import annotations

import gc
import math
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import ray

from hexsearch.backend.cluster import trial_slots
from hexsearch.backend.faults import Fault, explain, explain_hang
from hexsearch.backend.jobs import Job, Message, Runner, Supervisor
from hexsearch.config.run import RunConfig

_BEAT_S = 0.25


class _Hand:
    """The actor: one warm process for one job after the other."""

    def __init__(self) -> None:
        self._name = ""
        self._runner: Runner | None = None

    def ready(self) -> tuple[list[Message], bool]:
        """Nothing to say yet, but the process is up."""
        return [], False

    def advance(self, job: Job) -> tuple[list[Message], bool]:
        """The job's next messages, and whether it has finished."""
        if self._runner is None or self._name != job.name:
            self._name, self._runner = job.name, job.open()
        messages = self._runner.advance()
        finished = self._runner.finished
        if finished:
            self._runner = None
            gc.collect()  # its parts refer to each other
        return messages, finished


@dataclass(frozen=True)
class _Busy:
    """A process at work on one step of a job, since so many seconds on the driver's clock."""

    actor: Any
    job: Job
    since: float


def run_jobs(
    jobs: Sequence[Job],
    resources: RunConfig,
    supervisor: Supervisor,
    beat: Callable[[], None] = lambda: None,
) -> None:
    """Run jobs on the Ray that is connected until all have ended or the supervisor drains.

    A job's process that dies, raises, or says nothing for `resources.hang_timeout` seconds is
    replaced, `resources.retries` times at most.

    Raises:
        HexsearchError: the cluster has no room for one job.
    """
    hand = ray.remote(_Hand).options(
        num_cpus=resources.cpus_per_trial, num_gpus=resources.gpus_per_trial
    )
    slots = trial_slots(resources)
    waiting, attempts = deque(jobs), Counter[str]()
    idle: list[Any] = []
    busy: dict[Any, _Busy] = {}

    def work(actor: Any, job: Job) -> None:
        busy[actor.advance.remote(job)] = _Busy(actor, job, time.monotonic())

    def give_up(gone: _Busy, fault: Fault) -> None:
        """Begin a job again from its checkpoint, in another process, or lose it."""
        ray.kill(gone.actor)
        attempts[gone.job.name] += 1
        if attempts[gone.job.name] > resources.retries:
            supervisor.lost(gone.job, fault.reason, fault.log)
        else:
            waiting.appendleft(gone.job)

    while waiting or busy:
        while waiting and not supervisor.draining and len(busy) < slots():
            job = waiting.popleft()
            supervisor.started(job)
            if idle:
                work(idle.pop(), job)
            else:  # to come up may take as long as it takes
                actor = hand.remote()
                busy[actor.ready.remote()] = _Busy(actor, job, math.inf)
        if not busy:
            return
        ready, others = ray.wait(list(busy), num_returns=1, timeout=_BEAT_S)
        beat()
        for reference in ready:
            done = busy.pop(reference)
            try:
                messages, finished = ray.get(reference)
            except ray.exceptions.RayError as error:
                give_up(done, explain(str(error)))
                continue
            supervisor.heard(done.job, messages)
            if finished:
                idle.append(done.actor)
            elif supervisor.draining:
                ray.kill(done.actor)
            else:
                work(done.actor, done.job)
        limit = resources.hang_timeout or math.inf
        for reference in others:
            if time.monotonic() - busy[reference].since > limit:
                give_up(busy.pop(reference), explain_hang(limit))
