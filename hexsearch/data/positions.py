"""Which (game, ply) a curriculum asks for, and in which order.

A position set is a rule, not a list: for each game a range of plies. 1.2 million games with
80 positions each take 25 MB, and drawing without replacement needs no permutation in memory.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hexsearch.config.curriculum import CurriculumConfig, PartConfig, PhaseConfig
from hexsearch.config.study import StagesConfig
from hexsearch.data.archive import GameArchive
from hexsearch.data.order import Indices, keyed_bits, without_replacement
from hexsearch.data.stages import (
    STAGE_NAMES,
    TO_END_BANDS,
    first_plies,
    stage_of,
    to_end_band,
    to_end_names,
)
from hexsearch.errors import GamesError

Rule = CurriculumConfig | PartConfig | PhaseConfig

__all__ = [
    "STAGE_NAMES",
    "TO_END_BANDS",
    "CurriculumPhase",
    "Indices",
    "PositionSet",
    "all_positions",
    "curriculum_positions",
    "position_set",
    "stage_of",
    "to_end_band",
    "to_end_names",
    "without_replacement",
]


@dataclass(frozen=True)
class PositionSet:
    """Positions `first[i] .. first[i] + counts[i] - 1` of each game `games[i]`.

    Ply p is the position after p moves; a game of L moves has plies 0..L.

    Attributes:
        ends: cumulative `slots`.
        slots: how many of the range's positions one pass shows; fewer than `counts` where
            positions are drawn from the range, anew for each pass and each seed.
        phases: for mixtures and progressive curricula, what is drawn when; the set itself
            then holds every position of the games.
    """

    games: Indices
    first: NDArray[np.int32]
    counts: NDArray[np.int32]
    ends: Indices
    slots: NDArray[np.int32] | None = None
    phases: tuple[CurriculumPhase, ...] = ()

    def __len__(self) -> int:
        return int(self.ends[-1]) if len(self.ends) else 0

    def at(
        self, index: Indices, passes: Indices | int = 0, seed: int = 0
    ) -> tuple[Indices, Indices]:
        """(game, ply) of positions by their number in the set.

        Args:
            passes, seed: which draw, for sets that show a part of their ranges in each pass.
        """
        row = np.searchsorted(self.ends, index, side="right")
        counts = self.counts[row].astype(np.int64)
        if self.slots is None:
            back = self.ends[row] - index
            return self.games[row], self.first[row].astype(np.int64) + (counts - back)
        slots = self.slots[row].astype(np.int64)
        slot = index - (self.ends[row] - slots)
        # The range is cut into as many pieces as there are slots, each slot draws from its own,
        # and the whole is rotated, so that every ply is as likely as any other.
        low, high = slot * counts // slots, (slot + 1) * counts // slots
        inside = keyed_bits(seed, passes, row, slot) % (high - low).astype(np.uint64)
        rotation = keyed_bits(seed, passes, row, -1) % counts.astype(np.uint64)
        ply = (low + inside.astype(np.int64) + rotation.astype(np.int64)) % counts
        return self.games[row], self.first[row].astype(np.int64) + ply

    def draw(self, seed: int, cursor: int, size: int) -> tuple[Indices, Indices]:
        """(game, ply) of samples `cursor .. cursor + size - 1` of the seeded, endless stream.

        Every pass shows each position once, in an order of its own. What a sample is does not
        depend on how the stream is cut into batches.
        """
        if not self.phases:
            return self._draw_plain(seed, cursor, size)
        games = np.empty(size, dtype=np.int64)
        plies = np.empty(size, dtype=np.int64)
        starts = [phase.start for phase in self.phases]
        ends = [*starts[1:], cursor + size]
        for number, (phase, end) in enumerate(zip(self.phases, ends, strict=True)):
            low, high = max(cursor, phase.start), min(cursor + size, end)
            if low < high:
                here = slice(low - cursor, high - cursor)
                games[here], plies[here] = phase.draw(seed, number, low, high - low)
        return games, plies

    def _draw_plain(self, seed: int, cursor: int, size: int) -> tuple[Indices, Indices]:
        index = without_replacement(len(self), seed, cursor, size)
        passes = np.arange(cursor, cursor + size, dtype=np.int64) // len(self)
        return self.at(index, passes, seed)

    def phase_at(self, positions_seen: int) -> CurriculumPhase:
        """What is drawn after so many positions."""
        if not self.phases:
            return CurriculumPhase(0, (self,), (1.0,))
        return [phase for phase in self.phases if phase.start <= positions_seen][-1]


@dataclass(frozen=True)
class CurriculumPhase:
    """Position sets and the share of the samples that each gets, from some point on.

    Attributes:
        start: positions seen when the phase begins.
        shares: of the sets, summing to 1.
    """

    start: int
    sets: tuple[PositionSet, ...]
    shares: tuple[float, ...]

    def draw(self, seed: int, number: int, cursor: int, size: int) -> tuple[Indices, Indices]:
        """Samples of the phase. Shares are met exactly, spread evenly over the samples.

        Args:
            number: of the phase, so that each has an order of its own.
            cursor: positions seen since the start of the training.
        """
        games = np.empty(size, dtype=np.int64)
        plies = np.empty(size, dtype=np.int64)
        # Sample n of what is left goes to a part when floor(n * share) steps up there; that count
        # is also the sample's number within the part, so no state is needed.
        open_places = np.arange(size)
        numbers = np.arange(cursor - self.start, cursor - self.start + size, dtype=np.int64)
        left = 1.0
        for part, (positions, share) in enumerate(zip(self.sets, self.shares, strict=True)):
            relative = 1.0 if part == len(self.sets) - 1 else share / left
            before = np.floor(numbers * relative).astype(np.int64)
            taken = np.floor((numbers + 1) * relative).astype(np.int64) > before
            if taken.any():
                part_seed = int(keyed_bits(seed, number, part)[0] >> np.uint64(1))
                first = int(before[taken][0])
                drawn = positions._draw_plain(part_seed, first, int(taken.sum()))
                games[open_places[taken]], plies[open_places[taken]] = drawn
            open_places, numbers = open_places[~taken], (numbers - before)[~taken]
            left -= share
        return games, plies


def position_set(
    games: Indices, first: Indices, last: Indices, per_game: int | None = None
) -> PositionSet:
    """Plies first..last, both included, of each game; games whose range is empty are left out.

    Args:
        per_game: at most so many of each range in a pass.
    """
    kept = last >= first
    counts = (last - first + 1)[kept].astype(np.int32)
    slots = counts if per_game is None else np.minimum(counts, per_game).astype(np.int32)
    drawn = bool((slots < counts).any())
    return PositionSet(
        games[kept],
        first[kept].astype(np.int32),
        counts,
        np.cumsum(slots, dtype=np.int64),
        slots if drawn else None,
    )


def all_positions(archive: GameArchive, games: Indices) -> PositionSet:
    """Every ply of the games, the empty board and the last position included.

    A game that began from a set-up begins there.
    """
    return position_set(games, archive.setups[games].astype(np.int64), archive.lengths[games])


def curriculum_positions(
    archive: GameArchive,
    games: Indices,
    curriculum: CurriculumConfig,
    stages: StagesConfig | None = None,
) -> PositionSet:
    """The positions that one pass of a curriculum covers.

    `last_k` has one entry for each game; its ply is drawn anew in each pass, from a range that
    holds as many positions with the winner to move as with the loser, so that parity gives
    nothing away. Final positions need a finished game.

    Args:
        stages: where the stages that a rule names begin; the default ones if left out.
    Raises:
        GamesError: no position is left.
    """
    stages = stages or StagesConfig()
    if curriculum.name == "mixture":
        shares = np.array([part.share for part in curriculum.parts])
        sets = tuple(_rule_positions(archive, games, part, stages) for part in curriculum.parts)
        phase = CurriculumPhase(0, sets, tuple((shares / shares.sum()).tolist()))
        return _with_phases(all_positions(archive, games), (phase,))
    if curriculum.name == "progressive":
        phases, start = [], 0
        everything = all_positions(archive, games)
        for rule in curriculum.phases:
            chosen = _rule_positions(archive, games, rule, stages)
            mixed = curriculum.mix_all
            pairs = [(chosen, 1.0 - mixed), (everything, mixed)]
            kept = [(positions, share) for positions, share in pairs if share > 0.0]
            phases.append(
                CurriculumPhase(start, tuple(p for p, _ in kept), tuple(s for _, s in kept))
            )
            start = rule.until or start
        return _with_phases(everything, tuple(phases))
    return _rule_positions(archive, games, curriculum, stages)


def _with_phases(positions: PositionSet, phases: tuple[CurriculumPhase, ...]) -> PositionSet:
    return PositionSet(
        positions.games, positions.first, positions.counts, positions.ends, None, phases
    )


def _rule_positions(
    archive: GameArchive, games: Indices, rule: Rule, stages: StagesConfig
) -> PositionSet:
    name = rule.name
    setups = archive.setups[games].astype(np.int64)
    lengths = archive.lengths[games]
    first, last = setups, lengths
    per_game = rule.positions_per_game
    if name == "last_k":
        # One ply before the end the mover is the winner, two before the loser, and so on; the
        # end itself carries no mover. An even range therefore holds both equally often, so an
        # odd k counts as k + 1, and a short game is drawn from its own longest even range.
        room = lengths - setups
        first = lengths - np.minimum(rule.k + rule.k % 2, room - room % 2)
        per_game = per_game or 1
    elif name != "all":
        finished = archive.finished[games].astype(bool)
        first = lengths - (0 if name == "final" else 1)
        last = lengths - (1 if name == "penultimate" else 0)
        last = np.where(finished, last, -1)
    first = np.maximum(first, np.maximum(setups, rule.first_ply))
    if rule.last_ply is not None:
        last = np.minimum(last, rule.last_ply)
    if rule.stages:
        low, high = _stage_bounds(archive.sizes[games], rule, stages)
        first, last = np.maximum(first, low), np.minimum(last, high)
    chosen = position_set(games, first, last, per_game)
    if not len(chosen):
        raise GamesError(
            f"curriculum {name}: none of the {len(games):,} training games has such "
            "a position (unfinished games have no final one); choose another curriculum"
        )
    return chosen


def _stage_bounds(
    sizes: NDArray[np.uint8], rule: Rule, stages: StagesConfig
) -> tuple[Indices, Indices]:
    """First and last ply of the rule's stages, for each game's board."""
    numbers = [STAGE_NAMES.index(stage) for stage in rule.stages]
    low = np.zeros(256, dtype=np.int64)
    high = np.zeros(256, dtype=np.int64)
    for size in np.unique(sizes).tolist():
        bounds = first_plies(size, stages)
        low[size], high[size] = bounds[min(numbers)], bounds[max(numbers) + 1] - 1
    return low[sizes], high[sizes]
