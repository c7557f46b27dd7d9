"""Checks whether the positions that are drawn are those that the curriculum's rules name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hexsearch.config.curriculum import CurriculumConfig, RuleConfig
from hexsearch.data.archive import GameArchive
from hexsearch.doctor.findings import Finding
from hexsearch.doctor.hypotheses.truth import Ints
from hexsearch.doctor.pipeline import ExaminedPipeline, needed

_DRAWN = 2048  # positions of each phase that are looked at
_FAR, _NEAR = 0.12, 0.05  # distance of two distributions that differ, and of two that are one
_MOST_GAMES = 2000  # of which the positions are counted
Shares = NDArray[np.float64]


@dataclass(frozen=True)
class _Part:
    """A rule with its name and its share of the samples."""

    name: str
    rule: RuleConfig
    share: float


def rule_findings(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Compare the plies to the end in each phase with those of the phase's rules."""
    stream = needed(pipeline.stream)
    phases = _phases(stream.curriculum)
    archive = stream.builder.archive
    games = needed(pipeline.dataset).train_games
    games = games[:: max(1, len(games) // _MOST_GAMES)]
    if any(part.rule.stages for _, parts in phases for part in parts):
        return  # their borders depend on the data set's settings
    expected = [_by_plies(archive, games, parts) for _, parts in phases]
    for number, (start, parts) in enumerate(phases):
        batch = stream.batch(start, _DRAWN)
        game, ply = (each.cpu().numpy().astype(np.int64) for each in (batch.game, batch.ply))
        found = _histogram(archive.lengths_of(game) - ply, np.ones(len(ply)))
        several = len(parts) > 1 and len(phases) == 1
        if _distance(found, expected[number]) < (_NEAR if several else _FAR):
            continue
        told = _other_rule(archive, games, found, number, expected, parts)
        if told:
            yield Finding.error(
                "batches",
                f"from position {start:,} of the stream on, the number of plies to the end is "
                f"{_mean(found):.1f} on average; by curriculum '{stream.curriculum.name}' it is "
                f"{_mean(expected[number]):.1f}",
                told,
                "draw from the plies that the curriculum names, counted from the end of each game, "
                "and choose its phase by the number of positions seen",
                root="rule",
            )
            return


def _phases(curriculum: CurriculumConfig) -> list[tuple[int, list[_Part]]]:
    """Position at which each phase begins, and its rules; empty for curriculum `all`."""
    if curriculum.name == "mixture":
        total = sum(part.share for part in curriculum.parts)
        return [(0, [_Part(p.name, p, p.share / total) for p in curriculum.parts])]
    if curriculum.name == "progressive":
        phases, start, mixed = [], 0, curriculum.mix_all
        for phase in curriculum.phases:
            parts = [_Part(phase.name, phase, 1 - mixed), _Part("all", RuleConfig(), mixed)]
            phases.append((start, [part for part in parts if part.share > 0]))
            start = phase.until or start
        return phases
    if curriculum.name == "all":
        return []
    return [(0, [_Part(curriculum.name, curriculum, 1.0)])]


def _by_plies(archive: GameArchive, games: Ints, parts: Sequence[_Part]) -> Shares:
    """Share of the samples by the number of plies to the end."""
    return sum((part.share * _of_rule(archive, games, part) for part in parts), np.zeros(1))


def _of_rule(archive: GameArchive, games: Ints, part: _Part, from_start: bool = False) -> Shares:
    """The same of one rule, which may count its plies from the wrong end."""
    first, counts, drawn = _counts(archive, games, part, from_start)
    plies = np.concatenate([np.arange(low, low + n) for low, n in zip(first, counts, strict=True)])
    row = np.repeat(np.arange(len(games)), counts)
    to_end = archive.lengths_of(games)[row] - plies
    return _histogram(to_end, (drawn / np.maximum(counts, 1))[row])


def _counts(
    archive: GameArchive, games: Ints, part: _Part, from_start: bool = False
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
    first = np.maximum(first, rule.first_ply)
    last = last if rule.last_ply is None else np.minimum(last, rule.last_ply)
    counts = np.maximum(last - first + 1, 0)
    most = rule.positions_per_game or (1 if part.name == "last_k" else None)
    return first, counts, counts if most is None else np.minimum(counts, most)


def _size(archive: GameArchive, games: Ints, part: _Part) -> float:
    """Number of samples that one pass of a rule has."""
    return float(_counts(archive, games, part)[2].sum())


def _histogram(to_end: Ints, weight: Shares) -> Shares:
    size = int(to_end.max(initial=0)) + 1
    counted = np.bincount(to_end, weight, size)
    shares: Shares = np.pad(counted / max(counted.sum(), 1e-12), (0, max(0, 4096 - size)))
    return shares


def _distance(some: Shares, others: Shares) -> float:
    """Largest difference of the cumulative shares."""
    return float(np.abs(np.cumsum(some) - np.cumsum(others)).max())


def _mean(shares: Shares) -> float:
    return float(np.arange(len(shares)) @ shares)


def _other_rule(
    archive: GameArchive,
    games: Ints,
    found: Shares,
    number: int,
    expected: Sequence[Shares],
    parts: Sequence[_Part],
) -> str:
    """In words, the rule by which positions are drawn in place of those of a phase."""
    for other, shares in enumerate(expected):
        if other != number and _distance(found, shares) < _NEAR:
            return (
                f"phase {number + 1} of the curriculum does not begin where it is configured: the "
                f"positions are those of phase {other + 1} (phases are chosen by another count, "
                "such as that of steps, or in another order)"
            )
    rule = parts[0]
    if len(parts) > 1 and len(expected) == 1:  # a mixture
        sizes = [_size(archive, games, part) for part in parts]
        by_size = [replace(p, share=n / sum(sizes)) for p, n in zip(parts, sizes, strict=True)]
        if _distance(found, _by_plies(archive, games, by_size)) < _NEAR / 2:
            return (
                "the parts of the mixture are drawn in proportion to their numbers of positions, "
                "and not by the shares that are configured"
            )
        equal = [replace(part, share=1 / len(parts)) for part in parts]
        if _distance(found, _by_plies(archive, games, equal)) < _NEAR / 2:
            return "the parts of the mixture are drawn equally often, whatever shares they have"
    if rule.name == "last_k" and len(parts) == 1:
        first = _of_rule(archive, games, rule, from_start=True)
        if _distance(found, first) < _NEAR:
            return (
                "curriculum last_k draws the first plies of each game (openings, counted from the "
                "start) in place of the last ones"
            )
    everything = _of_rule(archive, games, _Part("all", RuleConfig(), 1.0))
    if _distance(found, everything) < _NEAR:
        return f"curriculum {rule.name} has no effect: all positions of the games are drawn"
    return ""
