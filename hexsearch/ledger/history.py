"""What a ledger says: the state of every trial, folded from the records one by one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

from hexsearch.config.readout import CONTROLS
from hexsearch.ledger.ledger import Record
from hexsearch.ledger.report import Baseline, CurvePoint, ReportSummary

Status = Literal["waiting", "running", "completed", "pruned", "stopped", "failed"]
StudyState = Literal["running", "interrupted", "finished"]
RERUNS = frozenset({"pruning_check", "race"})  # origins of trials that the search did not propose
ENDED: frozenset[Status] = frozenset({"completed", "pruned", "stopped", "failed"})
# Optuna's word for how a trial ended, where it is not PRUNED.
TOLD_AS: dict[Status, str] = {"completed": "COMPLETE", "failed": "FAIL"}


@dataclass
class TrialHistory:
    """One trial so far.

    Attributes:
        head: the value head's spelling. values: dimension -> value.
        config: the whole resolved trial, as plain mappings.
        variant: equal for trials that differ only in their seed; replicate: number of the seed.
        curve: a point for each report, in order. last_report: the last one in full; earlier ones
            are not kept, they would fill the memory of the driver.
        rung: at which it was pruned.
        origin: the searcher that proposed it, `enqueued`, `enumerated`, or why it was run again.
    """

    trial: str
    number: int
    variant: str
    replicate: int
    seed: int
    head: str
    values: dict[str, Any]
    config: dict[str, Any]
    origin: str
    status: Status = "waiting"
    curve: list[CurvePoint] = field(default_factory=list)
    last_report: ReportSummary | None = None
    reason: str = ""
    rung: int | None = None
    log: str = ""  # the end of what a failed trial's worker said
    judged_at: int = 0  # positions of the last decision
    seconds: float = 0.0  # on a worker
    attempts: int = 0
    losses: int = 0  # of workers, each followed by another attempt
    told: bool = False
    _last_at: float | None = None

    @classmethod
    def suggested(cls, record: Record) -> TrialHistory:
        """The trial that a `suggested` record begins."""
        return cls(**{name: record[name] for name in _SUGGESTED})

    @property
    def positions_seen(self) -> int:
        """At the last report that the ledger holds."""
        return self.curve[-1].positions_seen if self.curve else 0

    @property
    def is_control(self) -> bool:
        """Whether it shows on purpose what goes wrong: listed, never compared, never best."""
        return self.config.get("readout", {}).get("name") in CONTROLS

    @property
    def is_rerun(self) -> bool:
        """Whether it repeats a variant of the search to the end, unknown to searcher and rungs."""
        return self.origin in RERUNS

    @property
    def told_as(self) -> str:
        """Optuna's state of a trial that has ended; it must learn nothing from a control."""
        return "FAIL" if self.is_control else TOLD_AS.get(self.status, "PRUNED")

    @property
    def value_loss(self) -> float | None:
        """Brier score at the last report."""
        return self.curve[-1].value_loss if self.curve else None


@dataclass
class StudyHistory:
    """All trials of a study, in the order in which they were suggested."""

    trials: dict[str, TrialHistory] = field(default_factory=dict)
    state: StudyState = "running"
    target_trials: int = 0
    study: dict[str, Any] = field(default_factory=dict)
    baselines: list[Baseline] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    rungs: dict[int, list[bool]] = field(default_factory=dict)  # level -> who went on, in order
    seconds: float = 0.0  # of all sessions, without the pauses between them
    positions: int = 0  # trained on by all trials
    trial_seconds: float = 0.0  # of workers, all together
    began: float = 0.0  # seconds since the epoch
    searched: int = 0  # trials that the search proposed
    _last_at: float | None = None
    _replicates: dict[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, records: Iterable[Record]) -> StudyHistory:
        """Fold a whole ledger."""
        history = cls()
        for record in records:
            history.apply(record)
        return history

    def apply(self, record: Record) -> None:
        """Take one record into account."""
        event = record["event"]
        self._count_time(event, record["at"])
        if event == "study":
            self.study = record
            self.target_trials = record["trials"]
            self.baselines = [Baseline.from_json(raw) for raw in record["baselines"]]
            self.warnings = record["warnings"]
        elif event == "suggested":
            entry = TrialHistory.suggested(record)
            self.trials[entry.trial] = entry
            self.searched += not entry.is_rerun
            known = self._replicates.get(entry.variant, 0)
            self._replicates[entry.variant] = max(known, entry.replicate + 1)
            self.state = "running"
        elif event in ("interrupted", "finished"):
            self.state = event
        elif event == "resumed":
            self.state = "running"
            self.target_trials = record["trials"]
        elif event in _TRIAL_EVENTS:
            self._apply_to_trial(self.trials[record["trial"]], record)

    def _apply_to_trial(self, trial: TrialHistory, record: Record) -> None:
        event = record["event"]
        if event == "started":
            trial.status = "running"
            trial.attempts = record["attempt"]
            trial._last_at = record["at"]
        elif event == "reported":
            report = ReportSummary.from_json(record["report"])
            self.positions += report.positions_seen - trial.positions_seen
            self._count_work(trial, record["at"])
            trial.curve.append(report.point)
            trial.last_report = report
        elif event == "decided":
            trial.judged_at = record["positions_seen"]
            if record["rung"] is not None:
                going_on = record["decision"] == "continue"
                self.rungs.setdefault(record["rung"], []).append(going_on)
            if record["decision"] == "prune":
                trial.status, trial.rung = "pruned", record["rung"]
                trial.reason = (
                    f"rank {record['rank']} of {record['of']} at {record['rung']:,} positions"
                )
            elif record["decision"] == "complete":
                trial.status = "completed"
            elif record["decision"] == "stop":
                trial.status, trial.reason = "stopped", record["reason"]
        elif event == "failed":
            trial.status, trial.reason = "failed", record["reason"]
            trial.log = record.get("log", "")
            self._count_work(trial, record["at"])
        elif event == "retried":
            trial.status = "waiting"
            trial.losses += 1
            self._count_work(trial, record["at"])
        elif event == "told":
            trial.told = True

    def _count_work(self, trial: TrialHistory, at: float) -> None:
        if trial._last_at is not None:
            spent = max(0.0, at - trial._last_at)
            trial.seconds += spent
            self.trial_seconds += spent
        trial._last_at = at

    def _count_time(self, event: str, at: float) -> None:
        if self._last_at is None:
            self.began = at
        elif event != "resumed":
            self.seconds += max(0.0, at - self._last_at)
        self._last_at = at

    @property
    def unfinished(self) -> list[TrialHistory]:
        """Trials that were suggested and have not ended."""
        return [trial for trial in self.trials.values() if trial.status not in ENDED]

    def replicates(self, variant: str) -> int:
        """How many seeds of a variant have been given out."""
        return self._replicates.get(variant, 0)


_SUGGESTED = (
    "trial", "number", "variant", "replicate", "seed", "head", "values", "config", "origin"
)  # fmt: skip
_TRIAL_EVENTS = frozenset({"started", "reported", "decided", "told", "failed", "retried"})
