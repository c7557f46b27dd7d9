"""A simulated cluster on a simulated clock, whose workers run the jobs of a study's engine.

Trials are not trained: their reports are drawn. A node is lost now and then, with all its workers,
and comes back later. Some nodes are slower than the others. During a partition half of the nodes
cannot reach the driver, and afterwards all their reports arrive at once. The engine gets the calls
that it gets from Ray Tune, in the same order.
"""

from __future__ import annotations

import heapq
import itertools
import math
import time
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from hexsearch.ledger.history import TrialHistory
from hexsearch.ledger.report import ReportSummary
from hexsearch.search.engine import Engine, Job

PER_NODE = 8  # workers of a node
_SETUP_S, _JITTER = 10.0, 0.1  # start of a trial, and spread of the time to a report
_TIMED_EVERY = 32  # starts of which one is timed, since reading the CPU clock takes as long as many

Kind = Literal["report", "lost", "back"]


@dataclass(frozen=True)
class Faults:
    """What goes wrong, in simulated seconds.

    Attributes:
        lost_every_s: mean time between two lost nodes.
        back_after_s: time until a lost node is replaced.
        slow_share, slowdown: share of slow nodes, and by how much they are slower.
        partition_at_s, partition_s: beginning and length of the partition.
    """

    lost_every_s: float = math.inf
    back_after_s: float = 600.0
    slow_share: float = 0.0
    slowdown: float = 3.0
    partition_at_s: float = math.inf
    partition_s: float = 60.0


REALISTIC = Faults(lost_every_s=3600.0, slow_share=0.05, partition_at_s=5400.0)


@dataclass
class _Worker:
    """A worker, and the job that it runs; `attempt` tells an old message from a new one."""

    node: int
    trial: TrialHistory | None = None
    step: int = 0  # number of the next report
    attempt: int = 0


class SimulatedCluster:
    """Workers on nodes, and the messages that are under way.

    Args:
        points: positions at which a trial reports.
        training_s: simulated seconds of a whole training, on a node that is not slow.

    Attributes:
        now: simulated seconds since the start.
        slots: number of workers on nodes that are alive; running: number of their jobs.
        lost: number of nodes that were lost; retried: number of trials on them.
        burst: number of reports that arrived at once after the partition.
        suggested_s: CPU time of some suggestions, until somebody empties the list.
    """

    def __init__(
        self,
        workers: int,
        points: tuple[int, ...],
        faults: Faults,
        rng: np.random.Generator,
        training_s: float = 2700.0,
    ) -> None:
        self._points, self._faults, self._rng, self._training_s = points, faults, rng, training_s
        nodes = math.ceil(workers / PER_NODE)
        self._slow = rng.random(nodes) < faults.slow_share
        self._alive = [True] * nodes
        self._workers = [_Worker(number // PER_NODE) for number in range(workers)]
        self._idle = list(range(workers))
        self._queue: list[tuple[float, int, Kind, int, int]] = []
        self._serial = itertools.count()
        self.now, self.slots, self.running = 0.0, workers, 0
        self.lost = self.retried = self.burst = 0
        self.suggested_s: list[float] = []
        self._started = 0
        if math.isfinite(faults.lost_every_s):
            self._lose_later()

    def run(
        self, engine: Engine, report: Callable[[TrialHistory, int], dict[str, Any]]
    ) -> Iterator[None]:
        """Run the engine's jobs until there are none; yields after each message.

        Args:
            report: function for a trial's report at a number of positions.
        """
        self._fill(engine)
        while self.running or not self.slots:  # without a node, its jobs wait for one
            at, _, kind, number, attempt = heapq.heappop(self._queue)
            self.now = at
            if kind == "report":
                self._report(engine, number, attempt, report)
            elif kind == "lost":
                self._lose(engine)
            else:
                there = [n for n, worker in enumerate(self._workers) if worker.node == number]
                self._alive[number] = True
                self._idle += there
                self.slots += len(there)
            self._fill(engine)
            yield

    def _fill(self, engine: Engine) -> None:
        while True:
            is_timed = self._started % _TIMED_EVERY == 0
            began = time.process_time() if is_timed else 0.0
            job = engine.next_job()
            if not isinstance(job, Job):
                return
            (trial,) = job.trials
            if is_timed and not trial.attempts:
                self.suggested_s.append(time.process_time() - began)
            engine.start(job.name)
            number = self._idle.pop()
            worker = self._workers[number]
            worker.trial, worker.step = trial, bisect_right(self._points, trial.positions_seen)
            worker.attempt += 1
            self.running += 1
            self._started += 1
            self._report_later(number, _SETUP_S)

    def _report(
        self,
        engine: Engine,
        number: int,
        attempt: int,
        report: Callable[[TrialHistory, int], dict[str, Any]],
    ) -> None:
        worker, faults = self._workers[number], self._faults
        trial = worker.trial
        if trial is None or attempt != worker.attempt:
            return  # the worker was lost in the meantime
        ends = faults.partition_at_s + faults.partition_s
        if faults.partition_at_s <= self.now < ends and worker.node % 2:
            self._send(ends, "report", number, attempt)
            return
        self.burst += self.now == ends
        said = ReportSummary.from_json(report(trial, self._points[worker.step]))
        if engine.hear(trial.job, {trial.trial: said}) == "continue":
            worker.step += 1
            self._report_later(number)
        else:
            self._free(engine, number)

    def _lose(self, engine: Engine) -> None:
        """A node is lost: its jobs go back to their last checkpoints, as after any death."""
        node = int(self._rng.integers(len(self._alive)))
        self._lose_later()
        if not self._alive[node]:
            return
        self.lost += 1
        self._alive[node] = False
        self._send(self.now + self._faults.back_after_s, "back", node)
        for number, worker in enumerate(self._workers):
            if worker.node == node and worker.trial is not None:
                engine.lose(worker.trial.job, "the node died")
                self.retried += 1
                self._free(engine, number)
        self._idle = [n for n in self._idle if self._workers[n].node != node]
        self.slots -= sum(worker.node == node for worker in self._workers)

    def _free(self, engine: Engine, number: int) -> None:
        worker = self._workers[number]
        assert worker.trial is not None
        engine.release(worker.trial.job)
        worker.trial = None
        self.running -= 1
        self._idle.append(number)

    def _report_later(self, number: int, setup_s: float = 0.0) -> None:
        worker = self._workers[number]
        slower = self._faults.slowdown if self._slow[worker.node] else 1.0
        seen = self._points[worker.step - 1] if worker.step else 0
        share = (self._points[worker.step] - seen) / self._points[-1]
        noise = math.exp(self._rng.normal(0.0, _JITTER))
        seconds = (setup_s + share * self._training_s * noise) * slower
        self._send(self.now + seconds, "report", number, worker.attempt)

    def _lose_later(self) -> None:
        self._send(self.now + self._rng.exponential(self._faults.lost_every_s), "lost", 0)

    def _send(self, at: float, kind: Kind, number: int, attempt: int = 0) -> None:
        heapq.heappush(self._queue, (at, next(self._serial), kind, number, attempt))
