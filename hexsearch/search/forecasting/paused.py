"""Paused trials in the order of their promises."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Iterable


class PausedTrials:
    """Sorted by promise and rung, so that a large study finds the best one quickly.

    Promises are computed again only when the forecast has changed.

    Args:
        promises_of: function for the promises of trials, by their numbers.

    Attributes:
        levels: number of rungs that each paused trial has reached.
    """

    def __init__(self, promises_of: Callable[[Iterable[int]], dict[int, float]]) -> None:
        self._promises_of = promises_of
        self.levels: dict[int, int] = {}
        self._version = -1
        self._new: list[int] = []
        self._promised: dict[int, float] = {}
        self._ranked: dict[int, list[tuple[float, int]]] = {}  # level -> (-promise, number)

    def add(self, number: int, level: int) -> None:
        """Add a trial that was paused."""
        self.levels[number] = level
        self._new.append(number)

    def remove(self, number: int) -> None:
        """Remove a trial that continues or has lost its checkpoint."""
        level = self.levels.pop(number, None)
        promised = self._promised.pop(number, None)
        if level is not None and promised is not None:
            ranked = self._ranked[level]
            del ranked[bisect_left(ranked, (-promised, number))]

    def best(self, version: int, levels: Iterable[int]) -> tuple[int, float] | None:
        """Number and promise of the most promising trial at these levels.

        Args:
            version: version of the forecast.
        """
        self._rank(version)
        heads = [self._ranked[level][0] for level in levels if self._ranked.get(level)]
        return (min(heads)[1], -min(heads)[0]) if heads else None

    def in_order(self, version: int) -> list[tuple[int, float]]:
        """Number and promise of each trial, the most promising first."""
        self._rank(version)
        every = sorted(pair for ranked in self._ranked.values() for pair in ranked)
        return [(number, -negative) for negative, number in every]

    def _rank(self, version: int) -> None:
        if version != self._version:
            self._version, self._new = version, list(self.levels)
            self._promised, self._ranked = {}, {}
        new = [n for n in dict.fromkeys(self._new) if n in self.levels and n not in self._promised]
        self._new = []
        if not new:
            return
        promised = self._promises_of(new)
        self._promised |= promised
        if len(new) == 1:
            insort(self._ranked.setdefault(self.levels[new[0]], []), (-promised[new[0]], new[0]))
            return
        for number in new:
            self._ranked.setdefault(self.levels[number], []).append((-promised[number], number))
        for ranked in self._ranked.values():
            ranked.sort()
