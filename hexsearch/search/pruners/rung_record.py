"""The ranks of trials at one rung, and the trials that wait there."""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections.abc import Callable

from hexsearch.statistics.rank_correlation import rank_correlation

_LEAST_PAIRS = 6  # trials with both values

Place = tuple[float, int]  # value that a trial is expected to end at, and its number


class RungRecord:
    """A rung of ASHA in its promotion form: trials in the best 1/k continue, now or later.

    Source: Li et al., arXiv:1810.05934, algorithm 2.

    Args:
        factor: k.
        least: agreement below which it pauses no trial.

    Attributes:
        agreement: correlation of the ranks here and at the next rung, in standard errors; None for
            too few trials.
        all: places of all trials, in ascending order; waiting: those of paused ones.
    """

    def __init__(self, factor: int, least: float = -math.inf) -> None:
        self._factor, self._least = factor, least
        self.agreement: float | None = None
        self._pairs: dict[int, tuple[float, float]] = {}  # values here and at the next rung
        self._look_at = _LEAST_PAIRS
        self._size = 0.0
        self.all: list[Place] = []
        self.waiting: list[Place] = []

    @property
    def may_close(self) -> bool:
        """Whether it may pause no trial, if ranks do not agree."""
        return self._least > -math.inf

    @property
    def is_open(self) -> bool:
        """Whether it pauses trials."""
        return self.agreement is None or self.agreement >= self._least

    def add(self, place: Place, waits: bool, weight: float = 1.0) -> None:
        """Record a trial that was compared here.

        Args:
            weight: what it adds to the number of trials, of which 1/k continue.
        """
        insort(self.all, place)
        self._size += weight
        if waits:
            insort(self.waiting, place)

    def learn(self, number: int, here: float, later: float) -> None:
        """Record a trial at the next rung."""
        self._pairs[number] = here, later
        if self.may_close and len(self._pairs) >= self._look_at:
            self._look()

    def expect(self, here: Callable[[int], float], later: Callable[[int], float]) -> None:
        """Rank all trials again, by their numbers: what is expected of them has changed.

        Args:
            here, later: values to expect from a trial at this rung, and at the next one.
        """
        self.all = sorted((here(number), number) for _, number in self.all)
        self.waiting = sorted((here(number), number) for _, number in self.waiting)
        self._pairs = {number: (here(number), later(number)) for number in self._pairs}
        if self.may_close and len(self._pairs) >= _LEAST_PAIRS:
            self._look()

    def correlation(self) -> tuple[float, int]:
        """Correlation of the ranks here and at the next rung, and of how many trials."""
        if len(self._pairs) < 2:
            return 0.0, len(self._pairs)
        found = rank_correlation(*zip(*self._pairs.values(), strict=True))
        return (found.rho if found is not None else 0.0), len(self._pairs)  # None: all are equal

    def _look(self) -> None:
        rho, count = self.correlation()
        self._look_at = count + max(1, count // 10)
        self.agreement = rho * math.sqrt(count - 1)

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
        return self.rank(place) <= self._best(1.0)

    def cutoff(self) -> Place | None:
        """The trial that a new one must beat; None if there are too few trials."""
        best = self._best(1.0)
        return self.all[best - 1] if best else None

    def promotable(self) -> Place | None:
        """The best trial that waits here and is in the best 1/k."""
        best = self._best(0.0)
        if best and self.waiting and self.waiting[0] <= self.all[best - 1]:
            return self.waiting[0]
        return None

    def quartiles(self) -> tuple[Place, Place] | None:
        """Trials at the lower and the upper quartile; None if there are too few."""
        count = len(self.all)
        return (self.all[count // 4], self.all[3 * count // 4]) if count >= 4 else None

    def _best(self, more: float) -> int:
        """How many trials are the best 1/k, with so many more."""
        # Weights are powers of 1/k, whose sums may fall short of a whole number.
        return int((self._size + more + 1e-9) // self._factor)
