"""Pruning by evidence: a trial is paused if another one is more promising for the same training.

1. A trial in the best 1/k of a rung continues, now or when a worker is free: ASHA in its promotion
   form. It is ranked by the value that it is expected to end at if changes from rung to rung go on
   as they did in trials with values at three rungs (`Trend`). Where they do not, that is its value.
2. Until the first trial has ended, every fifth trial is not paused before the last rung, to learn
   what rungs say; if eight or more began together, every third is not paused at all. In the ranks
   it counts for 1/k of a trial for each rung that it has passed so.
3. With `grace_period: auto`, a rung before max_t / k^2 is closed while the ranks there and at the
   next rung, of six trials or more, do not agree by a standard error of their correlation. A closed
   rung pauses no trial.
4. Until the first trial has ended, a trial continues that is behind by less than the standard error
   of the paired difference of per-game losses, if the quartiles of the rung are at most two such
   errors apart; and one whose losses at the last two rungs differ from that of answers of 50% by
   less than their errors, if those of the cut-off do so, too. New trials are chosen by values at
   the highest rung from max_t / k^2 on that three trials have passed, or else at random.
5. Afterwards, the study learns at each rung how the expected value there, its change since the rung
   before, and the settings predict final values, from the trials that continued. If a rung predicts
   nothing, all predictions are alike. A trial far behind is not less certain than one a little
   behind.
6. The promise of a trial is its expected improvement on the best final value, per training that
   it still costs. A trial also continues if no paused trial and no new one has a higher promise.
7. A free worker takes a trial of rule 1, or else the paused or new trial with the highest
   promise. A trial that cannot end within the budget is passed over if another one can. Until the
   first trial has ended, no more than 20 begin while ranks from max_t / k^2 on hardly agree with
   those at the next rung (a correlation below 0.7): the best paused one at the highest rung goes
   on, since only an end can tell.
8. When all trials were started, paused ones continue while one of them improves on the best with
   a probability of at least 5%, or while a stated budget lasts.

The models are in `search/forecasting/`.
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial

import numpy as np

from hexsearch.config.scheduler import SchedulerConfig
from hexsearch.ledger.events import Decided, Discarded, Event, Promoted
from hexsearch.search.forecasting.forecast import Forecast
from hexsearch.search.pruners.base import Decision, Pruner
from hexsearch.search.pruners.rung_record import Place, RungRecord

_CHANCE = 0.05
# One trial of so many is not paused before the last rung, until a trial has ended. Many workers can
# spare more of them.
_EVERY, _EVERY_OF_MANY, _MANY = 5, 3, 8
# Trials that begin before one has ended, and a correlation of ranks that lets more begin.
_ENOUGH, _AGREE = 20, 0.7
_PAIRS, _KNOWN = 4, 4  # values that a correlation needs, and degrees of freedom of all of them
_SURE = 1.0  # standard errors by which ranks agree at an open rung
_NARROW = 2.0  # standard errors between the quartiles of a rung
_ALONE = "too few trials have reached this rung for a comparison"
_AT_CHANCE = "it and the cut-off answered about 50% at their last two rungs"
_CLOSED = "ranks at this rung and at the next one do not agree"
_SHOWS = "one trial of {} goes on to {}, to show what rungs say"


class EvidencePruner(Pruner):
    """Compares ranks, and promises once a trial has ended; see the module."""

    pauses = True

    def __init__(self, config: SchedulerConfig, rungs: tuple[int, ...], max_positions: int) -> None:
        super().__init__(config, rungs, max_positions)
        factor = config.reduction_factor
        self._records: dict[int, RungRecord] = {}
        for rung in rungs:
            # A study that finds its first rung itself may close early ones.
            may_close = config.grace_period == "auto" and rung < max_positions / factor**2
            self._records[rung] = RungRecord(factor, _SURE if may_close else -math.inf)
        self._trends = 0  # version of the trend by which trials are ranked

    def compare(self, number: int, rung: int, value_loss: float, left: float) -> Decision:
        """Continue a trial of the best ones, or one that no other exceeds in promise."""
        record, known = self._ranked(rung), number in self._forecast.entries
        place = (self._forecast.ahead(number) if known else value_loss, number)
        decision = Decision("continue", rung, record.rank(place), len(record.all) + 1)
        if not known:  # a control
            return decision
        if not record.is_open:
            return replace(decision, reason=_CLOSED)
        if self._shows(number) and (rung != self.rungs[-1] or self._are_many):
            until = "its end" if self._are_many else "the last rung"
            return replace(decision, reason=_SHOWS.format(self._every, until))
        by_rank = self._by_rank(decision, place)
        if by_rank.action == "continue":
            return by_rank
        if self._forecast.is_ready:
            return self._by_promise(decision, number, left)
        has_fresh = self._has_fresh(left) and not self._needs_an_end
        goes_on = not has_fresh and self._is_furthest(rung, place)
        return replace(by_rank, action="continue") if goes_on else by_rank

    def choose_paused(self, may_propose: bool, left: float) -> int | None:
        """The paused trial to continue now; None if a new trial, or none, is better."""
        forecast = self._forecast
        if not forecast.paused.levels:
            return None
        # Otherwise a new trial cannot end, or an end is needed first.
        fresh = may_propose and left >= 1.0 and not self._needs_an_end
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
                level, ahead = self.rungs.index(event.rung), self._forecast.ahead
                waits, weight = event.decision == "pause", 1.0
                if self._shows(number):
                    weight = self.config.reduction_factor ** -float(level)
                self._ranked(event.rung).add((ahead(number), number), waits, weight)
                if level:
                    before = self._ranked(self.rungs[level - 1])
                    if before.may_close or not self._forecast.is_ready:
                        before.learn(number, ahead(number, level - 1), ahead(number))
        elif isinstance(event, Promoted | Discarded):
            number = self._forecast.number_of(event.trial)
            if number is not None:
                rung = self.rungs[len(self._forecast.entries[number].losses) - 1]
                self._ranked(rung).remove((self._forecast.ahead(number), number))

    def chance(self, before: int) -> float:
        """About one in `reduction_factor`, as an estimate of what a study costs."""
        return max(1.0 / (before + 1), 1.0 / self.config.reduction_factor)

    @property
    def _forecast(self) -> Forecast:
        assert self.outlook is not None
        return self.outlook.forecast

    def _shows(self, number: int) -> bool:
        """Whether rule 2 is about a trial."""
        return number % self._every == self._every - 1 and not self._forecast.is_ready

    @property
    def _are_many(self) -> bool:
        return self._forecast.together >= _MANY

    @property
    def _every(self) -> int:
        return _EVERY_OF_MANY if self._are_many else _EVERY

    @property
    def _needs_an_end(self) -> bool:
        """Whether rule 7 lets no new trial begin before one has ended."""
        begun = len(self._forecast.entries)
        if self._forecast.is_ready or self._are_many or begun < _ENOUGH:
            return False
        least = self.max_positions / self.config.reduction_factor**2
        known = [self._ranked(rung).correlation() for rung in self.rungs if rung >= least]
        pairs = [(rho, count - 1) for rho, count in known if count >= _PAIRS]
        freedom = sum(weight for _, weight in pairs)
        return freedom >= _KNOWN and sum(rho * weight for rho, weight in pairs) < _AGREE * freedom

    def _ranked(self, rung: int) -> RungRecord:
        """The record of a rung, by what is expected of its trials now."""
        if self._trends != self._forecast.trends.version:
            self._trends, ahead = self._forecast.trends.version, self._forecast.ahead
            for level, other in enumerate(self.rungs):
                self._records[other].expect(
                    partial(ahead, level=level), partial(ahead, level=level + 1)
                )
        return self._records[rung]

    def _fresh_promise(self) -> float:
        assert self.outlook is not None
        return self.outlook.fresh_promise()

    def _has_fresh(self, left: float) -> bool:
        assert self.outlook is not None
        return self.outlook.has_fresh and left >= 1.0

    def _by_rank(self, decision: Decision, place: Place) -> Decision:
        """Rule 1, and those of rule 4 about a trial at a rung."""
        assert decision.rung is not None
        record = self._ranked(decision.rung)
        goes_on, cutoff = record.is_among_best(place), record.cutoff()
        best = cutoff or (record.all[0] if record.all else place)
        if not (goes_on or self._forecast.is_ready) and self._are_at_chance(place, best):
            return replace(decision, action="continue", reason=_AT_CHANCE)
        if cutoff is None:
            return replace(decision, action="pause", reason=_ALONE)
        difference, error = self._apart(decision.rung, place, cutoff)
        if error is not None:
            goes_on = goes_on or (difference <= error and self._is_narrow(decision.rung))
        return replace(
            decision,
            action="continue" if goes_on else "pause",
            cutoff=cutoff[0],
            reason=_behind(difference, error),
        )

    def _are_at_chance(self, *places: Place) -> bool:
        """Whether trials answered about 50% at their last two rungs."""
        return all(self._forecast.entries[number].at_chance >= 2 for _, number in places)

    def _is_narrow(self, rung: int) -> bool:
        """Whether rule 4 is about a rung: trials may differ there by chance alone."""
        if self._forecast.is_ready:
            return False
        quartiles = self._ranked(rung).quartiles()
        if quartiles is None:
            return True
        difference, error = self._apart(rung, quartiles[1], quartiles[0])
        return error is not None and difference <= _NARROW * error

    def _apart(self, rung: int, place: Place, cutoff: Place) -> tuple[float, float | None]:
        """Difference to the cut-off, and its error if losses of each game are known."""
        level, entries = self.rungs.index(rung), self._forecast.entries
        multiple = self._forecast.trends.trend.multiple(level)
        there = (rung, self.rungs[level - 1]) if multiple else (rung,)
        if self.paired is None or cutoff[1] not in entries:
            return place[0] - cutoff[0], None
        names = entries[place[1]].name, entries[cutoff[1]].name
        known = [self.paired(*names, at) for at in there]
        if known[0] is None or known[-1] is None:
            return place[0] - cutoff[0], None
        (here, error), (before, error_before) = known[0], known[-1]
        # The errors at two rungs of one trial go together, so this one is rather too large.
        error = math.hypot((1 + multiple) * error, multiple * error_before)
        return here + multiple * (here - before), error

    def _by_promise(self, decision: Decision, number: int, left: float) -> Decision:
        """Rule 6."""
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
            record = self._ranked(rung)
            # Who waits at a closed rung is not worth more than a new trial.
            place = record.promotable() if record.is_open else None
            if place is not None and 1.0 - rung / self.max_positions <= left:
                return place[1]
        return None

    def _furthest(self) -> int | None:
        """The best paused trial of the highest rung that has one."""
        waiting = [self._ranked(rung).waiting for rung in reversed(self.rungs)]
        return next((places[0][1] for places in waiting if places), None)

    def _is_furthest(self, rung: int, place: tuple[float, int]) -> bool:
        """Whether a trial, if it was paused, would be that of `_furthest`."""
        above = any(self._ranked(other).waiting for other in self.rungs if other > rung)
        here = self._ranked(rung).waiting
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
