"""Which (game, ply) a curriculum asks for, and which stage a position is in.

A position set is a rule, not a list: for each game a range of plies. 1.2 million games with
80 positions each take 20 MB, and drawing without replacement needs no permutation in memory.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hexsearch.config.study import StagesConfig
from hexsearch.config.trial import CurriculumConfig
from hexsearch.data.archive import GameArchive
from hexsearch.errors import GamesError

Indices = NDArray[np.int64]
STAGE_NAMES = ("early", "middle", "late")
TO_END_BANDS = ((0, 5), (6, 15), (16, 30), (31, None))  # plies to the end of the game


@dataclass(frozen=True)
class PositionSet:
    """Positions `first[i] .. first[i] + counts[i] - 1` of each game `games[i]`.

    Ply p is the position after p moves; a game of L moves has plies 0..L.
    """

    games: Indices
    first: NDArray[np.int32]
    counts: NDArray[np.int32]
    ends: Indices  # cumulative counts

    def __len__(self) -> int:
        return int(self.ends[-1]) if len(self.ends) else 0

    def at(self, index: Indices) -> tuple[Indices, Indices]:
        """(game, ply) of positions by their number in the set."""
        row = np.searchsorted(self.ends, index, side="right")
        start = self.ends[row] - self.counts[row]
        return self.games[row], self.first[row].astype(np.int64) + (index - start)


def position_set(games: Indices, first: Indices, last: Indices) -> PositionSet:
    """Plies first..last, both included, of each game; games whose range is empty are left out."""
    kept = last >= first
    counts = (last - first + 1)[kept].astype(np.int32)
    return PositionSet(
        games[kept], first[kept].astype(np.int32), counts, np.cumsum(counts, dtype=np.int64)
    )


def all_positions(archive: GameArchive, games: Indices) -> PositionSet:
    """Every ply of the games, the empty board and the last position included."""
    lengths = archive.lengths[games]
    return position_set(games, np.zeros_like(lengths), lengths)


def curriculum_positions(
    archive: GameArchive, games: Indices, curriculum: CurriculumConfig
) -> PositionSet:
    """The positions that one pass of a curriculum covers.

    `last_k` has one entry for each game; its ply is drawn anew for each sample by
    `draw_plies`, so that parity gives nothing away. Final positions need a finished game.

    Raises:
        GamesError: no position is left.
    """
    lengths = archive.lengths[games]
    finished = archive.finished[games].astype(bool)
    if curriculum.name == "all":
        chosen = position_set(games, np.zeros_like(lengths), lengths)
    elif curriculum.name == "last_k":
        chosen = position_set(games, lengths, lengths)
    else:
        first = lengths - (1 if curriculum.name == "penultimate_and_final" else 0)
        chosen = position_set(games[finished], first[finished], lengths[finished])
    if not len(chosen):
        raise GamesError(
            f"curriculum {curriculum.name}: none of the {len(games):,} training games has such "
            "a position (unfinished games have no final one); choose another curriculum"
        )
    return chosen


def draw_plies(
    plies: Indices,
    curriculum: CurriculumConfig,
    rng: np.random.Generator,
) -> Indices:
    """Plies as shown: `last_k` goes back 0..k plies from the end, the others stay.

    One ply before the end the mover is the winner, two before the loser, and so on; the end
    itself carries no mover. An even range therefore holds both equally often, so an odd k
    counts as k + 1, and a game shorter than k is drawn from its own longest even range.
    """
    if curriculum.name != "last_k":
        return plies
    span = np.minimum(curriculum.k + curriculum.k % 2, plies - plies % 2)
    back: Indices = rng.integers(0, span, endpoint=True)
    return plies - back


def stage_of(stones: Indices, board_size: int, stages: StagesConfig) -> NDArray[np.int8]:
    """Index into STAGE_NAMES by the filled fraction of the board."""
    filled = stones / (board_size * board_size)
    return ((filled >= stages.early).astype(np.int8) + (filled >= stages.middle)).astype(np.int8)


def to_end_names() -> tuple[str, ...]:
    """Names of the bands of plies to the end, such as `6-15` and `>30`.

    >>> to_end_names()
    ('0-5', '6-15', '16-30', '>30')
    """
    return tuple(f">{low - 1}" if high is None else f"{low}-{high}" for low, high in TO_END_BANDS)


def to_end_band(plies_to_end: Indices) -> NDArray[np.int8]:
    """Index into TO_END_BANDS."""
    edges = np.array([low for low, _ in TO_END_BANDS[1:]])
    return np.searchsorted(edges, plies_to_end, side="right").astype(np.int8)


def without_replacement(size: int, seed: int, cursor: int, count: int) -> Indices:
    """Numbers `cursor .. cursor + count - 1` of an endless shuffled walk over range(size).

    Each pass of `size` numbers is a permutation of its own, computed point by point (a keyed
    Feistel network, walked until it lands inside the range), so that neither resuming nor the
    size of the set costs memory.
    """
    steps = np.arange(cursor, cursor + count, dtype=np.int64)
    passes, offsets = np.divmod(steps, size)
    half_bits = max(1, -(-max(size - 1, 1).bit_length() // 2))
    keys = {
        int(number): np.random.default_rng([seed, int(number)]).integers(
            2**32, size=4, dtype=np.uint64
        )
        for number in np.unique(passes)
    }
    rounds = np.stack([keys[int(number)] for number in passes]) if len(keys) > 1 else None
    key_of_all = next(iter(keys.values())) if keys else None
    values = offsets.astype(np.uint64)
    outside = np.ones(count, dtype=bool)
    while outside.any():
        round_keys = key_of_all[None] if rounds is None else rounds[outside]  # type: ignore[index]
        values[outside] = _feistel(values[outside], round_keys, half_bits)
        outside = values >= size
    return values.astype(np.int64)


def _feistel(
    values: NDArray[np.uint64], keys: NDArray[np.uint64], half_bits: int
) -> NDArray[np.uint64]:
    """A permutation of [0, 4**half_bits), four rounds."""
    bits = np.uint64(half_bits)
    mask = np.uint64((1 << half_bits) - 1)
    left, right = values >> bits, values & mask
    for number in range(4):
        mixed = (right + keys[:, number]) * np.uint64(0x9E3779B97F4A7C15)
        mixed ^= mixed >> np.uint64(32)
        mixed *= np.uint64(0xBF58476D1CE4E5B9)
        mixed ^= mixed >> np.uint64(29)
        left, right = right, left ^ (mixed & mask)
    return (left << bits) | right
