"""Checks of games that are the beginning of others, or follow the same few lines."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator

import numpy as np

from hexsearch.data.archive import GameArchive
from hexsearch.doctor.findings import Finding
from hexsearch.doctor.pipeline import SEED, ExaminedPipeline, needed

_LOOKED_AT = 2_000  # unfinished games
_GAMES = 50_000  # games that are compared, from the first one on
_SHARED = 8  # moves that a beginning has at least; shorter ones are openings
_LINES, _DISTINCT = 100, 0.2  # games that are needed; accepted share of different first halves
# Moves, and share of a game, that are an opening; accepted share of games with the same one.
_OPENING, _BEGUN, _ALIKE = 4, 0.2, 0.8
_SHARE = 0.05  # of the games looked at, from which on it is reported


def check_beginnings(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Report games whose moves are all the first moves of a longer game, and common lines."""
    archive = needed(pipeline.archive)
    yield from _few_lines(archive)
    yield from _beginnings(archive)


def _few_lines(archive: GameArchive) -> Iterator[Finding]:
    """Report games whose first halves are nearly all those of other games."""
    starts = archive.offsets[:-1].astype(np.int64)
    long = np.flatnonzero(archive.lengths[:_GAMES] >= _SHARED)
    if len(long) < _LINES:
        return
    halves = {
        archive.moves[starts[game] : starts[game] + archive.lengths[game] // 2].tobytes()
        for game in long.tolist()
    }
    if len(halves) < _DISTINCT * len(long):
        yield Finding.warning(
            "duplicates",
            f"the first halves of {len(long):,} games of {_SHARED} moves or more are only "
            f"{len(halves):,} different lines",
            "games follow the same few lines and differ in their ends alone (self-play without "
            "noise, temperature or drawn openings): most positions occur in many games with either "
            "winner, and validation games begin as training games do",
            "play with a temperature, noise at the root, or drawn openings; or keep one game of "
            "each line",
            root="alike",
        )
        return
    shared = max(_OPENING, int(_BEGUN * np.median(archive.lengths[long])))
    first = Counter(
        archive.moves[starts[game] : starts[game] + shared].tobytes() for game in long.tolist()
    )
    alike = first.most_common(1)[0][1] / len(long)
    if alike > _ALIKE:
        yield Finding.warning(
            "duplicates",
            f"{alike:.0%} of {len(long):,} games begin with the same {shared} moves",
            f"nearly all games are alike: {alike:.0%} begin with the same {shared} moves "
            "(self-play without noise, temperature or drawn openings), so the network sees few "
            "different positions, and no other opening",
            "play with a temperature, noise at the root, or drawn openings",
            root="alike",
        )


def _beginnings(archive: GameArchive) -> Iterator[Finding]:
    """Report games whose moves are all the first moves of a longer game."""
    lengths, starts = archive.lengths, archive.offsets[:-1].astype(np.int64)
    cut = np.flatnonzero((archive.finished == 0) & (lengths >= _SHARED))
    cut = cut[cut < _GAMES]
    if not len(cut):
        return
    rng = np.random.default_rng(SEED)
    looked_at = rng.permutation(cut)[:_LOOKED_AT]

    def first_moves(game: int, count: int) -> bytes:
        return archive.moves[starts[game] : starts[game] + count].tobytes()

    wanted = {first_moves(int(game), _SHARED) for game in looked_at}
    long = np.flatnonzero(lengths[:_GAMES] > _SHARED)
    alike: dict[bytes, list[int]] = defaultdict(list)
    heads = archive.moves[starts[long][:, None] + np.arange(_SHARED)]
    for game, head in zip(long.tolist(), heads, strict=True):
        if (key := head.tobytes()) in wanted:
            alike[key].append(game)
    beginnings = [
        int(game)
        for game in looked_at
        if any(
            lengths[other] > lengths[game]
            and first_moves(other, int(lengths[game])) == first_moves(int(game), int(lengths[game]))
            for other in alike[first_moves(int(game), _SHARED)][:50]
        )
    ]
    if len(beginnings) > max(_SHARE * len(looked_at), 5):
        yield Finding.warning(
            "duplicates",
            f"{len(beginnings):,} of {len(looked_at):,} unfinished games of {_SHARED} moves or "
            f"more are the beginning of a longer game, such as the one on line "
            f"{archive.lines[beginnings[0]]}",
            "games that were saved while they were played count as games of their own: the same "
            "positions come several times, in training and in validation (a leak between them)",
            "keep the longest record of each game and leave its beginnings out",
        )
