"""Which (game, ply) a curriculum asks for: from its rules to position sets."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hexsearch.config.curriculum import CurriculumConfig, PartConfig, PhaseConfig
from hexsearch.config.data import StagesConfig
from hexsearch.data.archive import GameArchive
from hexsearch.data.order import Indices, without_replacement
from hexsearch.data.position_set import CurriculumPhase, PositionSet, joined, position_set
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

_CHUNK = 100_000  # games whose bounds are worked out together

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


def all_positions(archive: GameArchive, games: Indices) -> PositionSet:
    """Every ply of the games, the empty board and the last position included.

    A game that began from a set-up begins there.
    """
    return _rule_positions(archive, games, PartConfig(), StagesConfig())


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
        sets = tuple(_required(archive, games, part, stages) for part in curriculum.parts)
        phase = CurriculumPhase(0, sets, tuple((shares / shares.sum()).tolist()))
        return _with_phases(all_positions(archive, games), (phase,))
    if curriculum.name == "progressive":
        phases, start = [], 0
        everything = all_positions(archive, games)
        for rule in curriculum.phases:
            chosen = _required(archive, games, rule, stages)
            mixed = curriculum.mix_all
            pairs = [(chosen, 1.0 - mixed), (everything, mixed)]
            kept = [(positions, share) for positions, share in pairs if share > 0.0]
            phases.append(
                CurriculumPhase(start, tuple(p for p, _ in kept), tuple(s for _, s in kept))
            )
            start = rule.until or start
        return _with_phases(everything, tuple(phases))
    return _required(archive, games, curriculum, stages)


def _required(
    archive: GameArchive, games: Indices, rule: Rule, stages: StagesConfig
) -> PositionSet:
    chosen = _rule_positions(archive, games, rule, stages)
    if not len(chosen):
        raise GamesError(
            f"curriculum {rule.name}: none of the {len(games):,} training games has such "
            "a position (unfinished games have no final one); choose another curriculum"
        )
    return chosen


def _with_phases(positions: PositionSet, phases: tuple[CurriculumPhase, ...]) -> PositionSet:
    return PositionSet(
        positions.games, positions.first, positions.counts, positions.ends, None, phases
    )


def _rule_positions(
    archive: GameArchive, games: Indices, rule: Rule, stages: StagesConfig
) -> PositionSet:
    """The positions of one rule; a hundred thousand games at a time, to leave no big holes."""
    parts = []
    for start in range(0, max(1, len(games)), _CHUNK):
        chunk = games[start : start + _CHUNK]
        parts.append(position_set(chunk, *_bounds(archive, chunk, rule, stages), _per_game(rule)))
    return joined(parts)


def _per_game(rule: Rule) -> int | None:
    return rule.positions_per_game or (1 if rule.name == "last_k" else None)


def _bounds(
    archive: GameArchive, games: Indices, rule: Rule, stages: StagesConfig
) -> tuple[Indices, Indices]:
    """First and last ply that a rule takes from each game; none where last lies before first."""
    setups = archive.setups[games].astype(np.int64)
    lengths = archive.lengths_of(games)
    first, last = setups, lengths
    if rule.name == "last_k":
        # One ply before the end the mover is the winner, two before the loser, and so on; the
        # end itself carries no mover. An even range therefore holds both equally often, so an
        # odd k counts as k + 1, and a short game is drawn from its own longest even range.
        room = lengths - setups
        first = lengths - np.minimum(rule.k + rule.k % 2, room - room % 2)
    elif rule.name in ("penultimate", "final", "penultimate_and_final"):
        finished = archive.finished[games].astype(bool)
        first = lengths - (0 if rule.name == "final" else 1)
        last = lengths - (1 if rule.name == "penultimate" else 0)
        last = np.where(finished, last, -1)
    else:
        assert rule.name == "all", f"a rule without bounds: {rule.name}"
    first = np.maximum(first, np.maximum(setups, rule.first_ply))
    if rule.last_ply is not None:
        last = np.minimum(last, rule.last_ply)
    if rule.stages:
        low, high = _stage_bounds(archive.sizes[games], rule, stages)
        first, last = np.maximum(first, low), np.minimum(last, high)
    return first, last


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
