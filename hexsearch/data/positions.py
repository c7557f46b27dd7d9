"""Builds the position sets of a curriculum from its rules."""

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

_CHUNK = 100_000  # games whose bounds are computed together

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
    """Every ply of the games, including the empty board and the last position.

    A game with set-up stones begins after them.
    """
    return _rule_positions(archive, games, PartConfig(), StagesConfig())


def curriculum_positions(
    archive: GameArchive,
    games: Indices,
    curriculum: CurriculumConfig,
    stages: StagesConfig | None = None,
) -> PositionSet:
    """The positions that one pass of a curriculum covers.

    `last_k` has one entry for each game. Its ply is drawn again in each pass, from a range in
    which the winner is to move as often as the loser. So the side to move does not tell the
    winner. Only finished games have final positions.

    Args:
        stages: borders of the stages that a rule may name; default: those of StagesConfig.
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
            "a position (only finished games have a final one); choose another curriculum"
        )
    return chosen


def _with_phases(positions: PositionSet, phases: tuple[CurriculumPhase, ...]) -> PositionSet:
    return PositionSet(
        positions.games, positions.first, positions.counts, positions.ends, None, phases
    )


def _rule_positions(
    archive: GameArchive, games: Indices, rule: Rule, stages: StagesConfig
) -> PositionSet:
    """The positions of one rule. Games are taken in chunks, which keeps temporary arrays small."""
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
    """First and last ply that a rule takes from each game. The range is empty if last < first."""
    setups = archive.setups[games].astype(np.int64)
    lengths = archive.lengths_of(games)
    first, last = setups, lengths
    if rule.name == "last_k":
        # One ply before the end the winner is to move, two plies before it the loser, and so on.
        # At the end nobody is to move. So in a range of even length both are to move equally
        # often. An odd k counts as k + 1, and a short game uses its longest even range.
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
    """First and last ply of the rule's stages, for the board of each game."""
    numbers = [STAGE_NAMES.index(stage) for stage in rule.stages]
    low = np.zeros(256, dtype=np.int64)
    high = np.zeros(256, dtype=np.int64)
    for size in np.unique(sizes).tolist():
        bounds = first_plies(size, stages)
        low[size], high[size] = bounds[min(numbers)], bounds[max(numbers) + 1] - 1
    return low[sizes], high[sizes]
