"""Paused trials by what they promise, computed anew only where something was learnt."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Iterable


class PausedTrials:
    """Kept sorted, so that a study of many trials finds the best one quickly.

    Args:
        promises_of: promises of trials, by their numbers.

    Attributes:
        levels: number of each paused trial -> rungs that it has passed.
    """

    def __init__(self, promises_of: Callable[[Iterable[int]], dict[int, float]]) -> None:
        self._promises_of = promises_of
        self.levels: dict[int, int] = {}
        self._version = -1
        self._new: list[int] = []
        self._promised: dict[int, float] = {}
        self._ranked: dict[int, list[tuple[float, int]]] = {}  # level -> (-promise, number)

    def add(self, number: int, level: int) -> None:
        """A trial was paused."""
        self.levels[number] = level
        self._new.append(number)

    def remove(self, number: int) -> None:
        """A trial goes on, or lost its checkpoint."""
        level = self.levels.pop(number, None)
        promised = self._promised.pop(number, None)
        if level is not None and promised is not None:
            ranked = self._ranked[level]
            del ranked[bisect_left(ranked, (-promised, number))]

    def best(self, version: int, levels: Iterable[int]) -> tuple[int, float] | None:
        """Number and promise of the trial at these levels that promises most.

        Args:
            version: of the forecast; promises are computed anew where it has changed.
        """
        self._rank(version)
        heads = [self._ranked[level][0] for level in levels if self._ranked.get(level)]
        return (min(heads)[1], -min(heads)[0]) if heads else None

    def in_order(self, version: int) -> list[tuple[int, float]]:
        """Number and promise of each trial, the one that promises most first."""
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
