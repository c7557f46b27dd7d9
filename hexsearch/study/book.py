"""The ledger of runs that are planned beforehand and that nobody prunes.

Comparisons and confirmations keep the same records as a search, so that the same leaderboard
reads them.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

from hexsearch.backend.jobs import Message
from hexsearch.config.trial import TrialConfig
from hexsearch.errors import DiskError
from hexsearch.ledger.history import ENDED, StudyHistory
from hexsearch.ledger.ledger import Ledger, Record
from hexsearch.search.space import variant_key
from hexsearch.study.listener import Ended, Listener


class Book:
    """Records of planned runs, and what they add up to.

    Args:
        budget: positions after which a run is complete.
        observe: called with each record once it is on disk, and the history that includes it.
        letter: that names of runs begin with.
    """

    def __init__(
        self,
        ledger: Ledger,
        budget: int,
        observe: Callable[[Record, StudyHistory], None] = lambda record, history: None,
        letter: str = "t",
    ) -> None:
        self.history = StudyHistory.of(ledger)
        self.draining = False
        self.broken: DiskError | None = None  # what could not be written, and why
        self._late = False
        self._ledger, self._budget, self._observe, self._letter = ledger, budget, observe, letter
        for trial in self.history.unfinished:  # a crash may have come before the last word
            self._end_if_complete(trial.trial)

    def drain(self) -> None:
        """Let each run go after its next report."""
        self.draining = True

    def beat(self, listener: Listener, deadline: float) -> None:
        """Called several times a second while runs go on.

        Args:
            deadline: of `time.monotonic`, after which runs stop at their next report.
        """
        if time.monotonic() > deadline and not self.draining:
            self._late = True
            listener.say("time budget reached: running trials stop at their next report")
            self.drain()
        listener.beat(self.history)

    def close(self) -> Ended:
        """Record how the runs ended.

        Raises:
            DiskError: a run could not be written; what is on disk can be resumed.
        """
        if not self.history.unfinished:
            self.record("finished")
            return "finished"
        reason = "end of storage" if self.broken else "time budget" if self._late else "signal"
        self.record("interrupted", reason=reason)
        if self.broken:
            raise self.broken
        return "out_of_budget" if self._late else "interrupted"

    def record(self, event: str, **fields: Any) -> None:
        """Append to the ledger and fold what was appended."""
        record = self._ledger.append(event, **fields)
        self.history.apply(record)
        self._observe(record, self.history)

    def plan(
        self, config: TrialConfig, replicate: int, seed: int, origin: str, values: dict[str, Any]
    ) -> str:
        """Add a run; its name."""
        number = len(self.history.trials)
        name = f"{self._letter}{number:04d}"
        self.record(
            "suggested",
            trial=name,
            number=number,
            variant=variant_key(config),
            replicate=replicate,
            seed=seed,
            origin=origin,
            head=config.value_head.name,
            values=values,
            config=config.model_dump(mode="json"),
        )
        return name

    def start(self, name: str) -> None:
        """A worker has begun, or begun again."""
        self.record("started", trial=name, attempt=self.history.trials[name].attempts + 1)

    def hear(self, name: str, message: Message) -> None:
        """What a worker said of a run: its report, its failure, or that its disk takes no more."""
        if "storage" in message:
            self.broken = DiskError(message["storage"])
            self.drain()
        elif "failure" in message:
            self.fail(name, message["failure"])
        else:
            self.report(name, message["report"])

    def report(self, name: str, report: dict[str, Any]) -> None:
        """A report; one that the ledger holds already changes nothing."""
        trial = self.history.trials[name]
        if trial.status in ENDED or report["positions_seen"] <= trial.positions_seen:
            return
        if not math.isfinite(report["value_loss"]):
            self.fail(name, f"value_loss is {report['value_loss']}")
            return
        self.record("reported", trial=name, report=report)
        self._end_if_complete(name)

    def fail(self, name: str, reason: str, log: str = "") -> None:
        """A run cannot go on; the others can."""
        if self.history.trials[name].status not in ENDED:
            self.record("failed", trial=name, reason=reason, log=log)
            self.record("told", trial=name, state="FAIL")

    def _end_if_complete(self, name: str) -> None:
        trial = self.history.trials[name]
        if trial.positions_seen >= self._budget:
            self.record(
                "decided",
                trial=name,
                positions_seen=trial.positions_seen,
                value_loss=trial.value_loss,
                decision="complete",
                rung=None,
                rank=None,
                of=None,
                cutoff=None,
            )
            self.record("told", trial=name, state="COMPLETE")
