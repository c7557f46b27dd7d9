"""Pruning by evidence: a trial is paused where another promises more for the same training.

The models stand in `search/forecasting/`.

1. At each rung, what values there have said about final values is learnt from the trials that
   went on, together with the settings. Where a rung says nothing, the noise is
   large and all trials are expected to end alike.
2. A trial's promise is its expected improvement on the best end so far for each training that it
   still costs. A trial that has come far is cheap to finish, so where a rung says
   nothing it goes on.
3. A trial goes on if no paused trial and no fresh one promises more; else it is paused. Whatever
   cannot end within the budget is passed over while something can.
4. A free worker takes the paused trial that promises most, or a fresh one that promises more.
5. Once there are no fresh trials, paused ones go on while one of them beats the best with a
   chance of 5%, or as long as a stated budget lasts.
"""

from __future__ import annotations

import math
from bisect import bisect_right, insort
from dataclasses import replace

import numpy as np
from scipy.special import ndtr

from hexsearch.config.scheduler import SchedulerConfig
from hexsearch.ledger.events import Decided, Event
from hexsearch.search.forecasting.forecast import Forecast
from hexsearch.search.pruners.base import Decision, Pruner

_CHANCE = 0.05
_ALONE = "there is nothing to compare it with"


class EvidencePruner(Pruner):
    """Compares promises; see the module."""

    pauses = True

    def __init__(self, config: SchedulerConfig, rungs: tuple[int, ...], max_positions: int) -> None:
        super().__init__(config, rungs, max_positions)
        self._at_rung: dict[int, list[float]] = {}  # ascending

    def compare(self, number: int, rung: int, value_loss: float, left: float) -> Decision:
        """Continue unless another trial promises more."""
        before = self._at_rung.get(rung, [])
        place = Decision("continue", rung, bisect_right(before, value_loss) + 1, len(before) + 1)
        outlook, forecast = self.outlook, self._forecast
        assert outlook is not None
        if number not in forecast.entries:
            return place
        if not forecast.is_ready:
            if outlook.has_fresh and left >= 1.0:
                return replace(place, action="pause", reason=_ALONE)
            return replace(place, reason=_ALONE)
        own, share = forecast.promise(number), forecast.share_left(number)
        paused = self._best_paused(left, without=number)
        other = paused[1] if paused else -math.inf
        other_ends = paused is not None and forecast.share_left(paused[0]) <= left
        if outlook.has_fresh and left >= 1.0:
            other, other_ends = max(other, outlook.fresh_promise()), True
        ends = share <= left
        goes_on = own >= other if ends == other_ends else ends
        reason, cutoff = self._explain(number, other)
        explained = replace(place, cutoff=cutoff, reason=reason)
        if goes_on or other == -math.inf:
            return explained
        return replace(explained, action="pause")

    def choose_paused(self, may_propose: bool, left: float) -> int | None:
        """The paused trial to go on with now; None where a fresh trial, or none, is better."""
        outlook, forecast = self.outlook, self._forecast
        assert outlook is not None
        if not forecast.paused or not forecast.is_ready:
            return None
        best = self._best_paused(left)
        if best is None:
            return None
        number, promise = best
        if may_propose:
            if left < 1.0:  # a fresh trial cannot come to its end
                return number
            return number if promise >= outlook.fresh_promise() else None
        if left < math.inf or not forecast.has_ended:
            return number
        chances = {n: self._chance(n) for n in forecast.paused}
        likely = {n: p for n, p in forecast.promises_of_paused().items() if chances[n] >= _CHANCE}
        return max(likely, key=lambda n: (likely[n], -n)) if likely else None

    def apply(self, event: Event) -> None:
        """Take a decision into account."""
        if isinstance(event, Decided) and event.rung is not None:
            insort(self._at_rung.setdefault(event.rung, []), event.value_loss)

    def chance(self, before: int) -> float:
        """About one in `reduction_factor`, as an estimate of what a study costs."""
        return max(1.0 / (before + 1), 1.0 / self.config.reduction_factor)

    @property
    def _forecast(self) -> Forecast:
        assert self.outlook is not None
        return self.outlook.forecast

    def _best_paused(self, left: float, without: int = -1) -> tuple[int, float] | None:
        forecast = self._forecast
        known = forecast.promises_of_paused()
        known.pop(without, None)
        ending = {n: p for n, p in known.items() if forecast.share_left(n) <= left} or known
        if not ending:
            return None
        number = max(ending, key=lambda n: (ending[n], -n))
        return number, ending[number]

    def _chance(self, number: int) -> float:
        """That a trial ends better than the best so far."""
        forecast = self._forecast
        mean, variance = forecast.expected(number)
        return float(ndtr((forecast.best - mean) / math.sqrt(variance)))

    def _explain(self, number: int, other: float) -> tuple[str, float | None]:
        """A sentence, and the expected final value at which the trial would just go on."""
        forecast = self._forecast
        mean, variance = forecast.expected(number)
        error = math.sqrt(variance)
        if other == -math.inf:
            return f"expected to end at {forecast.fit.in_loss(mean):.4f}; nothing else waits", None
        low, high, level = mean - 8 * error, mean + 8 * error, len(forecast.entries[number].losses)
        for _ in range(12):
            middle = (low + high) / 2
            at = forecast.promises_at(level, np.array([middle]), np.array([variance]))
            low, high = (middle, high) if float(at[0]) >= other else (low, middle)
        behind = (mean - low) * forecast.fit.spread
        side = "behind" if behind > 0 else "ahead of"
        text = f"{abs(behind):.4f} ± {error * forecast.fit.spread:.4f} {side} the cut-off"
        return text, forecast.fit.in_loss(low)
