"""Sets of positions as ranges of plies, and the order in which the positions are drawn.

A position set holds one range of plies for each game, not a list of positions. 1.2 million games
with 80 positions each take 20 MB. Drawing without replacement needs no permutation in memory.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hexsearch.data.order import Indices, keyed_bits, without_replacement


@dataclass(frozen=True)
class PositionSet:
    """Positions `first[i] .. first[i] + counts[i] - 1` of each game `games[i]`.

    Ply p is the position after p moves; a game of L moves has plies 0..L.

    Attributes:
        ends: cumulative sum of `slots`.
        slots: number of positions that one pass draws from each range, or None for all of them.
            If it is less than `counts`, each pass and each seed draws other positions.
        phases: phases of a mixture or progressive curriculum, which hold the sets to draw from.
            The set itself then holds every position of the games.
    """

    games: NDArray[np.int32]
    first: NDArray[np.uint16]
    counts: NDArray[np.uint16]
    ends: Indices
    slots: NDArray[np.uint16] | None = None
    phases: tuple[CurriculumPhase, ...] = ()

    def __len__(self) -> int:
        return int(self.ends[-1]) if len(self.ends) else 0

    def at(
        self, index: Indices, passes: Indices | int = 0, seed: int = 0
    ) -> tuple[Indices, Indices]:
        """(game, ply) of positions by their number in the set.

        Args:
            passes, seed: number of the pass, and seed. They matter only for sets that draw a part
                of their ranges in each pass.
        """
        row = np.searchsorted(self.ends, index, side="right")
        games, first = self.games[row].astype(np.int64), self.first[row].astype(np.int64)
        counts = self.counts[row].astype(np.int64)
        if self.slots is None:
            return games, first + counts - (self.ends[row] - index)
        slots = self.slots[row].astype(np.int64)
        slot = index - (self.ends[row] - slots)
        # The range is cut into one piece for each slot, and each slot draws from its own piece.
        # A random rotation of the range then makes all plies equally likely.
        low, high = slot * counts // slots, (slot + 1) * counts // slots
        inside = keyed_bits(seed, passes, row, slot) % (high - low).astype(np.uint64)
        rotation = keyed_bits(seed, passes, row, -1) % counts.astype(np.uint64)
        ply = (low + inside.astype(np.int64) + rotation.astype(np.int64)) % counts
        return games, first + ply

    def draw(self, seed: int, cursor: int, size: int) -> tuple[Indices, Indices]:
        """(game, ply) of samples `cursor .. cursor + size - 1` of the seeded, endless stream.

        Every pass draws each position once, in another order. A sample does not depend on the
        way in which the stream is cut into batches.
        """
        if not self.phases:
            return self.draw_plain(seed, cursor, size)
        games = np.empty(size, dtype=np.int64)
        plies = np.empty(size, dtype=np.int64)
        starts = [phase.start for phase in self.phases]
        ends = [*starts[1:], cursor + size]
        for number, (phase, end) in enumerate(zip(self.phases, ends, strict=True)):
            low, high = max(cursor, phase.start), min(cursor + size, end)
            if low < high:
                of_phase = slice(low - cursor, high - cursor)
                games[of_phase], plies[of_phase] = phase.draw(seed, number, low, high - low)
        return games, plies

    def draw_plain(self, seed: int, cursor: int, size: int) -> tuple[Indices, Indices]:
        """As `draw`, but from the set itself, without its phases."""
        index = without_replacement(len(self), seed, cursor, size)
        passes = np.arange(cursor, cursor + size, dtype=np.int64) // len(self)
        return self.at(index, passes, seed)

    def phase_at(self, positions_seen: int) -> CurriculumPhase:
        """The phase after `positions_seen` positions."""
        if not self.phases:
            return CurriculumPhase(0, (self,), (1.0,))
        return [phase for phase in self.phases if phase.start <= positions_seen][-1]


@dataclass(frozen=True)
class CurriculumPhase:
    """Position sets of one phase, with the share of the samples that is drawn from each.

    Attributes:
        start: positions seen when the phase begins.
        shares: share of the samples for each set; they sum to 1.
    """

    start: int
    sets: tuple[PositionSet, ...]
    shares: tuple[float, ...]

    def draw(self, seed: int, number: int, cursor: int, size: int) -> tuple[Indices, Indices]:
        """Samples of the phase. The sets alternate evenly and get exactly their shares.

        Args:
            number: number of the phase, so that every phase has another order.
            cursor: positions seen since the start of the training.
        """
        games = np.empty(size, dtype=np.int64)
        plies = np.empty(size, dtype=np.int64)
        # Of the samples that earlier sets did not take, a set takes sample n if floor(n * share)
        # increases there. This count is also the sample's number within the set, so no state is
        # needed.
        open_places = np.arange(size)
        numbers = np.arange(cursor - self.start, cursor - self.start + size, dtype=np.int64)
        share_left = 1.0
        for part, (positions, share) in enumerate(zip(self.sets, self.shares, strict=True)):
            relative = 1.0 if part == len(self.sets) - 1 else share / share_left
            before = np.floor(numbers * relative).astype(np.int64)
            taken = np.floor((numbers + 1) * relative).astype(np.int64) > before
            if taken.any():
                part_seed = int(keyed_bits(seed, number, part)[0] >> np.uint64(1))
                first = int(before[taken][0])
                drawn = positions.draw_plain(part_seed, first, int(taken.sum()))
                games[open_places[taken]], plies[open_places[taken]] = drawn
            open_places, numbers = open_places[~taken], (numbers - before)[~taken]
            share_left -= share
        return games, plies


def position_set(
    games: Indices, first: Indices, last: Indices, per_game: int | None = None
) -> PositionSet:
    """Plies first..last of each game, both included. Games with an empty range are left out.

    Args:
        per_game: most positions of a range that one pass draws; None draws all.
    """
    kept = last >= first
    counts = (last - first + 1)[kept].astype(np.uint16)
    slots = None if per_game is None else np.minimum(counts, per_game).astype(np.uint16)
    ends = np.cumsum(counts if slots is None else slots, dtype=np.int64)
    return PositionSet(
        games[kept].astype(np.int32), first[kept].astype(np.uint16), counts, ends, slots
    )


def joined(parts: list[PositionSet]) -> PositionSet:
    """One position set made of several. Either all or none of them have slots."""
    slots = None if parts[0].slots is None else np.concatenate([p.slots for p in parts])
    counts = np.concatenate([part.counts for part in parts])
    return PositionSet(
        np.concatenate([part.games for part in parts]),
        np.concatenate([part.first for part in parts]),
        counts,
        np.cumsum(counts if slots is None else slots, dtype=np.int64),
        slots,
    )
