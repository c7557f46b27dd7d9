"""The engine of a study, without Ray: it plans trials, decides on reports, writes the ledger.

Every decision is recorded before it takes effect. All state is a fold over the events, so an
engine that is made from a ledger decides in the same way as the engine that wrote it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from hexsearch.config.phases import PHASE_TRIALS
from hexsearch.config.study import StudyConfig
from hexsearch.errors import DiskError
from hexsearch.ledger.events import (
    Event,
    Failed,
    Promoted,
    Reported,
    Retried,
    Started,
    Suggested,
    Told,
    TrialEvent,
)
from hexsearch.ledger.history import ENDED, SEARCHED, StudyHistory, TrialHistory, phase_of
from hexsearch.ledger.ledger import Ledger
from hexsearch.ledger.report import ReportSummary
from hexsearch.search.budget import budget_spent
from hexsearch.search.decisions import Decisions
from hexsearch.search.forecasting.outlook import Outlook
from hexsearch.search.proposer import Proposer
from hexsearch.search.pruners.base import Paired
from hexsearch.search.reruns import PlannedRun, Planner, nothing_planned
from hexsearch.search.schedules import PhaseSchedules
from hexsearch.search.seeds import derive_seed
from hexsearch.search.space import SearchSpace

Verdict = Literal["continue", "stop"]


@dataclass(frozen=True)
class EngineSetup:
    """The study of an engine, and the functions that it calls.

    Attributes:
        trials: number of trials of the search.
        slots: function for the number of jobs that may run at once. It is called before each start.
        observe: called with each event after it was written.
        planner: called for a batch of runs when no trial runs and the search proposes none.
        seconds_left: seconds until the study will be stopped, which decisions near the end use.
        paired: difference of two trials game by game, for pruning rules that use it.
    """

    config: StudyConfig
    space: SearchSpace
    trials: int
    slots: Callable[[], int] = lambda: 1
    observe: Callable[[Event], None] = lambda event: None
    planner: Planner = nothing_planned
    seconds_left: Callable[[], float] = lambda: math.inf
    paired: Paired | None = None


@dataclass(frozen=True)
class Job:
    """The job of one worker: a trial, or all heads of one seed of a comparison."""

    name: str
    trials: tuple[TrialHistory, ...]


class Engine:
    """The engine of one study. `begin` comes before everything else."""

    def __init__(self, setup: EngineSetup, ledger: Ledger) -> None:
        self.setup, self.ledger = setup, ledger
        config = self.config = setup.config
        self.schedules = PhaseSchedules.of(config, setup.space)
        self.history = StudyHistory()
        self.draining = False
        self.is_finished = False  # all trials of all phases have ended
        self.halted: str | None = None  # budget or fault because of which the study drains
        self.broken: DiskError | None = None  # error because of which a file cannot be written
        seed, trials, space = config.run.seed, setup.trials, setup.space
        outlook = Outlook.of(config, space, self.schedules.rungs.levels, trials)
        until, paired = setup.seconds_left, setup.paired
        self.decisions = Decisions(config, self.schedules, until, outlook, paired)
        self._proposer = Proposer(space, config.searcher, seed, trials, outlook)
        self._missing = 0  # runs of the last batch that are not recorded yet
        for event in ledger:
            self._fold(event)
        self._live: set[str] = set()  # names of running jobs
        self._queue: list[str] = []

    def begin(self) -> Engine:
        """Record what a crash left out between related records, and queue unfinished jobs."""
        for trial in self.history.trials.values():
            if trial.status in ENDED:
                if not trial.told:
                    self._end(trial)
            elif self.decisions.is_due(trial):
                self._decide(trial)
        self._queue = list(dict.fromkeys(trial.job for trial in self.history.unfinished))
        if self._missing:  # a crash interrupted the recording of a batch; none of it has begun
            self._plan_batch()
        return self

    def next_job(self) -> Job | Literal["wait", "finished"]:
        """The next job to start, or `wait` while none can, or `finished` when none will.

        Unfinished jobs of an earlier session come first.
        """
        if self.draining:
            return "finished"
        if self._live and len(self._live) >= self.setup.slots():
            return "wait"
        paused = None if self._queue else self._paused_to_go_on()
        if not self._queue and not self._may_propose and paused is None:
            if self._live:
                # A running job may lose its worker, and must then be started again.
                return "wait"
            if not self.plan() or not (self._queue or self._may_propose):
                return "finished"
        if self.setup.slots() < 1:
            return "wait"
        if self._queue:
            name = self._queue.pop(0)
        elif paused is not None:
            self.record(Promoted(trial=paused))
            name = self.history.trials[paused].job
        else:
            name = self._suggest()
        self._live.add(name)
        return Job(name, tuple(self.history.trials_of(name)))

    def plan(self) -> bool:
        """Plan runs until a trial can start. Returns False if the study is finished."""
        while not (
            self._may_propose or self.history.unfinished or self._paused_to_go_on() is not None
        ):
            if not self._plan_batch():
                self.is_finished = True
                return False
        return True

    def start(self, job: str) -> None:
        """Record that a worker has started a job, or started it again."""
        for trial in self._going(job):
            self.record(Started(trial=trial.trial, attempt=trial.attempts + 1))

    def hear(self, job: str, reports: Mapping[str, ReportSummary]) -> Verdict:
        """Handle a worker's reports on a job's trials; none if it has only saved a checkpoint."""
        for name, report in reports.items():
            self.report(name, report)
        return "stop" if self.draining or not self._going(job) else "continue"

    def report(self, name: str, report: ReportSummary) -> Verdict:
        """Record a report and decide. A report that is in the ledger already is ignored."""
        trial = self.history.trials[name]
        if trial.status in ENDED:
            return "stop"
        positions, value_loss = report.positions_seen, report.value_loss
        if positions <= trial.positions_seen:
            return self._unless_draining()
        if not math.isfinite(value_loss):
            self._fail(trial, f"value_loss is {value_loss} at {positions:,} positions")
            return "stop"
        self.record(Reported(trial=name, report=report))
        if spent := budget_spent(self.config.run, self.history):
            self.halt(spent)
        return self._decide(trial)

    def lose(self, job: str, reason: str, log: str = "") -> None:
        """Handle the loss of a job's worker: the job is retried from its checkpoint, or fails.

        A retried job is started first, so that later proposals know its result.
        """
        if not (going := self._going(job)):
            return
        if max(trial.losses for trial in going) >= self.config.run.retries:
            self.fail(job, reason, log)
            return
        for trial in going:
            self.record(Retried(trial=trial.trial, reason=reason, log=log))
        self._queue.insert(0, job)

    def fail(self, job: str, reason: str, log: str = "") -> None:
        """Record the failure of a job. The study continues."""
        for trial in self._going(job):
            self._fail(trial, reason, log)

    def release(self, job: str) -> None:
        """Remove a job whose worker has ended. Its unfinished trials can be resumed."""
        self._live.discard(job)

    def drain(self) -> None:
        """Start no more jobs, and stop each running job after its next report."""
        self.draining = True

    def halt(self, reason: str, broken: DiskError | None = None) -> None:
        """Drain because a budget is used up, or because a file cannot be written."""
        self.halted, self.broken = self.halted or reason, self.broken or broken
        self.drain()

    def record(self, event: Event) -> None:
        """Append an event to the ledger, and update the state with it."""
        try:
            written = self.ledger.append(event)
        except DiskError as error:
            self.broken = error
            raise
        self._fold(written)
        self.setup.observe(written)

    @property
    def _may_propose(self) -> bool:
        """Whether the search may propose a further trial now."""
        phases, history = self.config.phases, self.history
        return (
            "search" in phases
            and ("compare" not in phases or history.compared is not None)
            and history.searched < self.setup.trials
        )

    def _going(self, job: str) -> list[TrialHistory]:
        return [trial for trial in self.history.trials_of(job) if trial.status not in ENDED]

    def _paused_to_go_on(self) -> str | None:
        """The paused trial that a free worker should take, if any."""
        slots = max(1, self.setup.slots())
        return self.decisions.paused_to_go_on(self.history, slots, self._may_propose)

    def _suggest(self) -> str:
        values, origin = self._proposer.propose(self.history.searched)
        run = PlannedRun.of(self.setup.space.resolve(values), values, 0, origin)
        # A configuration that is proposed again is a further seed of its variant.
        return self._add(replace(run, replicate=self.history.replicates(run.variant)))

    def _add(self, run: PlannedRun, missing: int = 0) -> str:
        """Record a planned trial, and return the name of its job."""
        phase = phase_of(run.origin)
        number = self.history.count(phase)
        traits = PHASE_TRIALS[phase]
        name = f"{traits.letter}{number:04d}"
        # Replicate r has the same seed in every variant: equal data order and initial trunk make
        # them comparable. Trials for the test games have seeds that the search has not used.
        purpose = "confirm" if traits.judged_on == "test" else "trial"
        seed = derive_seed(self.config.run.seed, purpose, run.replicate)
        self.record(run.suggested(name, number, seed, missing))
        return self.history.trials[name].job

    def _plan_batch(self) -> bool:
        """Queue the next planned batch, if there is one. Runs that are queued already stay."""
        waiting = {(t.origin, t.variant, t.replicate) for t in self.history.unfinished}
        batch = self.setup.planner(self.history)
        if batch.note is not None:
            self.record(batch.note)
        runs = [r for r in batch.runs if (r.origin, r.variant, r.replicate) not in waiting]
        for place, run in enumerate(runs, start=1):
            job = self._add(run, missing=len(runs) - place)
            if job not in self._queue:
                self._queue.append(job)
        return bool(runs) or batch.note is not None

    def _decide(self, trial: TrialHistory) -> Verdict:
        """Decide on the last recorded report."""
        another = not (self.draining or self._queue) and self._may_propose
        decided = self.decisions.decide(trial, self.history, max(1, len(self._live)), another)
        if decided is not None:
            self.record(decided)
        if decided is None or decided.decision == "continue":
            return self._unless_draining()
        self._end(trial)
        return "stop"

    def _fail(self, trial: TrialHistory, reason: str, log: str = "") -> None:
        self.record(Failed(trial=trial.trial, reason=reason, log=log))
        self._end(trial)

    def _end(self, trial: TrialHistory) -> None:
        """Tell the searcher how a trial has ended."""
        self.record(Told(trial=trial.trial, state=trial.told_as))
        if not self._going(trial.job):
            self._live.discard(trial.job)

    def _unless_draining(self) -> Verdict:
        return "stop" if self.draining else "continue"

    def _fold(self, event: Event) -> None:
        self.history.apply(event)
        trial = self.history.trials[event.trial] if isinstance(event, TrialEvent) else None
        if trial is None or trial.phase in SEARCHED:
            self.decisions.apply(event)
        if trial is None or trial.phase == "search":
            self._proposer.apply(event)
        if isinstance(event, Suggested):
            self._missing = event.missing
