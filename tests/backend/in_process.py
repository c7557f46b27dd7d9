"""Real jobs of an engine, run by a worker in this process instead of Ray."""

from __future__ import annotations

from collections.abc import Callable

from hexsearch.backend.assignment import Assignment
from hexsearch.backend.message import Message
from hexsearch.backend.trainable import TrialWorker
from hexsearch.search.engine import Engine, Job


def run_in_process(engine: Engine, assign: Callable[[Job], Assignment]) -> None:
    """Run every job of a study to its end."""
    worker = TrialWorker.__new__(TrialWorker)
    while isinstance(job := engine.next_job(), Job):
        engine.start(job.name)
        worker.setup(assign(job).to_config())
        while engine.hear(job.name, Message.of_result(worker.step()).reports) == "continue":
            pass
        worker.cleanup()
        engine.release(job.name)
