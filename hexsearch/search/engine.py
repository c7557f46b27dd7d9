"""The search itself, without Ray: proposes trials, judges their reports, writes the ledger.

Every decision is recorded before it is acted on, and everything the engine knows is a fold over
the records, so an engine made from a ledger decides as the one that wrote it would have.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal

from hexsearch.config.study import StudyConfig
from hexsearch.errors import DiskError
from hexsearch.ledger.history import ENDED, StudyHistory, TrialHistory
from hexsearch.ledger.ledger import Ledger, Record
from hexsearch.ledger.report import ReportSummary
from hexsearch.search.budget import Horizon, budget_spent
from hexsearch.search.proposer import Proposer
from hexsearch.search.pruning import Decision, RungSchedule, make_pruner
from hexsearch.search.reruns import Follow
from hexsearch.search.seeds import derive_seed
from hexsearch.search.space import SearchSpace, position_unit, variant_key

Observer = Callable[[Record], None]
Next = TrialHistory | Literal["wait", "finished"]


class Engine:
    """One study in progress.

    Args:
        slots: how many trials may run at once; asked again whenever one may start.
        observe: called with each record once it is on disk.
        follow: asked for reruns whenever all that was started has ended and the search is over.
        seconds_left: until the caller will stop the study; decisions near its end depend on it.
    """

    def __init__(
        self,
        config: StudyConfig,
        space: SearchSpace,
        ledger: Ledger,
        trials: int,
        slots: Callable[[], int] = lambda: 1,
        observe: Observer = lambda record: None,
        follow: Follow | None = None,
        seconds_left: Callable[[], float] = lambda: math.inf,
    ) -> None:
        self.config, self.space, self.ledger, self.trials = config, space, ledger, trials
        self.schedule = RungSchedule.of(config.scheduler, position_unit(space))
        self.history = StudyHistory()
        self.draining = False
        self.halted: str | None = None  # which budget or fault made the study drain
        self.broken: DiskError | None = None  # what could not be written, and why
        self._pruner = make_pruner(config.scheduler, self.schedule)
        self._proposer = Proposer(space, config.searcher, config.run.seed, trials)
        # One in so many goes on past a rung: with fewer that could come to their end, a fresh
        # trial is no better a bet than one that fell behind.
        share = 1.0 / config.scheduler.reduction_factor
        self._horizon = Horizon(config.run, self.schedule.budget, share, seconds_left)
        self._slots, self._observe, self._follow = slots, observe, follow
        self._missing = 0  # reruns that were planned together with the last one, after it
        for record in ledger:
            self._fold(record)
        self._live: set[str] = set()
        self._queue: list[str] = []
        self._repair()
        self._queue = [trial.trial for trial in self.history.unfinished]
        if self._missing:  # a crash came in the middle of a batch; none of it has begun
            self._plan_reruns()

    def next_trial(self) -> Next:
        """The trial to start now: unfinished ones of an earlier session first.

        Returns:
            `wait` while every slot is taken, `finished` when no trial will be started any more.
        """
        if self.draining:
            return "finished"
        if not self._queue and self.history.searched >= self.trials:
            if self._live:
                # One that runs may yet lose its worker, and then wants to be started again.
                return "wait"
            if not self._plan_reruns():
                return "finished"
        if len(self._live) >= self._slots():
            return "wait"
        name = self._queue.pop(0) if self._queue else self._suggest()
        self._live.add(name)
        return self.history.trials[name]

    @property
    def is_finished(self) -> bool:
        """Whether everything that was asked for has ended; plans what has to follow."""
        history = self.history
        searched = history.searched >= self.trials and not history.unfinished
        return searched and not self._queue and not self._plan_reruns()

    def start(self, name: str) -> None:
        """A worker has begun, or begun again, to run a trial."""
        trial = self.history.trials[name]
        if trial.status not in ENDED:
            self.record("started", trial=name, attempt=trial.attempts + 1)

    def report(self, name: str, report: dict[str, Any]) -> Literal["continue", "stop"]:
        """Record a report and decide. A report that the ledger holds already changes nothing."""
        trial = self.history.trials[name]
        if trial.status in ENDED:
            return "stop"
        positions, value_loss = int(report["positions_seen"]), float(report["value_loss"])
        if positions <= trial.positions_seen:
            return self._unless_draining()
        if not math.isfinite(value_loss):
            self.fail(name, f"value_loss is {value_loss} at {positions:,} positions")
            return "stop"
        self.record("reported", trial=name, report=report)
        spent = budget_spent(self.config.run, self.history)
        if spent:
            self.halt(spent)
        return self._judge(trial)

    def lose(self, name: str, reason: str, log: str = "") -> None:
        """A trial's worker has raised or died: it goes on from its checkpoint, or has failed.

        It is next in line: what is tried after it would otherwise know less.
        """
        trial = self.history.trials[name]
        if trial.status in ENDED:
            return
        if trial.losses >= self.config.run.retries:
            self.fail(name, reason, log)
        else:
            self.record("retried", trial=name, reason=reason, log=log)
            self._queue.insert(0, name)

    def fail(self, name: str, reason: str, log: str = "") -> None:
        """A trial cannot go on; the study does."""
        trial = self.history.trials[name]
        if trial.status not in ENDED:
            self.record("failed", trial=name, reason=reason, log=log)
            self._end(name)

    def release(self, name: str) -> None:
        """A trial's worker is gone; if it has not ended it is left for a resume."""
        self._live.discard(name)

    def drain(self) -> None:
        """Start nothing more and let each running trial go after its next report."""
        self.draining = True

    def halt(self, reason: str, broken: DiskError | None = None) -> None:
        """Drain, because a budget is used up or something cannot be written any more."""
        self.halted, self.broken = self.halted or reason, self.broken or broken
        self.drain()

    def record(self, event: str, **fields: Any) -> None:
        """Append to the ledger and fold what was appended."""
        try:
            record = self.ledger.append(event, **fields)
        except DiskError as error:
            self.broken = error
            raise
        self._fold(record)
        self._observe(record)

    def _suggest(self) -> str:
        values, origin = self._proposer.propose(self.history.searched)
        config = self.space.resolve(values)
        variant = variant_key(config)
        # A configuration that comes up again is a further seed of its variant.
        return self._add(
            variant=variant,
            replicate=self.history.replicates(variant),
            origin=origin,
            head=config.value_head.name,
            values=values,
            config=config.model_dump(mode="json"),
        )

    def _add(self, *, replicate: int, **fields: Any) -> str:
        """Record a trial to come; its name."""
        number = len(self.history.trials)
        name = f"t{number:04d}"
        self.record(
            "suggested",
            trial=name,
            number=number,
            replicate=replicate,
            # Replicate r has the same seed in every variant: equal data order and trunk make
            # them comparable.
            seed=derive_seed(self.config.run.seed, "trial", replicate),
            **fields,
        )
        return name

    def _plan_reruns(self) -> bool:
        """Queue what is to be trained again, if anything; reruns that wait already stay."""
        waiting = {(t.origin, t.variant, t.replicate) for t in self.history.unfinished}
        reruns = [
            rerun
            for rerun in (self._follow(self.history) if self._follow is not None else ())
            if (rerun.origin, rerun.like.variant, rerun.replicate) not in waiting
        ]
        for place, rerun in enumerate(reruns, start=1):
            like = rerun.like
            name = self._add(
                variant=like.variant,
                replicate=rerun.replicate,
                origin=rerun.origin,
                head=like.head,
                values=like.values,
                config=like.config,
                missing=len(reruns) - place,
            )
            self._queue.append(name)
        return bool(reruns)

    def _judge(self, trial: TrialHistory) -> Literal["continue", "stop"]:
        """Decide on the last report that is recorded."""
        name, report = trial.trial, trial.last_report
        assert report is not None, "a decision follows a report"
        positions, value_loss = report.positions_seen, report.value_loss
        if trial.is_control or trial.is_rerun:
            # Runs to its end apart from the others: no rung holds its value.
            ended = positions >= self.schedule.budget
            decision = Decision("complete" if ended else "continue")
        else:
            decision = self._pruner.decide(trial.number, positions, value_loss)
        left = self._horizon.trainings_left(self.history, max(1, len(self._live)))
        if decision.action == "prune" and left < 1.0 and self._would_start_another():
            decision = replace(decision, action="continue")
        if self._is_unhealthy(report):
            self.record(
                "decided",
                trial=name,
                positions_seen=positions,
                value_loss=value_loss,
                decision="stop",
                rung=None,
                reason=f"{report.verdict} at {positions:,} positions: {report.evidence}",
            )
            self._end(name)
            return "stop"
        if decision.rung is not None or decision.action != "continue":
            self.record(
                "decided",
                trial=name,
                positions_seen=positions,
                value_loss=value_loss,
                decision=decision.action,
                bracket=decision.bracket,
                rung=decision.rung,
                rank=decision.rank,
                of=decision.of,
                cutoff=decision.cutoff,
                trainings_left=round(left, 3) if left < math.inf else None,
            )
        if decision.action == "continue":
            return self._unless_draining()
        self._end(name)
        return "stop"

    def _would_start_another(self) -> bool:
        """Whether a worker that is freed now gets a fresh trial."""
        return not (self.draining or self._queue) and self.history.searched < self.trials

    def _end(self, name: str) -> None:
        """Tell the searcher what became of a trial that has just ended."""
        trial = self.history.trials[name]
        self.record("told", trial=name, state=trial.told_as)
        self._live.discard(name)

    def _repair(self) -> None:
        """Write what a crash left out between records that belong together."""
        for trial in self.history.trials.values():
            if trial.status in ENDED:
                if not trial.told:
                    self._end(trial.trial)
            elif trial.last_report is not None and self._is_due(trial, trial.last_report):
                self._judge(trial)

    def _is_unhealthy(self, report: ReportSummary) -> bool:
        """Whether a verdict ends the trial here."""
        scheduler = self.config.scheduler
        return (
            report.verdict in scheduler.stop_on
            and scheduler.grace_period <= report.positions_seen < self.schedule.budget
        )

    def _is_due(self, trial: TrialHistory, report: ReportSummary) -> bool:
        """Whether a trial's last report calls for a decision that the ledger does not hold."""
        last = trial.positions_seen
        calls = (
            last >= self.schedule.budget
            or (not trial.is_rerun and self._pruner.is_rung(trial.number, last))
            or self._is_unhealthy(report)
        )
        return calls and trial.judged_at != last

    def _unless_draining(self) -> Literal["continue", "stop"]:
        return "stop" if self.draining else "continue"

    def _fold(self, record: Record) -> None:
        self.history.apply(record)
        self._pruner.apply(record)
        self._horizon.apply(record)
        trial = self.history.trials.get(record.get("trial", ""))
        if trial is None or not trial.is_rerun:
            self._proposer.apply(record)
        if record["event"] == "suggested":
            self._missing = record.get("missing", 0)
