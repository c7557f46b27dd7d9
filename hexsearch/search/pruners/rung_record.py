"""Who stands where at one rung, and who waits there."""

from __future__ import annotations

from bisect import bisect_left, insort

Place = tuple[float, int]  # value loss and number of a trial


class RungRecord:
    """A rung of ASHA in its promotion form: whoever is in the best 1/k goes on, now or later.

    Source: Li et al., arXiv:1810.05934, algorithm 2.
    """

    def __init__(self, factor: int) -> None:
        self._factor = factor
        self.all: list[Place] = []  # ascending
        self.waiting: list[Place] = []  # those that are paused here, ascending

    def add(self, place: Place, waits: bool) -> None:
        """A trial was compared here."""
        insort(self.all, place)
        if waits:
            insort(self.waiting, place)

    def remove(self, place: Place) -> None:
        """A trial waits here no longer, if it did."""
        at = bisect_left(self.waiting, place)
        if self.waiting[at : at + 1] == [place]:
            del self.waiting[at]

    def rank(self, place: Place) -> int:
        """Of a trial that is not recorded yet; 1 is best."""
        return bisect_left(self.all, place) + 1

    def is_among_best(self, place: Place) -> bool:
        """Whether a trial that is not recorded yet will be in the best 1/k."""
        return self.rank(place) <= (len(self.all) + 1) // self._factor

    def cutoff(self) -> Place | None:
        """The trial between a new one and the best 1/k, from either side; None of too few."""
        best = (len(self.all) + 1) // self._factor
        return self.all[best - 1] if best else None

    def promotable(self) -> Place | None:
        """The best trial that waits here and is in the best 1/k."""
        best = len(self.all) // self._factor
        if best and self.waiting and self.waiting[0] <= self.all[best - 1]:
            return self.waiting[0]
        return None
