"""The state of a study and of all its trials, folded from the records of its ledger."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from hexsearch.config.phases import PHASE_TRIALS, PhaseName
from hexsearch.config.readout import CONTROLS
from hexsearch.ledger.events import (
    Chosen,
    Compared,
    Decided,
    Discarded,
    Event,
    Failed,
    Finished,
    Interrupted,
    Promoted,
    Reported,
    Resumed,
    Retried,
    Started,
    StudyOpened,
    Suggested,
    Told,
    TrialEvent,
)
from hexsearch.ledger.kinds import fitting
from hexsearch.ledger.ledger import events_in
from hexsearch.ledger.report import Baseline, CurvePoint, ReportSummary

Status = Literal["waiting", "running", "completed", "paused", "pruned", "stopped", "failed"]
StudyState = Literal["running", "interrupted", "finished"]
# Origins of trials that the search did not propose, and the phase that planned them.
_PLANNED_IN: dict[str, PhaseName] = {
    origin: phase for phase, trials in PHASE_TRIALS.items() for origin in trials.origins
}
# Trials of these phases are trained and evaluated alike, so one leaderboard compares them.
SEARCHED: frozenset[PhaseName] = frozenset(
    phase for phase, trials in PHASE_TRIALS.items() if trials.numbered_with == "search"
)
ENDED: frozenset[Status] = frozenset({"completed", "paused", "pruned", "stopped", "failed"})
# Optuna's word for how a trial ended, if it is not PRUNED.
TOLD_AS: dict[Status, str] = {"completed": "COMPLETE", "failed": "FAIL"}


def phase_of(origin: str) -> PhaseName:
    """The phase of a study that a trial of this origin belongs to."""
    return _PLANNED_IN.get(origin, "search")


@dataclass
class TrialHistory:
    """The state of one trial.

    Attributes:
        number, variant, replicate, seed, head, values, config, origin: as in Suggested.
        curve: one point for each report, in order.
        last_report: the last report in full. Earlier ones are not kept, to save memory.
        rung: rung at which it was pruned or paused.
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
    log: str = ""  # last lines of a failed trial's worker
    judged_at: int = 0  # positions seen at the last decision
    seconds: float = 0.0  # time on workers
    attempts: int = 0
    losses: int = 0  # workers that were lost, each followed by another attempt
    told: bool = False
    _last_at: float | None = None

    @classmethod
    def suggested(cls, event: Suggested) -> TrialHistory:
        """A trial from the event that planned it."""
        return cls(**{name: getattr(event, name) for name in _SUGGESTED})

    @property
    def phase(self) -> PhaseName:
        """The phase of the study that it belongs to."""
        return phase_of(self.origin)

    @property
    def job(self) -> str:
        """The job that trains it: the trial itself, or all heads of one seed of a comparison."""
        return f"compare-s{self.replicate:02d}" if self.phase == "compare" else self.trial

    @property
    def positions_seen(self) -> int:
        """Positions seen at the last report in the ledger."""
        return self.curve[-1].positions_seen if self.curve else 0

    @property
    def is_control(self) -> bool:
        """Whether it is a negative control, which is listed but never ranked."""
        return self.config.get("readout", {}).get("name") in CONTROLS

    @property
    def is_rerun(self) -> bool:
        """Whether it trains a variant of the search again, without the searcher and the rungs."""
        return self.phase != "search" and self.phase in SEARCHED

    @property
    def told_as(self) -> str:
        """Optuna's state of an ended trial; FAIL for a control, which it must not learn from."""
        return "FAIL" if self.is_control else TOLD_AS.get(self.status, "PRUNED")

    @property
    def value_loss(self) -> float | None:
        """Brier score at the last report, or None without a report."""
        return self.curve[-1].value_loss if self.curve else None


@dataclass
class StudyHistory:
    """All trials of a study, in the order in which they were suggested.

    Attributes:
        compared: result of the comparison, or None before its end.
        chosen: winners for the confirmation, one entry for each time that they were chosen.
    """

    trials: dict[str, TrialHistory] = field(default_factory=dict)
    state: StudyState = "running"
    target_trials: int = 0
    study: StudyOpened = field(default_factory=StudyOpened)
    baselines: list[Baseline] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    compared: Compared | None = None
    chosen: list[Chosen] = field(default_factory=list)
    rungs: dict[int, list[bool]] = field(default_factory=dict)  # level -> whether trials continued
    seconds: float = 0.0  # time of all sessions, without the pauses between them
    positions: int = 0  # positions that all jobs have trained on
    trial_seconds: float = 0.0  # time of all workers together
    began: float = 0.0  # start of the study, in seconds since the epoch
    searched: int = 0  # number of trials that the search proposed
    _last_at: float | None = None
    _counts: dict[PhaseName, int] = field(default_factory=dict)  # by numbered_with
    _replicates: dict[tuple[PhaseName, str], int] = field(default_factory=dict)
    _of_job: dict[str, list[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, events: Iterable[Event]) -> StudyHistory:
        """Fold a whole ledger; a LedgerError where a record does not fit those before it."""
        history = cls()
        for number, event in enumerate(events, start=1):
            with fitting(f"ledger.jsonl line {number}: '{event.event}'"):
                history.apply(event)
        return history

    @classmethod
    def read(cls, ledger: Path) -> StudyHistory:
        """Fold the ledger of a study, which may be running.

        Raises:
            LedgerError: the ledger is missing, damaged, or written by another version.
        """
        return cls.of(events_in(ledger))

    @property
    def all_failed(self) -> bool:
        """Whether there are trials, and all of them failed."""
        return bool(self.trials) and all(t.status == "failed" for t in self.trials.values())

    def only(self, phases: Collection[PhaseName]) -> StudyHistory:
        """The same study with the trials of the given phases only."""
        chosen = {name: trial for name, trial in self.trials.items() if trial.phase in phases}
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return StudyHistory(**{**values, "trials": chosen})

    def apply(self, event: Event) -> None:
        """Update the state with one event."""
        self._count_time(event)
        if isinstance(event, Suggested):
            self._add(TrialHistory.suggested(event))
        elif isinstance(event, TrialEvent):
            self._apply_to_trial(self.trials[event.trial], event)
        elif isinstance(event, StudyOpened):
            self.study, self.target_trials = event, event.trials
            self.baselines = [Baseline.from_json(raw) for raw in event.baselines]
            self.warnings = event.warnings
        elif isinstance(event, Interrupted):
            self.state = "interrupted"
        elif isinstance(event, Finished):
            self.state = "finished"
        elif isinstance(event, Resumed):
            self.state = "running"
            self.target_trials = event.trials
        elif isinstance(event, Compared):
            self.compared = event
        elif isinstance(event, Chosen):
            self.chosen.append(event)

    def _add(self, trial: TrialHistory) -> None:
        self.trials[trial.trial] = trial
        kind = PHASE_TRIALS[trial.phase].numbered_with
        self.searched += trial.phase == "search"
        self._counts[kind] = self._counts.get(kind, 0) + 1
        replicates = self._replicates.get((kind, trial.variant), 0)
        self._replicates[kind, trial.variant] = max(replicates, trial.replicate + 1)
        self._of_job.setdefault(trial.job, []).append(trial.trial)
        self.state = "running"

    def _apply_to_trial(self, trial: TrialHistory, event: TrialEvent) -> None:
        if isinstance(event, Started):
            trial.status = "running"
            trial.attempts = event.attempt
            trial._last_at = event.at
        elif isinstance(event, Reported):
            report = event.report
            if self._stands_for_its_job(trial):
                self.positions += report.positions_seen - trial.positions_seen
            self._count_work(trial, event.at)
            trial.curve.append(report.point)
            trial.last_report = report
        elif isinstance(event, Decided):
            self._decide(trial, event)
        elif isinstance(event, Failed):
            trial.status, trial.reason, trial.log = "failed", event.reason, event.log
            self._count_work(trial, event.at)
        elif isinstance(event, Retried):
            trial.status = "waiting"
            trial.losses += 1
            self._count_work(trial, event.at)
        elif isinstance(event, Promoted):
            trial.status, trial.told, trial._last_at = "waiting", False, None
        elif isinstance(event, Discarded):
            trial.status = "pruned"
        elif isinstance(event, Told):
            trial.told = True

    def _decide(self, trial: TrialHistory, event: Decided) -> None:
        trial.judged_at = event.positions_seen
        if event.rung is not None:
            self.rungs.setdefault(event.rung, []).append(event.decision == "continue")
        if event.decision == "prune":
            trial.status, trial.rung = "pruned", event.rung
            trial.reason = f"rank {event.rank} of {event.of} at {event.rung:,} positions"
        elif event.decision == "pause":
            trial.status, trial.rung, trial.reason = "paused", event.rung, event.reason
        elif event.decision == "complete":
            trial.status, trial.rung, trial.reason = "completed", None, ""
        elif event.decision == "stop":
            trial.status, trial.reason = "stopped", event.reason

    def _stands_for_its_job(self, trial: TrialHistory) -> bool:
        """Whether it is the first trial of its job, which counts the cost of a shared trunk."""
        return self._of_job[trial.job][0] == trial.trial

    def _count_work(self, trial: TrialHistory, at: float) -> None:
        if trial._last_at is not None and self._stands_for_its_job(trial):
            spent = max(0.0, at - trial._last_at)
            trial.seconds += spent
            self.trial_seconds += spent
        trial._last_at = at

    def _count_time(self, event: Event) -> None:
        if self._last_at is None:
            self.began = event.at
        elif not isinstance(event, Resumed):
            self.seconds += max(0.0, event.at - self._last_at)
        self._last_at = event.at

    @property
    def unfinished(self) -> list[TrialHistory]:
        """Trials that were planned and have not ended."""
        return [trial for trial in self.trials.values() if trial.status not in ENDED]

    def trials_of(self, job: str) -> list[TrialHistory]:
        """The trials that one job trains together, including ended ones."""
        return [self.trials[name] for name in self._of_job[job]]

    def count(self, phase: PhaseName) -> int:
        """Number of trials that are numbered together with those of a phase."""
        return self._counts.get(PHASE_TRIALS[phase].numbered_with, 0)

    def replicates(self, variant: str) -> int:
        """Number of seeds of a variant that the search has assigned."""
        return self._replicates.get(("search", variant), 0)


_SUGGESTED = (
    "trial", "number", "variant", "replicate", "seed", "head", "values", "config", "origin"
)  # fmt: skip
