"""Checks of the results of games that no connection ended, and of games that are odd as a whole."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from hexsearch.data.archive import GameArchive
from hexsearch.data.baselines import stones_at
from hexsearch.doctor.findings import Finding
from hexsearch.doctor.hypotheses.table import wilson
from hexsearch.doctor.pipeline import ExaminedPipeline
from hexsearch.game.board import BLUE, RED, winners
from hexsearch.game.distance import connection_distances

_LOOKED_AT = 2_000  # games, spread over the archive
_FEW = 30
_ONE_SIDED, _ALL = 0.95, 0.97
_AGREES = 0.6  # of what is usual above one half, that winners must have the shorter path in
_SLOPE = 0.05  # by which values of a search must differ to say anything
_BEFORE, _USUAL = 4, 0.85  # plies before a connection, and what is usual there
Games = NDArray[np.int64]


def check_results(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Winners against boards where nobody has connected, and boards against their size."""
    archive = pipeline.archive
    assert archive is not None
    yield from _one_winner(archive)
    yield from _unfinished(archive)
    yield from _played_twice(archive)
    yield from _unused_edge(archive)
    yield from _played_on(archive)
    yield from _search_values(archive)


def _spread(games: Games) -> Games:
    chosen = np.linspace(0, len(games) - 1, min(len(games), _LOOKED_AT)).astype(np.int64)
    return games[np.unique(chosen)]


def _one_winner(archive: GameArchive) -> Iterator[Finding]:
    share = float((archive.winners == RED).mean())
    if len(archive) >= _FEW and not 1 - _ONE_SIDED < share < _ONE_SIDED:
        yield Finding(
            "results",
            "warning",
            f"{max(share, 1 - share):.1%} of {len(archive):,} games are won by "
            f"{'Red' if share > 0.5 else 'Blue'}",
            "nearly all games have the same winner: labels are nearly constant, and a network that "
            "always answers the same looks good",
            "add games of the other winner, or look at how winners are read",
        )


def _unfinished(archive: GameArchive) -> Iterator[Finding]:
    """Games that were resigned or cut off: the winner should mostly have the shorter path."""
    games = _spread(np.flatnonzero(archive.finished == 0).astype(np.int64))
    if len(games) < _FEW:
        return
    won = archive.winners[games]
    blue, red = connection_distances(stones_at(archive, games, archive.lengths[games]))
    told = blue != red
    shorter = np.where(blue < red, BLUE, RED)
    agree = float((shorter == won)[told].mean()) if told.any() else 1.0
    _, high = wilson(agree, int(told.sum()))
    expected = _usual_agreement(archive)
    if told.sum() < _FEW or high > 0.5 + _AGREES * (expected - 0.5):
        return
    last = np.where(archive.lengths[games] % 2 == 1, BLUE, RED)
    explained = (
        (won == BLUE, "all are given to Blue"),
        (won == RED, "all are given to Red"),
        (won == last, "each is given to whoever moved last"),
        (won == -last, "each is given to whoever was to move"),
        ((shorter == -won) | ~told, "their winners are inverted"),
    )
    cause = next(
        (words for right, words in explained if right.mean() > _ALL),
        "their winners do not go with their boards: colours are exchanged, or a move is too many "
        "or missing (a swap kept as a stone, a first move that was lost)",
    )
    yield Finding(
        "results",
        "error",
        f"in {len(games):,} games that no connection ended (resigned, or cut off at a limit) the "
        f"winner has the shorter path to a connection in {agree:.0%} of {told.sum():,} where paths "
        f"differ; {_BEFORE} plies before a connection it is {expected:.0%}",
        f"winners of unfinished games are wrong labels: {cause}",
        "find out how such games end in the source, or leave them out",
    )


def _usual_agreement(archive: GameArchive) -> float:
    """How often the winner has the shorter path a few plies before a connection."""
    games = _spread(
        np.flatnonzero((archive.finished == 1) & (archive.lengths > _BEFORE)).astype(np.int64)
    )
    if len(games) < _FEW:
        return _USUAL
    plies = archive.lengths[games].astype(np.int64) - _BEFORE
    blue, red = connection_distances(stones_at(archive, games, plies))
    told = blue != red
    if told.sum() < _FEW:
        return _USUAL
    return float((np.where(blue < red, BLUE, RED) == archive.winners[games])[told].mean())


def _played_twice(archive: GameArchive) -> Iterator[Finding]:
    games = _spread(np.arange(len(archive), dtype=np.int64))
    offsets = archive.offsets.astype(np.int64)
    twice = [
        game
        for game in games.tolist()
        if len(np.unique(archive.moves[offsets[game] : offsets[game + 1]]))
        < offsets[game + 1] - offsets[game]
    ]
    if twice:
        yield Finding(
            "results",
            "error",
            f"{len(twice):,} of {len(games):,} games play a cell twice, the first one is game "
            f"{twice[0]}",
            "a cell is played twice: two games run together, a swap is read as a move, or cells "
            "are numbered for another board",
            "see how this file's moves are read: `games show PATH`",
        )


def _unused_edge(archive: GameArchive) -> Iterator[Finding]:
    """A last row and column that nobody ever plays belong to another board."""
    size = int(archive.sizes.max(initial=0))
    if len(archive.moves) < 50 * size:
        return
    rows, columns = np.divmod(archive.moves.astype(np.int64), size)
    used = [np.bincount(lines, minlength=size) > 0 for lines in (rows, columns)]
    side = max(int(np.flatnonzero(each).max()) + 1 for each in used)
    first = min(int(np.flatnonzero(each).min()) for each in used)
    if side < size or first > 0:
        yield Finding(
            "results",
            "error",
            f"in {len(archive):,} games no move is played outside rows and columns {first} to "
            f"{side - 1} of a {size}x{size} board",
            f"the games are of a smaller board ({side - first}x{side - first}), or cells are "
            "shifted: edges are in the wrong place",
            "give the board's own size, and count rows and columns from 0",
        )


def _played_on(archive: GameArchive) -> Iterator[Finding]:
    """Games that go on after somebody has connected."""
    games = _spread(np.flatnonzero(archive.lengths > 1).astype(np.int64))
    before = winners(stones_at(archive, games, archive.lengths[games].astype(np.int64) - 1))
    over = before != 0
    if over.mean() > 0.02:
        yield Finding(
            "results",
            "warning",
            f"{over.sum():,} of {len(games):,} games go on after a connection",
            "moves follow after the game was decided: the end of a game is judged by something "
            "else than a connection, or edges are exchanged",
            "cut games at the first connection",
        )


def _search_values(archive: GameArchive) -> Iterator[Finding]:
    """Values of a search must rise with Red's wins, whoever is to move."""
    if archive.search_values is None:
        return
    games = _spread(np.arange(len(archive), dtype=np.int64))
    lengths = archive.lengths[games].astype(np.int64)
    game = np.repeat(games, lengths)
    ply = np.arange(len(game)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    values = archive.search_values_of(game, ply)
    red = archive.winners[game] == RED
    slopes = []
    for odd in (False, True):
        chosen = np.isfinite(values) & ((ply % 2 == 1) == odd)
        if min((chosen & red).sum(), (chosen & ~red).sum()) < _FEW:
            return
        slopes.append(float(values[chosen & red].mean() - values[chosen & ~red].mean()))
    if min(slopes) > -_SLOPE:
        return
    cause = (
        "search values are inverted: they are those of Blue"
        if max(slopes) < _SLOPE
        else "search values belong to the side to move, where Red's are expected: they enter the "
        "value target for the wrong side on every second ply"
    )
    yield Finding(
        "results",
        "error",
        f"the values of a search are {slopes[0]:+.2f} higher in games that Red won where Blue is "
        f"to move, and {slopes[1]:+.2f} where Red is",
        cause,
        "store Red's win probability of every position, whoever is to move",
    )
