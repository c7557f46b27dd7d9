"""Checks whether the positions that are drawn are those that the curriculum's rules name."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from scipy.optimize import nnls

from hexsearch.config.curriculum import RuleConfig
from hexsearch.data.archive import GameArchive
from hexsearch.doctor.checks.data.curricula import (
    Part,
    Phase,
    Shares,
    by_plies,
    counts_of,
    histograms,
    of_rule,
    phases_of,
    size_of,
)
from hexsearch.doctor.findings import Finding
from hexsearch.doctor.hypotheses.truth import Ints
from hexsearch.doctor.pipeline import ExaminedPipeline, needed

_FIRST, _DRAWN_LEAST = 128, 100  # first positions of a phase that are looked at, and at least
# Distance of two distributions that differ, and of two that are one; by the root of the samples.
_FAR, _NEAR, _FAR_OF_FEW, _NEAR_OF_FEW = 0.12, 0.05, 2.2, 1.4
_SEVERAL = 3  # parts whose shares are estimated
_MOSTLY = 0.8  # share of what is drawn too often that one number of plies has
_ALWAYS = 16.0  # expected number of samples of which one at least is drawn, but for chance
_MOST_GAMES = 2000  # of which the positions are counted


def rule_findings(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Compare the plies to the end in each phase with those of the phase's rules."""
    stream = needed(pipeline.stream)
    plain = stream.curriculum.name == "all" and not stream.curriculum.stages
    phases = [] if plain else phases_of(stream.curriculum, needed(pipeline.data))
    archive, games = stream.builder.archive, _some_games(pipeline)
    expected = [by_plies(archive, games, phase.parts) for phase in phases]
    for number, phase in [*enumerate(phases), *enumerate(_beginnings(phases))]:
        if phase.samples < _DRAWN_LEAST:
            continue
        start, parts, found = phase.start, phase.parts, _drawn(pipeline, phase)
        several = len(parts) > 1 and len(phases) == 1
        if _distance(found, expected[number]) < _far(phase, _NEAR if several else _FAR):
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
    for phase in phases_of(stream.curriculum, needed(pipeline.data)):
        yield from (outside := list(_outside(pipeline, phase)))
        if outside:
            return


def _outside(pipeline: ExaminedPipeline, phase: Phase) -> Iterator[Finding]:
    """Report positions that no rule of a phase includes."""
    stream = needed(pipeline.stream)
    archive, batch = stream.builder.archive, stream.batch(phase.start, phase.samples)
    game, ply = (each.cpu().numpy().astype(np.int64) for each in (batch.game, batch.ply))
    games, place = np.unique(game, return_inverse=True)
    inside, over = np.zeros(len(ply), dtype=bool), []
    for part in phase.parts:
        first, counts, _ = counts_of(archive, games, part)
        low, high = first[place], (first + counts - 1)[place]
        inside |= (low <= ply) & (ply <= high)
        over.append(np.where(ply > high, ply - high, np.minimum(ply - low, 0)))
    if inside.all():
        return
    off = min(over, key=lambda each: int(np.abs(each[~inside]).max()))[~inside]
    several = len(np.unique(off)) > 1
    is_set_up = ply < archive.setups[game].astype(np.int64)
    yield Finding.error(
        "batches",
        f"{(~inside).mean():.1%} of {len(ply):,} training positions from position {phase.start:,} "
        f"on are in no rule of curriculum '{stream.curriculum.name}'; they lie up to "
        f"{np.abs(off).max()} plies beyond",
        "positions are drawn that the curriculum leaves out: "
        + (
            "those among the stones that were set up before the first move, which never occurred "
            "in a game"
            if is_set_up[~inside].all()
            else f"plies {'beyond the end' if off[0] > 0 else 'before the beginning'} of the range"
            if several
            else f"the range ends {off[0]} ply too late (a bound that is off by one)"
            if off[0] > 0
            else f"the range begins {-off[0]} ply too early (a bound that is off by one)"
        ),
        "draw from the plies and stages that the curriculum names alone",
        root="rule",
    )


def missing_findings(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Report numbers of plies to the end that a rule has and that are never drawn.

    For what no other check of batches explains.
    """
    stream = needed(pipeline.stream)
    for phase in phases_of(stream.curriculum, needed(pipeline.data)):
        if phase.samples < _DRAWN_LEAST:
            continue
        expected = by_plies(stream.builder.archive, _some_games(pipeline), phase.parts)
        found, start = _drawn(pipeline, phase), phase.start
        never = np.flatnonzero((found[0] == 0) & (expected[0] * phase.samples > _ALWAYS))
        if len(never):
            share = expected[0][never].sum()
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
                _excess(found[0], expected[0])
                or "positions are not those that the curriculum names: its plies, its shares or "
                "its phases are others",
                "draw from the plies that the curriculum names, by its shares",
            )
            return


def _odd_range(phase: Phase, never: Ints) -> str:
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
        f"{expected[most]:.0%}): plies beyond the end of the range are cut off at its end (a "
        "limit, not wrapped around), or the rule of another part includes them (off by one)"
    )


def _beginnings(phases: Sequence[Phase]) -> list[Phase]:
    """The first samples of each phase, where another border shows."""
    return [replace(phase, samples=min(phase.samples, _FIRST)) for phase in phases]


def _far(phase: Phase, least: float = _FAR) -> float:
    return max(least, _FAR_OF_FEW / math.sqrt(phase.samples))


def _some_games(pipeline: ExaminedPipeline) -> Ints:
    games = needed(pipeline.dataset).train_games
    some: Ints = games[:: max(1, len(games) // _MOST_GAMES)]
    return some


def _drawn(pipeline: ExaminedPipeline, phase: Phase) -> Shares:
    """[2, P] share of the samples from a place of the stream on, as in `by_plies`."""
    stream = needed(pipeline.stream)
    batch = stream.batch(phase.start, phase.samples)
    game, ply = (each.cpu().numpy().astype(np.int64) for each in (batch.game, batch.ply))
    return histograms(stream.builder.archive.lengths_of(game), ply, np.ones(len(ply)))


def _distance(some: Shares, others: Shares) -> float:
    """Largest difference of the cumulative shares."""
    return float(np.abs(np.cumsum(some, axis=1) - np.cumsum(others, axis=1)).max())


def _mean(shares: Shares) -> float:
    return float(np.arange(shares.shape[1]) @ shares[0])


def _other_rule(
    archive: GameArchive,
    games: Ints,
    found: Shares,
    number: int,
    expected: Sequence[Shares],
    phase: Phase,
) -> str:
    """In words, the rule by which positions are drawn in place of those of a phase."""
    parts, near = phase.parts, max(_NEAR, _NEAR_OF_FEW / math.sqrt(phase.samples))
    near = min(near, _distance(found, expected[number]) / 2)  # clearly nearer than the right one
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
        if turned == own:
            continue
        exchanged = [replace(part, share=share) for part, share in zip(parts, turned, strict=True)]
        if _distance(found, by_plies(archive, games, exchanged)) < near:
            told = ", ".join(f"{part.share:.0%} from {part.name}" for part in exchanged)
            return (
                "the shares of the parts are exchanged, or one of them is ignored (mix_all and "
                f"1 - mix_all, for instance): positions are drawn {told}"
            )
    if told := _other_shares(archive, games, found, parts, near):
        return told
    if len(parts) > 1 and len(expected) == 1:  # a mixture
        sizes = [size_of(archive, games, part) for part in parts]
        by_size = [replace(p, share=n / sum(sizes)) for p, n in zip(parts, sizes, strict=True)]
        if _distance(found, by_plies(archive, games, by_size)) < _NEAR / 2:
            return (
                "the parts of the mixture are drawn in proportion to their numbers of positions, "
                "and not by the shares that are configured"
            )
        equal = [replace(part, share=1 / len(parts)) for part in parts]
        if _distance(found, by_plies(archive, games, equal)) < _NEAR / 2:
            return "the parts of the mixture are drawn equally often, whatever shares they have"
    if rule.name == "last_k" and len(parts) == 1:
        first = of_rule(archive, games, rule, from_start=True)
        if _distance(found, first) < near:
            return (
                "curriculum last_k draws the first plies of each game (openings, counted from the "
                "start) in place of the last ones"
            )
    everything = of_rule(archive, games, Part("all", RuleConfig(), 1.0))
    if _distance(found, everything) < near:
        return f"curriculum {rule.name} has no effect: all positions of the games are drawn"
    return ""


def _other_shares(
    archive: GameArchive, games: Ints, found: Shares, parts: Sequence[Part], near: float
) -> str:
    """In words, the shares by which three or more parts are drawn; empty if they do not fit."""
    if len(parts) < _SEVERAL:
        return ""
    each = np.stack([of_rule(archive, games, part).ravel() for part in parts], axis=1)
    shares, _ = nnls(each, found.ravel())
    made = (each @ (shares / max(shares.sum(), 1e-12))).reshape(found.shape)
    if shares.sum() <= 0 or _distance(found, made) > near / 2:
        return ""
    shares = shares / shares.sum()
    told = ", ".join(
        f"{part.name} {share:.0%} (configured {part.share:.0%})"
        for part, share in zip(parts, shares, strict=True)
    )
    return (
        f"the parts of the mixture are drawn by other shares: {told} (a share of what the parts "
        "before have left is not a share of all)"
    )
