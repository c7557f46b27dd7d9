"""The ranks of trials at one rung, and the trials that wait there."""

from __future__ import annotations

import math
from bisect import bisect_left, insort

from hexsearch.statistics.rank_correlation import rank_correlation

_LEAST_PAIRS, _ERRORS = 6, 1.0  # trials with both values; standard errors of their correlation

Place = tuple[float, int]  # value loss and number of a trial


class RungRecord:
    """A rung of ASHA in its promotion form: trials in the best 1/k continue, now or later.

    Source: Li et al., arXiv:1810.05934, algorithm 2.

    Args:
        factor: k.
        may_close: whether it pauses no trial while ranks here do not predict those at the next.

    Attributes:
        is_open: whether it pauses trials.
        all: places of all trials, in ascending order; waiting: those of paused ones.
    """

    def __init__(self, factor: int, may_close: bool = False) -> None:
        self._factor, self._may_close, self.is_open = factor, may_close, True
        self._pairs: list[tuple[float, float]] = []  # values here and at the next rung
        self._look_at = _LEAST_PAIRS
        self.all: list[Place] = []
        self.waiting: list[Place] = []

    def add(self, place: Place, waits: bool) -> None:
        """Record a trial that was compared here."""
        insort(self.all, place)
        if waits:
            insort(self.waiting, place)

    def learn(self, here: float, later: float) -> None:
        """Record a trial at the next rung. The rung is open while the ranks agree."""
        if not self._may_close:
            return
        self._pairs.append((here, later))
        count = len(self._pairs)
        if count >= self._look_at:
            self._look_at = count + max(1, count // 10)
            correlation = rank_correlation(*zip(*self._pairs, strict=True))
            rho = correlation.rho if correlation is not None else 0.0  # all values are equal
            self.is_open = rho * math.sqrt(count - 1) >= _ERRORS

    def remove(self, place: Place) -> None:
        """Record that a trial does not wait here any more."""
        at = bisect_left(self.waiting, place)
        if self.waiting[at : at + 1] == [place]:
            del self.waiting[at]

    def rank(self, place: Place) -> int:
        """Rank of a trial that is not recorded yet; 1 is best."""
        return bisect_left(self.all, place) + 1

    def is_among_best(self, place: Place) -> bool:
        """Whether a trial that is not recorded yet will be in the best 1/k."""
        return self.rank(place) <= (len(self.all) + 1) // self._factor

    def cutoff(self) -> Place | None:
        """The trial that a new one must beat; None if there are too few trials."""
        best = (len(self.all) + 1) // self._factor
        return self.all[best - 1] if best else None

    def promotable(self) -> Place | None:
        """The best trial that waits here and is in the best 1/k."""
        best = len(self.all) // self._factor
        if self.is_open and best and self.waiting and self.waiting[0] <= self.all[best - 1]:
            return self.waiting[0]
        return None
