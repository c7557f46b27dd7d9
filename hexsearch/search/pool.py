"""Independent, resumable jobs on Ray actors: seeds of a tournament, runs of a confirmation.

A job keeps its own checkpoint, so it goes on where it was on whatever node it starts again.
"""

from __future__ import annotations

import gc
from collections import Counter, deque
from collections.abc import Callable, Sequence
from typing import Any

import ray

from hexsearch.config.study import RunConfig
from hexsearch.search.cluster import trial_slots
from hexsearch.search.faults import explain
from hexsearch.search.jobs import Job, Message, Runner, Supervisor

_BEAT_S = 0.25


class _Hand:
    """The actor: one warm process for one job after the other."""

    def __init__(self) -> None:
        self._name = ""
        self._runner: Runner | None = None

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


def run_jobs(
    jobs: Sequence[Job],
    resources: RunConfig,
    supervisor: Supervisor,
    beat: Callable[[], None] = lambda: None,
) -> None:
    """Run jobs on the Ray that is connected until all have ended or the supervisor drains.

    Raises:
        HexsearchError: the cluster has no room for one job.
    """
    hand = ray.remote(_Hand).options(
        num_cpus=resources.cpus_per_trial, num_gpus=resources.gpus_per_trial
    )
    slots = trial_slots(resources)
    waiting, attempts = deque(jobs), Counter[str]()
    idle: list[Any] = []
    busy: dict[Any, tuple[Any, Job]] = {}
    while waiting or busy:
        while waiting and not supervisor.draining and len(busy) < slots():
            job = waiting.popleft()
            actor = idle.pop() if idle else hand.remote()
            supervisor.started(job)
            busy[actor.advance.remote(job)] = actor, job
        if not busy:
            return
        ready, _ = ray.wait(list(busy), num_returns=1, timeout=_BEAT_S)
        beat()
        for reference in ready:
            actor, job = busy.pop(reference)
            try:
                messages, finished = ray.get(reference)
            except ray.exceptions.RayError as error:
                ray.kill(actor)
                attempts[job.name] += 1
                if attempts[job.name] > resources.retries:
                    fault = explain(str(error))
                    supervisor.lost(job, fault.reason, fault.log)
                else:
                    waiting.appendleft(job)
                continue
            supervisor.heard(job, messages)
            if finished:
                idle.append(actor)
            elif supervisor.draining:
                ray.kill(actor)
            else:
                busy[actor.advance.remote(job)] = actor, job
