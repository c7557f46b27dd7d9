"""The curriculum as its settings describe it: phases, their rules, and what each of them draws.

The code that draws positions is not used, so that a fault in it is found.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hexsearch.config.curriculum import STAGES, CurriculumConfig, RuleConfig
from hexsearch.config.data import DataConfig
from hexsearch.data.archive import GameArchive
from hexsearch.doctor.hypotheses.truth import Ints

DRAWN = 2048  # positions of each phase that are looked at
_NO_PLY, _MOST_PLIES = 1 << 20, 4096  # later than any ply; plies that are counted
Shares = NDArray[np.float64]


@dataclass(frozen=True)
class Part:
    """A rule with its name, its share of the samples, and the plies of its stages."""

    name: str
    rule: RuleConfig
    share: float
    low: int = 0
    high: int = _NO_PLY

    @classmethod
    def of(cls, rule: RuleConfig, name: str, share: float, data: DataConfig) -> Part:
        """A part of a curriculum on a board."""
        if not rule.stages:
            return cls(name, rule, share)
        borders = (*first_plies(data), _NO_PLY)
        numbers = [STAGES.index(stage) for stage in rule.stages]
        return cls(name, rule, share, borders[min(numbers)], borders[max(numbers) + 1] - 1)


@dataclass(frozen=True)
class Phase:
    """Position at which a phase begins, number of samples to look at, and its rules."""

    start: int
    samples: int
    parts: list[Part]


def first_plies(data: DataConfig) -> tuple[int, ...]:
    """The first ply of each stage, by the share of the board that is filled."""
    area = data.board_size**2
    ends = (data.stages.early, data.stages.middle)
    return 0, *(next(n for n in range(area + 1) if n / area >= end) for end in ends)


def phases_of(curriculum: CurriculumConfig, data: DataConfig) -> list[Phase]:
    """The phases of a curriculum."""
    if curriculum.name == "mixture":
        total = sum(part.share for part in curriculum.parts)
        parts = [Part.of(p, p.name, p.share / total, data) for p in curriculum.parts]
        return [Phase(0, DRAWN, parts)]
    if curriculum.name == "progressive":
        phases, start, mixed = [], 0, curriculum.mix_all
        for phase in curriculum.phases:
            rule = Part.of(phase, phase.name, 1 - mixed, data)
            parts = [rule, Part("all", RuleConfig(), mixed)]
            samples = DRAWN if phase.until is None else min(phase.until - start, DRAWN)
            phases.append(Phase(start, samples, [part for part in parts if part.share > 0]))
            start = phase.until or start
        return phases
    return [Phase(0, DRAWN, [Part.of(curriculum, curriculum.name, 1.0, data)])]


def shares_of_stages(
    archive: GameArchive, games: Ints, parts: Sequence[Part], data: DataConfig
) -> Shares:
    """[3] share of the samples of a phase that each stage has."""
    shares = np.zeros(len(STAGES))
    for part in parts:
        plies, weight = _plies_of(archive, games, part)[1:]
        stage = np.searchsorted(first_plies(data)[1:], plies, side="right")
        drawn = np.bincount(stage, weight, len(STAGES))
        shares += part.share * drawn / max(float(drawn.sum()), 1e-12)
    return shares


def by_plies(archive: GameArchive, games: Ints, parts: Sequence[Part]) -> Shares:
    """[2, P] share of the samples by the number of plies to the end, and by the ply."""
    return sum((part.share * of_rule(archive, games, part) for part in parts), np.zeros((2, 1)))


def of_rule(archive: GameArchive, games: Ints, part: Part, from_start: bool = False) -> Shares:
    """The same of one rule, which may count its plies from the wrong end."""
    row, plies, weight = _plies_of(archive, games, part, from_start)
    return histograms(archive.lengths_of(games)[row], plies, weight)


def _plies_of(
    archive: GameArchive, games: Ints, part: Part, from_start: bool = False
) -> tuple[Ints, Ints, Shares]:
    """Place of the game, ply, and how often a pass draws it, of all positions of a rule."""
    first, counts, drawn = counts_of(archive, games, part, from_start)
    plies = np.concatenate([np.arange(low, low + n) for low, n in zip(first, counts, strict=True)])
    row = np.repeat(np.arange(len(games)), counts)
    return row, plies, (drawn / np.maximum(counts, 1))[row]


def counts_of(
    archive: GameArchive, games: Ints, part: Part, from_start: bool = False
) -> tuple[Ints, Ints, Ints]:
    """First ply of each game in a rule, its number of plies, and how many one pass draws."""
    setups, lengths = archive.setups[games].astype(np.int64), archive.lengths_of(games)
    rule, first, last = part.rule, setups, lengths
    if part.name == "last_k":
        room = lengths - setups
        many = np.minimum(rule.k + rule.k % 2, room - room % 2)
        first, last = (setups, setups + many) if from_start else (lengths - many, lengths)
    elif part.name != "all":
        first = lengths - (0 if part.name == "final" else 1)
        last = lengths - (1 if part.name == "penultimate" else 0)
        last = np.where(archive.finished[games] == 1, last, -1)
    first = np.maximum(first, max(rule.first_ply, part.low))
    last = np.minimum(last, part.high if rule.last_ply is None else min(rule.last_ply, part.high))
    counts = np.maximum(last - first + 1, 0)
    most = rule.positions_per_game or (1 if part.name == "last_k" else None)
    return first, counts, counts if most is None else np.minimum(counts, most)


def size_of(archive: GameArchive, games: Ints, part: Part) -> float:
    """Number of samples that one pass of a rule has."""
    return float(counts_of(archive, games, part)[2].sum())


def histograms(lengths: Ints, plies: Ints, weight: Shares) -> Shares:
    """[2, P] share of the weight by the number of plies to the end, and by the ply."""
    counted = [np.bincount(each, weight, _MOST_PLIES) for each in (lengths - plies, plies)]
    shares: Shares = np.stack(counted) / max(float(np.sum(weight)), 1e-12)
    return shares
