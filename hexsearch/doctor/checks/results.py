"""Checks of the games as a whole: results without a connection, moves, board size, searches."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from hexsearch.data.archive import GameArchive
from hexsearch.data.baselines import stones_at
from hexsearch.doctor.checks.board_sizes import size_findings
from hexsearch.doctor.checks.parts import one_sided_ends
from hexsearch.doctor.findings import Finding
from hexsearch.doctor.hypotheses.boards.board_readings import other_reading
from hexsearch.doctor.hypotheses.boards.move_orders import ordered_cells
from hexsearch.doctor.hypotheses.general.regions import region
from hexsearch.doctor.hypotheses.table import wilson
from hexsearch.doctor.pipeline import ExaminedPipeline, needed
from hexsearch.game.board import BLUE, RED, winners
from hexsearch.game.distance import connection_distances

_LOOKED_AT = 2_000  # games that are looked at, spread over the archive
_LISTED = 200  # of them whose moves are listed one by one
_FEW = 30  # fewer games, or positions, are not judged
_ONE_SIDED = 0.95  # share of wins of one colour that is reported
_ALL = 0.97  # share of games that an explanation must fit
_AGREES = 0.6  # share of the usual agreement above 0.5 that unfinished games must reach
_MANY = 0.1  # share of search values that are one number
_BIASED = 0.12  # difference of the mean search value and Red's share of wins
_SLOPE = 0.05  # difference of mean search values that is not due to chance
_BEFORE = 4  # plies before a connection where the usual agreement is measured
_USUAL = 0.85  # usual agreement if there are too few finished games
Games = NDArray[np.int64]


def check_results(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Check winners of unfinished games, moves, board size, ends of games, and search values."""
    archive = needed(pipeline.archive)
    yield from _one_winner(archive)
    short = list(_one_move_short(archive))
    yield from short or _unfinished(archive)
    yield from one_sided_ends(archive)
    yield from _sorted_moves(archive)
    yield from _played_twice(archive)
    yield from size_findings(archive)
    yield from _played_on(archive)
    yield from _search_values(archive)


def _spread(games: Games, most: int = _LOOKED_AT) -> Games:
    """At most so many of the games, evenly spread."""
    chosen = np.linspace(0, len(games) - 1, min(len(games), most)).astype(np.int64)
    return games[np.unique(chosen)]


def _one_winner(archive: GameArchive) -> Iterator[Finding]:
    share = float((archive.winners == RED).mean())
    if len(archive) >= _FEW and not 1 - _ONE_SIDED < share < _ONE_SIDED:
        yield Finding.warning(
            "results",
            f"{'Red' if share > 0.5 else 'Blue'} wins {max(share, 1 - share):.1%} of "
            f"{len(archive):,} games",
            "nearly all games have the same winner: labels are nearly constant, and a network with "
            "constant answers has a low loss",
            "add games that the other side won, or correct the code that reads the winners",
        )


def _unfinished(archive: GameArchive) -> Iterator[Finding]:
    """In games that were resigned or cut off the winner should mostly have the shorter path."""
    games = _spread(np.flatnonzero(archive.finished == 0).astype(np.int64))
    if len(games) < _FEW:
        return
    won = archive.winners[games]
    blue, red = connection_distances(stones_at(archive, games, archive.lengths[games]))
    differ = blue != red
    shorter = np.where(blue < red, BLUE, RED)
    agree = float((shorter == won)[differ].mean()) if differ.any() else 1.0
    _, high = wilson(agree, int(differ.sum()))
    expected, usual = _usual_agreement(archive)
    fits = 0.5 + _AGREES * (expected - 0.5)
    if differ.sum() < _FEW or high > fits:
        return
    reading = other_reading(archive, games)
    place = region(archive.finished == 0, _places(archive, np.arange(len(archive))))
    reading += f", {place}" if reading and place.startswith("exactly") else ""
    last = np.where(archive.lengths[games] % 2 == 1, BLUE, RED)
    explanations = (
        (won == BLUE, "all are given to Blue"),
        (won == RED, "all are given to Red"),
        (won == last, "each is given to the side that moved last"),
        (won == -last, "each is given to the side to move"),
    )
    cause = next((words for holds, words in explanations if holds.mean() > _ALL), "")
    wrong = region((shorter == -won)[differ], _places(archive, games[differ]))
    if not cause and (agree < 1 - fits or wrong.startswith("exactly")):
        where = "" if agree < 1 - fits else f" {wrong}"
        cause = f"their winners are inverted{where}: the side that gave up, or was behind, is named"
    cause = cause or (
        "winners do not fit the boards: colours are exchanged, or there is one move too many "
        "or too few (a swap that was left out or kept as a stone, or a first move that was lost)"
    )
    yield Finding.error(
        "results",
        f"of {len(games):,} games that end without a connection (resigned, or cut off at a limit) "
        f"{differ.sum():,} have shortest paths of different length; the winner has the shorter one "
        f"in {agree:.0%} of these, {usual}",
        f"games are read wrongly: {reading}"
        if reading
        else f"winners of unfinished games are wrong labels: {cause}",
        "compare one such game with its source, correct how it is read, and import it again"
        if reading
        else "take the winners of unfinished games from their source, or leave these games out: "
        "`hexsearch games convert PATH --finished --output clean.games`",
        root="recorded",
    )


def _places(archive: GameArchive, games: NDArray[np.int64]) -> dict[str, NDArray[np.int64]]:
    """Where games stand, by the words of `region`."""
    return {
        "line of the file": archive.lines[games].astype(np.int64),
        "source": archive.files[games].astype(np.int64),
    }


def _one_move_short(archive: GameArchive) -> Iterator[Finding]:
    """Report games that stop one move before a connection.

    Games that were resigned stop at several distances, and are given to the side that is near.
    """
    games = _spread(np.flatnonzero(archive.finished == 0).astype(np.int64))
    if len(games) < _FEW:
        return
    blue, red = connection_distances(stones_at(archive, games, archive.lengths[games]))
    mover = np.where(archive.lengths[games] % 2 == 0, BLUE, RED)
    missing = np.where(mover == BLUE, blue, red) == 1
    lost = missing & (archive.winners[games] == -mover)
    if (missing & ~lost).mean() > _ALL:
        yield Finding.warning(
            "results",
            f"in {missing.sum():,} of {len(games):,} games that end without a connection the side "
            "to move lacks one stone, and is the winner",
            "the last move of each game, which wins it, is missing (a record that is cut off by "
            "one): no finished board is seen, and the policy never learns the winning move",
            "write the last move of each game, too",
            root="recorded",
        )
    if lost.mean() > _ALL:
        yield Finding.error(
            "results",
            f"in {lost.sum():,} of {len(games):,} games that end without a connection the side to "
            "move lacks one stone, and the other side is named as the winner",
            "the last move of each game, which wins it, is missing (a record that is cut off by "
            "one), and the side that moved last is named as the winner, which is the loser",
            "write the last move of each game, too, and take the winner from the board after it",
            root="recorded",
        )


def _sorted_moves(archive: GameArchive) -> Iterator[Finding]:
    """Report games whose moves are in the order of their cells."""
    games = _spread(np.flatnonzero(archive.lengths >= _BEFORE).astype(np.int64), _LISTED)
    if len(games) < _FEW:
        return
    records = [archive.game(int(game)) for game in games]
    words = [ordered_cells(record.moves, record.size) for record in records]
    told = next((each for each in words if each), "")
    if told and np.mean([each == told for each in words]) > _ALL:
        yield Finding.error(
            "results",
            f"in {len(games):,} games the cells of all moves are {told}",
            f"moves are not in the order in which they were played: they are {told}, as where a "
            "board was written cell by cell",
            "write the moves in the order in which they were played",
            root="recorded",
        )


def _usual_agreement(archive: GameArchive) -> tuple[float, str]:
    """Share of finished games whose winner has the shorter path _BEFORE plies before the end.

    With words for it. If there are too few finished games, it is what is usual.
    """
    unknown = _USUAL, f"where {_USUAL:.0%} is usual"
    games = _spread(
        np.flatnonzero((archive.finished == 1) & (archive.lengths > _BEFORE)).astype(np.int64)
    )
    if len(games) < _FEW:
        return unknown
    plies = archive.lengths[games].astype(np.int64) - _BEFORE
    blue, red = connection_distances(stones_at(archive, games, plies))
    differ = blue != red
    if differ.sum() < _FEW:
        return unknown
    share = float((np.where(blue < red, BLUE, RED) == archive.winners[games])[differ].mean())
    return share, f"and in {share:.0%} of finished games {_BEFORE} plies before their end"


def _played_twice(archive: GameArchive) -> Iterator[Finding]:
    games = _spread(np.arange(len(archive), dtype=np.int64))
    lengths = archive.lengths[games].astype(np.int64)
    starts = archive.offsets[games].astype(np.int64) - (np.cumsum(lengths) - lengths)
    moves = archive.moves[np.repeat(starts, lengths) + np.arange(lengths.sum())].astype(np.int64)
    keys, count = np.unique(np.repeat(games, lengths) * 65_536 + moves, return_counts=True)
    twice = np.unique(keys[count > 1] // 65_536)
    if len(twice):
        yield Finding.error(
            "results",
            f"in {len(twice):,} of {len(games):,} games a cell is played twice; the first one is "
            f"on line {archive.lines[twice[0]]} of its file",
            "a cell is played twice: two games are joined, a swap is read as a move, or cells are "
            "numbered for another board",
            "compare the moves of one such game in its file with those that are read, which "
            "`hexsearch games show PATH --game NUMBER` draws",
        )


def _played_on(archive: GameArchive) -> Iterator[Finding]:
    """Report games that continue after a connection."""
    games = _spread(np.flatnonzero(archive.lengths > 1).astype(np.int64))
    before = winners(stones_at(archive, games, archive.lengths[games].astype(np.int64) - 1))
    over = before != 0
    if over.mean() > 0.02:
        yield Finding.warning(
            "results",
            f"{over.sum():,} of {len(games):,} games continue after a connection",
            "moves follow after the game is decided: the end of a game is not recognised by a "
            "connection, or edges are exchanged",
            "end each game at its first connection",
            root="recorded",
        )


def _search_values(archive: GameArchive) -> Iterator[Finding]:
    """Search values must be higher in games that Red won, whoever is to move."""
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
        yield from _scale_of_searches(values[np.isfinite(values)], red[np.isfinite(values)])
        return
    cause = (
        "search values are inverted: they are those of Blue"
        if max(slopes) < _SLOPE
        else "search values belong to the side to move, but Red's are expected: on every second "
        "ply they enter the value target for the wrong side"
    )
    yield Finding.error(
        "results",
        "the mean search value in games that Red won, minus that in games that Blue won, is "
        f"{slopes[0]:+.2f} where Blue is to move and {slopes[1]:+.2f} where Red is to move",
        cause,
        "store Red's win probability for every position, whoever is to move",
    )


def _scale_of_searches(values: NDArray[np.float32], red: NDArray[np.bool_]) -> Iterator[Finding]:
    """Search values should be about as high on average as Red's share of wins."""
    share, mean = float(red.mean()), float(values.mean())
    if abs(mean - share) < _BIASED or min(share, 1 - share) < 1 - _ONE_SIDED:
        return
    for constant in (0.0, 1.0, 0.5):
        rest = values != constant
        part = 1.0 - float(rest.mean())
        if _MANY < part < 1.0 - _MANY and abs(values[rest].mean() - red[rest].mean()) < _BIASED:
            yield Finding.error(
                "results",
                f"{part:.0%} of the search values are exactly {constant:g}; the others have a mean "
                f"of {values[rest].mean():.2f}, and Red wins {red[rest].mean():.0%} of these "
                "positions",
                f"positions without a value of the search count as {constant:.0%} for Red: their "
                "targets are moved towards it, where the result alone should count",
                "mark unknown search values, and leave them out of the targets",
            )
            return
    factor = float((values * red).sum() / np.square(values).sum())
    inverse = float(((1 - values) * ~red).sum() / np.square(1 - values).sum())
    fits = f"times {factor:.3g}" if mean < share else f"with 1 - v times {inverse:.3g}"
    yield Finding.error(
        "results",
        f"search values go from {values.min():.2f} to {values.max():.2f} with a mean of {mean:.2f} "
        f"({values[red].mean():.2f} in games that Red won, {values[~red].mean():.2f} in those that "
        f"Blue won), while Red wins {share:.0%} of these positions",
        f"search values are on another scale than results: {fits} they fit best (a percentage "
        "taken for a share of 255, a value in [-1, 1], or a bias of the search)",
        "store Red's win probability in percent, from 0 to 100",
    )
