"""Pruning by evidence: a trial is paused if another one is more promising for the same training.

1. A trial in the best 1/k of a rung continues, now or when a worker is free: ASHA in its promotion
   form.
2. With `grace_period: auto`, a rung before max_t / k^2 is closed while the ranks there and at the
   next rung, of six trials or more, do not agree by a standard error of their correlation. It
   then pauses no trial.
3. Before the first trial has ended, nothing is known about final values, and a trial also continues
   if it is behind by less than the standard error of the paired difference of per-game losses. New
   trials are chosen by values at the highest rung from max_t / k^2 on that three trials have
   passed, or else at random.
4. Afterwards, the study learns at each rung how the value there, its change since the rung before,
   and the settings predict final values, from the trials that continued. If a rung predicts
   nothing, all predictions are alike. A trial far behind is not less certain than one a little
   behind.
5. The promise of a trial is its expected improvement on the best final value, per training that
   it still costs. A trial also continues if no paused trial and no new one has a higher promise.
6. A free worker takes a trial of rule 1, or else the paused or new trial with the highest promise.
   A trial that cannot end within the budget is passed over if another one can.
7. When all trials were started, paused ones continue while one of them improves on the best with
   a probability of at least 5%, or while a stated budget lasts.

The models are in `search/forecasting/`.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from hexsearch.config.scheduler import SchedulerConfig
from hexsearch.ledger.events import Decided, Discarded, Event, Promoted
from hexsearch.search.forecasting.forecast import Forecast
from hexsearch.search.pruners.base import Decision, Pruner
from hexsearch.search.pruners.rung_record import RungRecord

_CHANCE = 0.05
_ALONE = "too few trials have reached this rung for a comparison"
_CLOSED = "ranks at this rung do not predict those at the next one"


class EvidencePruner(Pruner):
    """Compares ranks, and promises once a trial has ended; see the module."""

    pauses = True

    def __init__(self, config: SchedulerConfig, rungs: tuple[int, ...], max_positions: int) -> None:
        super().__init__(config, rungs, max_positions)
        factor = config.reduction_factor
        # A study that finds its first rung itself may close early rungs.
        least = max_positions / factor**2 if config.grace_period == "auto" else 0.0
        self._records = {rung: RungRecord(factor, may_close=rung < least) for rung in rungs}

    def compare(self, number: int, rung: int, value_loss: float, left: float) -> Decision:
        """Continue a trial of the best ones, or one that no other exceeds in promise."""
        record, place = self._records[rung], (value_loss, number)
        decision = Decision("continue", rung, record.rank(place), len(record.all) + 1)
        if number not in self._forecast.entries:  # a control
            return decision
        if not record.is_open:
            return replace(decision, reason=_CLOSED)
        by_rank = self._by_rank(decision, number, value_loss)
        if by_rank.action == "continue":
            return by_rank
        if self._forecast.is_ready:
            return self._by_promise(decision, number, left)
        goes_on = not self._has_fresh(left) and self._is_furthest(rung, place)
        return replace(by_rank, action="continue") if goes_on else by_rank

    def choose_paused(self, may_propose: bool, left: float) -> int | None:
        """The paused trial to continue now; None if a new trial, or none, is better."""
        forecast = self._forecast
        if not forecast.paused.levels:
            return None
        fresh = may_propose and left >= 1.0  # otherwise a new trial cannot end
        due = self._due(left)
        if due is not None:
            return due
        if not forecast.is_ready:
            return None if fresh else self._furthest()
        best = forecast.best_paused(left)
        if best is not None and fresh:
            return best[0] if best[1] >= self._fresh_promise() else None
        if best is not None and (may_propose or left < math.inf):
            return best[0]
        return forecast.likeliest(_CHANCE)

    def apply(self, event: Event) -> None:
        """Update the rungs with a decision."""
        if isinstance(event, Decided) and event.rung is not None:
            number = self._forecast.number_of(event.trial)
            if number is not None:
                waits, level = event.decision == "pause", self.rungs.index(event.rung)
                self._records[event.rung].add((event.value_loss, number), waits)
                if level:
                    before = self._forecast.entries[number].losses[level - 1]
                    self._records[self.rungs[level - 1]].learn(before, event.value_loss)
        elif isinstance(event, Promoted | Discarded):
            number = self._forecast.number_of(event.trial)
            if number is not None:
                losses = self._forecast.entries[number].losses
                self._records[self.rungs[len(losses) - 1]].remove((losses[-1], number))

    def chance(self, before: int) -> float:
        """About one in `reduction_factor`, as an estimate of what a study costs."""
        return max(1.0 / (before + 1), 1.0 / self.config.reduction_factor)

    @property
    def _forecast(self) -> Forecast:
        assert self.outlook is not None
        return self.outlook.forecast

    def _fresh_promise(self) -> float:
        assert self.outlook is not None
        return self.outlook.fresh_promise()

    def _has_fresh(self, left: float) -> bool:
        assert self.outlook is not None
        return self.outlook.has_fresh and left >= 1.0

    def _by_rank(self, decision: Decision, number: int, loss: float) -> Decision:
        """Rule 1."""
        assert decision.rung is not None
        record, entries = self._records[decision.rung], self._forecast.entries
        goes_on, cutoff = record.is_among_best((loss, number)), record.cutoff()
        if cutoff is None:
            return replace(decision, action="pause", reason=_ALONE)
        difference, known = loss - cutoff[0], None
        if self.paired is not None and cutoff[1] in entries:
            known = self.paired(entries[number].name, entries[cutoff[1]].name, decision.rung)
        if known is not None:
            difference, error = known
            goes_on = goes_on or (difference <= error and not self._forecast.is_ready)
        return replace(
            decision,
            action="continue" if goes_on else "pause",
            cutoff=cutoff[0],
            reason=_behind(difference, known[1] if known is not None else None),
        )

    def _by_promise(self, decision: Decision, number: int, left: float) -> Decision:
        """Rule 5."""
        forecast = self._forecast
        own, share = forecast.promise(number), forecast.share_left(number)
        paused = forecast.best_paused(left)
        other = paused[1] if paused else -math.inf
        other_ends = paused is not None and forecast.share_left(paused[0]) <= left
        if self._has_fresh(left):
            other, other_ends = max(other, self._fresh_promise()), True
        ends = share <= left
        goes_on = own >= other if ends == other_ends else ends
        reason, cutoff = self._explain(number, other)
        action = decision.action if goes_on or other == -math.inf else "pause"
        return replace(decision, action=action, cutoff=cutoff, reason=reason)

    def _due(self, left: float) -> int | None:
        """The paused trial that rule 1 continues, from the highest rung down."""
        for rung in reversed(self.rungs):
            place = self._records[rung].promotable()
            if place is not None and 1.0 - rung / self.max_positions <= left:
                return place[1]
        return None

    def _furthest(self) -> int | None:
        """The best paused trial of the highest rung that has one."""
        waiting = [self._records[rung].waiting for rung in reversed(self.rungs)]
        return next((places[0][1] for places in waiting if places), None)

    def _is_furthest(self, rung: int, place: tuple[float, int]) -> bool:
        """Whether a trial, if it was paused, would be that of `_furthest`."""
        above = any(self._records[other].waiting for other in self.rungs if other > rung)
        here = self._records[rung].waiting
        return not above and (not here or place < here[0])

    def _explain(self, number: int, other: float) -> tuple[str, float | None]:
        """A reason, and the predicted final value that the trial would need to continue."""
        forecast = self._forecast
        mean, variance = forecast.expected(number)
        error = math.sqrt(variance)
        if other == -math.inf:
            return (
                f"predicted to end at {forecast.fit.in_loss(mean):.4f}; no other trial waits",
                None,
            )
        low, high, level = mean - 8 * error, mean + 8 * error, len(forecast.entries[number].losses)
        for _ in range(12):
            middle = (low + high) / 2
            at = forecast.promises_at(level, np.array([middle]), np.array([variance]))
            low, high = (middle, high) if float(at[0]) >= other else (low, middle)
        spread = forecast.fit.spread
        return _behind((mean - low) * spread, error * spread), forecast.fit.in_loss(low)


def _behind(difference: float, error: float | None) -> str:
    side = "behind" if difference > 0 else "ahead of"
    sure = "" if error is None else f" ± {error:.4f}"
    return f"{abs(difference):.4f}{sure} {side} the cut-off"
