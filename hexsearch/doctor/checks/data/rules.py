"""Checks whether the positions that are drawn are those that the curriculum's rules name."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hexsearch.config.curriculum import CurriculumConfig, RuleConfig
from hexsearch.data.archive import GameArchive
from hexsearch.doctor.findings import Finding
from hexsearch.doctor.hypotheses.truth import Ints
from hexsearch.doctor.pipeline import ExaminedPipeline, needed

_DRAWN, _FIRST, _DRAWN_LEAST = 2048, 128, 100  # positions of each phase, its first ones, at least
# Distance of two distributions that differ, and of two that are one; by the root of the samples.
_FAR, _NEAR, _FAR_OF_FEW, _NEAR_OF_FEW = 0.12, 0.05, 2.2, 1.4
_MOSTLY = 0.8  # share of what is drawn too often that one number of plies has
_ALWAYS = 16.0  # expected number of samples of which one at least is drawn, but for chance
_MOST_GAMES = 2000  # of which the positions are counted
Shares = NDArray[np.float64]


@dataclass(frozen=True)
class _Part:
    """A rule with its name and its share of the samples."""

    name: str
    rule: RuleConfig
    share: float


@dataclass(frozen=True)
class _Phase:
    """Position at which a phase begins, number of samples to look at, and its rules."""

    start: int
    samples: int
    parts: list[_Part]


def rule_findings(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Compare the plies to the end in each phase with those of the phase's rules."""
    stream = needed(pipeline.stream)
    phases = [] if stream.curriculum.name == "all" else _phases(stream.curriculum)
    archive, games = stream.builder.archive, _some_games(pipeline)
    expected = [_by_plies(archive, games, phase.parts) for phase in phases]
    for number, phase in [*enumerate(phases), *enumerate(_beginnings(phases))]:
        if phase.samples < _DRAWN_LEAST:
            continue
        start, parts, found = phase.start, phase.parts, _drawn(pipeline, phase)
        several = len(parts) > 1 and len(phases) == 1
        if _distance(found, expected[number]) < (_NEAR if several else _far(phase)):
            continue
        told = _other_rule(archive, games, found, number, expected, phase)
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


def missing_findings(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Report numbers of plies to the end that a rule has and that are never drawn.

    For what no other check of batches explains.
    """
    stream = needed(pipeline.stream)
    for phase in _phases(stream.curriculum):
        if phase.samples < _DRAWN_LEAST:
            continue
        expected = _by_plies(stream.builder.archive, _some_games(pipeline), phase.parts)
        found, start = _drawn(pipeline, phase), phase.start
        never = np.flatnonzero((found == 0) & (expected * phase.samples > _ALWAYS))
        if len(never):
            share = expected[never].sum()
            plies = f"{never[0]}" if len(never) == 1 else f"{never[0]} to {never[-1]}"
            final = "finished boards" if never[-1] == 0 else f"positions {plies} plies from the end"
            yield Finding.error(
                "batches",
                f"none of {phase.samples:,} training positions is {plies} plies from the end of "
                f"its game; in curriculum '{stream.curriculum.name}' {share:.1%} are",
                _odd_range(phase, never)
                or f"{final} are never trained on: the range of plies that is drawn from ends too "
                "early or begins too late (off by one)",
                "draw from every ply that the curriculum names, the last position included",
            )
            return
        if _distance(found, expected) > _far(phase):
            yield Finding.error(
                "batches",
                f"from position {start:,} of the stream on, the number of plies to the end is "
                f"{_mean(found):.1f} on average; by curriculum '{stream.curriculum.name}' it is "
                f"{_mean(expected):.1f}",
                _excess(found, expected)
                or "positions are not those that the curriculum names: its plies, its shares or "
                "its phases are others",
                "draw from the plies that the curriculum names, by its shares",
            )
            return


def _odd_range(phase: _Phase, never: Ints) -> str:
    """In words, that `last_k` takes an odd number of plies; empty if it does not."""
    rule = phase.parts[0].rule
    if phase.parts[0].name != "last_k" or rule.k % 2 == 0 or list(never) != [rule.k + 1]:
        return ""
    return (
        f"last_k with k = {rule.k} draws from the last {rule.k} plies, an odd number, and not from "
        f"{rule.k + 1}: the winner is to move more often than the loser (or less often), so "
        "the side to move tells the winner"
    )


def _excess(found: Shares, expected: Shares) -> str:
    """In words, the one distance to the end that is drawn too often; empty if several are."""
    more = np.maximum(found - expected, 0.0)
    most = int(more.argmax())
    if more[most] < _FAR or more[most] < _MOSTLY * more.sum():
        return ""
    where = (
        "the last position of each game" if most == 0 else f"positions {most} plies from the end"
    )
    return (
        f"{where} is drawn far too often ({found[most]:.0%} of the samples, by the curriculum "
        f"{expected[most]:.0%}): plies beyond the end of the range are cut off at its end (a limit "
        "or clip) and not wrapped around or drawn again"
    )


def _beginnings(phases: Sequence[_Phase]) -> list[_Phase]:
    """The first samples of each phase, where another border shows."""
    return [replace(phase, samples=min(phase.samples, _FIRST)) for phase in phases]


def _far(phase: _Phase) -> float:
    return max(_FAR, _FAR_OF_FEW / math.sqrt(phase.samples))


def _some_games(pipeline: ExaminedPipeline) -> Ints:
    games = needed(pipeline.dataset).train_games
    some: Ints = games[:: max(1, len(games) // _MOST_GAMES)]
    return some


def _drawn(pipeline: ExaminedPipeline, phase: _Phase) -> Shares:
    """Share of the samples from a place of the stream on by the number of plies to the end."""
    stream = needed(pipeline.stream)
    batch = stream.batch(phase.start, phase.samples)
    game, ply = (each.cpu().numpy().astype(np.int64) for each in (batch.game, batch.ply))
    return _histogram(stream.builder.archive.lengths_of(game) - ply, np.ones(len(ply)))


def _phases(curriculum: CurriculumConfig) -> list[_Phase]:
    """The phases of a curriculum; none if their rules name stages.

    The borders of stages depend on the data set's settings.
    """
    if any(rule.stages for rule in (curriculum, *curriculum.parts, *curriculum.phases)):
        return []
    if curriculum.name == "mixture":
        total = sum(part.share for part in curriculum.parts)
        parts = [_Part(p.name, p, p.share / total) for p in curriculum.parts]
        return [_Phase(0, _DRAWN, parts)]
    if curriculum.name == "progressive":
        phases, start, mixed = [], 0, curriculum.mix_all
        for phase in curriculum.phases:
            parts = [_Part(phase.name, phase, 1 - mixed), _Part("all", RuleConfig(), mixed)]
            samples = _DRAWN if phase.until is None else min(phase.until - start, _DRAWN)
            phases.append(_Phase(start, samples, [part for part in parts if part.share > 0]))
            start = phase.until or start
        return phases
    return [_Phase(0, _DRAWN, [_Part(curriculum.name, curriculum, 1.0)])]


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
    phase: _Phase,
) -> str:
    """In words, the rule by which positions are drawn in place of those of a phase."""
    parts, near = phase.parts, max(_NEAR, _NEAR_OF_FEW / math.sqrt(phase.samples))
    for other, shares in enumerate(expected):
        if other != number and _distance(found, shares) < near:
            return (
                f"phase {number + 1} of the curriculum does not begin where it is configured: the "
                f"positions are those of phase {other + 1} (phases are chosen by another count, "
                "such as that of steps, `until` is taken for a length, or the order is another)"
            )
    rule = parts[0]
    own = [part.share for part in parts]
    for turned in (own[::-1], [0.0] * (len(parts) - 1) + [1.0]) if len(parts) > 1 else ():
        exchanged = [replace(part, share=share) for part, share in zip(parts, turned, strict=True)]
        if _distance(found, _by_plies(archive, games, exchanged)) < near:
            told = ", ".join(f"{part.share:.0%} from {part.name}" for part in exchanged)
            return (
                "the shares of the parts are exchanged, or one of them is ignored (mix_all and "
                f"1 - mix_all, for instance): positions are drawn {told}"
            )
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
        if _distance(found, first) < near:
            return (
                "curriculum last_k draws the first plies of each game (openings, counted from the "
                "start) in place of the last ones"
            )
    everything = _of_rule(archive, games, _Part("all", RuleConfig(), 1.0))
    if _distance(found, everything) < near:
        return f"curriculum {rule.name} has no effect: all positions of the games are drawn"
    return ""
