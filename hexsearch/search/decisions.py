"""Decides after a report whether a trial continues, is pruned, is stopped or is complete."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace

from hexsearch.config.study import StudyConfig
from hexsearch.ledger.events import Decided, Event
from hexsearch.ledger.history import SEARCHED, StudyHistory, TrialHistory
from hexsearch.search.budget import Horizon
from hexsearch.search.forecasting.outlook import Outlook
from hexsearch.search.pruners.base import Paired
from hexsearch.search.pruning import Decision, make_pruner
from hexsearch.search.schedules import PhaseSchedules


class Decisions:
    """Judges reports of every phase, as a fold over the events of the search and its reruns.

    Args:
        seconds_left: until the caller will stop the study; decisions near its end depend on it.
        outlook, paired: for rules that use them.
    """

    def __init__(
        self,
        config: StudyConfig,
        schedules: PhaseSchedules,
        seconds_left: Callable[[], float],
        outlook: Outlook | None = None,
        paired: Paired | None = None,
    ) -> None:
        self._config, self._schedules = config.scheduler, schedules
        self._outlook = outlook
        self._pruner = make_pruner(config.scheduler, schedules.rungs, outlook, paired)
        # ASHA promotes one trial in `reduction_factor`. If fewer new trials than that can still
        # finish, pruning no longer pays.
        share = 1.0 / config.scheduler.reduction_factor
        self._horizon = Horizon(config.run, schedules.rungs.max_positions, share, seconds_left)

    def apply(self, event: Event) -> None:
        """Take one event into account."""
        if self._outlook is not None:
            self._outlook.apply(event)
        self._pruner.apply(event)
        self._horizon.apply(event)

    def is_due(self, trial: TrialHistory) -> bool:
        """Whether a trial's last report calls for a decision that the ledger does not hold."""
        if trial.last_report is None or trial.judged_at == trial.positions_seen:
            return False
        return (
            trial.positions_seen >= self._schedules.max_positions(trial.phase)
            or (
                trial.phase == "search" and self._pruner.is_rung(trial.number, trial.positions_seen)
            )
            or self._is_unhealthy(trial)
        )

    def decide(
        self, trial: TrialHistory, history: StudyHistory, workers: int, another: bool
    ) -> Decided | None:
        """Judge a trial's last report; None where it just goes on.

        Args:
            workers: how many train now.
            another: whether a worker that is freed now gets a fresh trial.
        """
        report, positions, left = trial.last_report, trial.positions_seen, math.inf
        assert report is not None, "a decision follows a report"
        decided = Decided(
            trial=trial.trial,
            positions_seen=positions,
            value_loss=report.value_loss,
            decision="stop",
        )
        if self._is_unhealthy(trial):
            reason = f"{report.verdict} at {positions:,} positions: {report.evidence}"
            return replace(decided, reason=reason)
        if trial.phase != "search" or trial.is_control:
            # Runs to its end apart from the others: no rung holds its value.
            ended = positions >= self._schedules.max_positions(trial.phase)
            decision = Decision("complete" if ended else "continue")
        else:
            left = self._horizon.trainings_left(history, workers)
            decision = self._pruner.decide(trial.number, positions, decided.value_loss, left)
        if decision.action == "prune" and left < 1.0 and another:
            decision = replace(decision, action="continue")
        if decision.action == "continue" and decision.rung is None:
            return None
        return replace(
            decided,
            decision=decision.action,
            bracket=decision.bracket,
            rung=decision.rung,
            rank=decision.rank,
            of=decision.of,
            cutoff=decision.cutoff,
            reason=decision.reason,
            trainings_left=round(left, 3) if left < math.inf else None,
        )

    def paused_to_go_on(self, history: StudyHistory, workers: int, may_propose: bool) -> str | None:
        """The paused trial that a free worker should take, if any."""
        if self._outlook is None or not self._pruner.pauses:
            return None
        left = self._horizon.trainings_left(history, workers)
        number = self._pruner.choose_paused(may_propose, left)
        return None if number is None else self._outlook.forecast.entries[number].name

    def paused(self) -> Iterator[str]:
        """Names of paused trials, the one that promises least first."""
        return iter(()) if self._outlook is None else self._outlook.forecast.least_promising()

    def _is_unhealthy(self, trial: TrialHistory) -> bool:
        """Whether the verdict of a trial's last report ends it here."""
        return (
            trial.phase in SEARCHED
            and trial.last_report is not None
            and trial.last_report.verdict in self._config.stop_on
            and self._config.first_rung
            <= trial.positions_seen
            < self._schedules.rungs.max_positions
        )
