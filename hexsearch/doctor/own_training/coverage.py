"""Which of the positions of its games a user's training draws, in words."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hexsearch.doctor.findings import Finding
from hexsearch.doctor.own_training.rows import Flags, Rows
from hexsearch.doctor.own_training.watched import OwnTraining

_PART, _GAMES = 0.5, 0.3  # shares of the positions, and of the games, that are far too few
_SEVERAL, _WHOLE = 3, 0.6  # games, and share of the positions of each, that are a part by games
_AGAIN = 0.6  # share of later rows that earlier ones have shown
_NEAR, _MISSED = 3, 0.15  # plies to the end, and share of the positions that are nearer to it


def few_positions(own: OwnTraining, rows: Rows, whole: int) -> Finding | None:
    """The finding if a small part of the positions is drawn again and again.

    Whole games may be a buffer that is filled by and by, so these are a warning.

    Args:
        whole: number of positions of the games.
    """
    known: Flags = rows.found & rows.single
    count = int(known.sum())
    if not whole or len(np.unique(rows.batch[known])) < 2:
        return None
    keys: NDArray[np.int64] = rows.game[known] * 10_000 + rows.ply[known]
    drawn, games = len(np.unique(keys)), np.unique(rows.game[known])
    expected = whole * (1 - np.exp(-count / whole))
    if drawn > _PART * expected or len(games) > _GAMES * len(own.games):
        return None
    batch = rows.batch[known]
    early = batch <= np.quantile(batch, 0.4)
    moves_on = np.isin(keys[~early], keys[early]).mean() < _AGAIN  # a buffer, or an order
    first, second = (keys[batch == number] for number in np.unique(batch)[:2])
    if moves_on or (drawn > 1 and np.array_equal(first, second)):  # one batch, again and again
        return None
    which = "the first" if set(games.tolist()) <= set(own.games[: len(games)].tolist()) else "some"
    evidence = (
        f"{count:,} rows show {drawn:,} different position(s) of {len(games)} game(s); "
        f"{len(own.games)} games with {whole:,} positions were given"
    )
    if len(games) >= _SEVERAL and _are_whole(own, rows, known, games):
        return Finding.warning(
            "training positions",
            evidence,
            f"while the training was watched only {which} {len(games)} of {len(own.games)} games "
            "were drawn, all their positions, again and again: a buffer that is filled by and by, "
            "or a part of the games that was chosen; if neither is on purpose, the others are "
            "missing",
            "if a buffer is filled by and by, all is well; else draw from all games",
            root="stages",
        )
    return Finding.error(
        "training positions",
        evidence,
        f"only {drawn:,} position(s), those of {which} {len(games)} of {len(own.games)} games, are "
        "ever drawn, again and again: the length of the data is that of another list (games in "
        "place of rows, a __len__), or a sampler has one weight for each class and not for each "
        "row",
        "draw from all rows: look at the length of the data set and at its sampler",
        root="stages",
    )


def _are_whole(own: OwnTraining, rows: Rows, known: Flags, games: NDArray[np.int64]) -> bool:
    """Whether nearly all positions of each of some games were drawn."""
    truth = own.catalogues[0].truth
    for game in games:
        drawn = len(np.unique(rows.ply[known & (rows.game == game)]))
        if drawn < _WHOLE * int((~truth.finished[truth.game == game]).sum()):
            return False
    return True


def without_ends(rows: Rows, lengths: NDArray[np.int64], left_of_all: NDArray[np.int64]) -> str:
    """In words, that no position near the end of its game is drawn; empty if some are.

    Args:
        lengths: [found rows] length of the game of each row that was found.
        left_of_all: plies to the end of all positions of the games.
    """
    left = lengths - rows.ply[rows.found]
    last = int(left.min())
    missed = float((left_of_all < last).mean())
    if last <= _NEAR or missed < _MISSED:
        return ""
    _, game = np.unique(rows.game[rows.found], return_inverse=True)
    nearest, latest = np.full(game.max() + 1, left.max()), np.zeros(game.max() + 1, dtype=int)
    np.minimum.at(nearest, game, left)
    np.maximum.at(latest, game, rows.ply[rows.found])
    if nearest.std() > latest.std():
        return ""  # plies are cut off at one number, and not at one distance from the end
    return (
        f"the last {last - 1} plies of every game are cut off: nothing nearer than {last} plies to "
        f"the end is shown ({missed:.0%} of the positions), so decided positions are never trained "
        "on"
    )
