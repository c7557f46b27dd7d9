"""Paused trials in the order of their promises."""

from __future__ import annotations

import heapq
from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Iterator, Sequence

_BLOCK = 64  # trials that are asked about together


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
        self._open: list[tuple[float, int]] | None = None  # heap of those that may hold
        self._held: set[tuple[float, int]] = set()

    def add(self, number: int, level: int) -> None:
        """Add a trial that was paused."""
        self.levels[number] = level
        self._new.append(number)

    def remove(self, number: int) -> None:
        """Remove a trial that continues or has lost its checkpoint."""
        level = self.levels.pop(number, None)
        promised = self._promised.pop(number, None)
        if level is not None and promised is not None:
            self._held.discard((-promised, number))
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

    def first(self, version: int, holds: Callable[[Sequence[int]], Sequence[bool]]) -> int | None:
        """The most promising trial for which `holds`. Each is asked about once in a version."""
        self._rank(version)
        if self._open is None:
            self._open = [place for ranked in self._ranked.values() for place in ranked]
            heapq.heapify(self._open)
        while block := self._best_open(self._open):
            unknown = [place for place in block if place not in self._held]
            if unknown:
                answers = holds([number for _, number in unknown])
                self._held |= {p for p, held in zip(unknown, answers, strict=True) if held}
            kept = [place for place in block if place in self._held]
            for place in kept:
                heapq.heappush(self._open, place)
            if kept:
                return kept[0][1]
        return None

    def least_first(self, version: int) -> Iterator[int]:
        """The trials in ascending order of their promises."""
        self._rank(version)
        ranked = [reversed(places) for places in self._ranked.values()]
        return (number for _, number in heapq.merge(*ranked, reverse=True))

    def _best_open(self, heap: list[tuple[float, int]]) -> list[tuple[float, int]]:
        """Take the next trials, as far as they still wait with this promise."""
        block: list[tuple[float, int]] = []
        while heap and len(block) < _BLOCK and not (block and block[0] in self._held):
            place = heapq.heappop(heap)
            if self._promised.get(place[1]) == -place[0] and place not in block:
                block.append(place)
        return block

    def _rank(self, version: int) -> None:
        if version != self._version:
            self._version, self._new = version, list(self.levels)
            self._promised, self._ranked = {}, {}
            self._open, self._held = None, set()
        new = [n for n in dict.fromkeys(self._new) if n in self.levels and n not in self._promised]
        self._new = []
        if not new:
            return
        promised = self._promises_of(new)
        self._promised |= promised
        places = [(-promised[number], number) for number in new]
        if self._open is not None:
            for place in places:
                heapq.heappush(self._open, place)
        put = insort if len(new) <= _BLOCK else list.append
        for place in places:
            put(self._ranked.setdefault(self.levels[place[1]], []), place)
        if put is not insort:
            for ranked in self._ranked.values():
                ranked.sort()
