"""A study itself, without Ray: proposes and plans trials, judges their reports, writes the ledger.

Every decision is recorded before it is acted on, and everything the engine knows is a fold over
the events, so an engine made from a ledger decides as the one that wrote it would have.
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
    """What a study is, and whom its engine asks.

    Attributes:
        trials: that the search is to have.
        slots: how many jobs may run at once; asked again whenever one may start.
        observe: called with each event once it is on disk.
        planner: asked for a batch of runs when nothing runs and the search may not propose.
        seconds_left: until the caller will stop the study; decisions near its end depend on it.
        paired: compares two trials game by game, for rules that want to know how sure they are.
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
    """What one worker trains at once: a trial, or all heads of a comparison's seed."""

    name: str
    trials: tuple[TrialHistory, ...]


class Engine:
    """One study in progress."""

    def __init__(self, setup: EngineSetup, ledger: Ledger) -> None:
        self.setup, self.ledger = setup, ledger
        config = self.config = setup.config
        self.schedules = PhaseSchedules.of(config, setup.space)
        self.history = StudyHistory()
        self.draining = False
        self.is_finished = False  # everything that was asked for has ended
        self.halted: str | None = None  # which budget or fault made the study drain
        self.broken: DiskError | None = None  # what could not be written, and why
        seed, trials, space = config.run.seed, setup.trials, setup.space
        outlook = Outlook.of(config, space, self.schedules.rungs.levels, trials)
        until, paired = setup.seconds_left, setup.paired
        self.decisions = Decisions(config, self.schedules, until, outlook, paired)
        self._proposer = Proposer(space, config.searcher, seed, trials, outlook)
        self._missing = 0  # runs that were planned together with the last one, after it
        for event in ledger:
            self._fold(event)
        self._live: set[str] = set()  # names of jobs
        self._queue: list[str] = []
        self._repair()
        self._queue = list(dict.fromkeys(trial.job for trial in self.history.unfinished))
        if self._missing:  # a crash came in the middle of a batch; none of it has begun
            self._plan_batch()

    def next_job(self) -> Job | Literal["wait", "finished"]:
        """The job to start now: unfinished ones of an earlier session first.

        Returns:
            `wait` while every slot is taken, `finished` when no job will be started any more.
        """
        if self.draining:
            return "finished"
        paused = None if self._queue else self._paused_to_go_on()
        if not self._queue and not self._may_propose and paused is None:
            if self._live:
                # One that runs may yet lose its worker, and then wants to be started again.
                return "wait"
            if not self.plan() or not (self._queue or self._may_propose):
                return "finished"
        if len(self._live) >= self.setup.slots():
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
        """Make sure that something can start, unless all is done; whether there is something."""
        while not (
            self._may_propose or self.history.unfinished or self._paused_to_go_on() is not None
        ):
            if not self._plan_batch():
                self.is_finished = True
                return False
        return True

    def start(self, job: str) -> None:
        """A worker has begun, or begun again, with a job."""
        for trial in self._going(job):
            self.record(Started(trial=trial.trial, attempt=trial.attempts + 1))

    def hear(self, job: str, reports: Mapping[str, ReportSummary]) -> Verdict:
        """What a worker reports of a job's trials; of none, where it has only saved them."""
        for name, report in reports.items():
            self.report(name, report)
        return "stop" if self.draining or not self._going(job) else "continue"

    def report(self, name: str, report: ReportSummary) -> Verdict:
        """Record a report and decide. A report that the ledger holds already changes nothing."""
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
        """A job's worker has raised or died: it goes on from its checkpoint, or has failed.

        It is next in line: what is tried after it would otherwise know less.
        """
        going = self._going(job)
        if not going:
            return
        if max(trial.losses for trial in going) >= self.config.run.retries:
            self.fail(job, reason, log)
            return
        for trial in going:
            self.record(Retried(trial=trial.trial, reason=reason, log=log))
        self._queue.insert(0, job)

    def fail(self, job: str, reason: str, log: str = "") -> None:
        """A job cannot go on; the study does."""
        for trial in self._going(job):
            self._fail(trial, reason, log)

    def release(self, job: str) -> None:
        """A job's worker is gone; what has not ended is left for a resume."""
        self._live.discard(job)

    def drain(self) -> None:
        """Start nothing more and let each running job go after its next report."""
        self.draining = True

    def halt(self, reason: str, broken: DiskError | None = None) -> None:
        """Drain, because a budget is used up or something cannot be written any more."""
        self.halted, self.broken = self.halted or reason, self.broken or broken
        self.drain()

    def record(self, event: Event) -> None:
        """Append to the ledger and fold what was appended."""
        try:
            written = self.ledger.append(event)
        except DiskError as error:
            self.broken = error
            raise
        self._fold(written)
        self.setup.observe(written)

    @property
    def _may_propose(self) -> bool:
        """Whether the search is to propose a further trial now."""
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
        # A configuration that comes up again is a further seed of its variant.
        return self._add(replace(run, replicate=self.history.replicates(run.variant)))

    def _add(self, run: PlannedRun, missing: int = 0) -> str:
        """Record a trial to come; the name of its job."""
        phase = phase_of(run.origin)
        number = self.history.count(phase)
        traits = PHASE_TRIALS[phase]
        name = f"{traits.letter}{number:04d}"
        # Replicate r has the same seed in every variant: equal data order and trunk make them
        # comparable. What is judged on test games has seeds that the search has not seen.
        purpose = "confirm" if traits.judged_on == "test" else "trial"
        seed = derive_seed(self.config.run.seed, purpose, run.replicate)
        self.record(run.suggested(name, number, seed, missing))
        return self.history.trials[name].job

    def _plan_batch(self) -> bool:
        """Queue what is planned next, if anything; runs that wait already stay."""
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
        """Decide on the last report that is recorded."""
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
        """Tell the searcher what became of a trial that has just ended."""
        self.record(Told(trial=trial.trial, state=trial.told_as))
        if not self._going(trial.job):
            self._live.discard(trial.job)

    def _repair(self) -> None:
        """Write what a crash left out between records that belong together."""
        for trial in self.history.trials.values():
            if trial.status in ENDED:
                if not trial.told:
                    self._end(trial)
            elif self.decisions.is_due(trial):
                self._decide(trial)

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
