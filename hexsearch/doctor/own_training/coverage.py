"""Which of the positions of its games a user's training draws, in words."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hexsearch.doctor.own_training.rows import Flags, Rows
from hexsearch.doctor.own_training.watched import OwnTraining

_PART, _GAMES = 0.5, 0.3  # shares of the positions, and of the games, that are far too few
_AGAIN = 0.6  # share of later rows that earlier ones have shown
_NEAR, _MISSED = 3, 0.15  # plies to the end, and share of the positions that are nearer to it


def few_positions(own: OwnTraining, rows: Rows, whole: int) -> tuple[str, str] | None:
    """Evidence and cause if a small part of the positions is drawn again and again.

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
    return (
        f"{count:,} rows show {drawn:,} different position(s) of {len(games)} game(s); "
        f"{len(own.games)} games with {whole:,} positions were given",
        f"only {drawn:,} position(s), those of {which} {len(games)} of {len(own.games)} games, are "
        "ever drawn, again and again: the length of the data is that of another list (games in "
        "place of rows, a __len__), or a sampler has one weight for each class and not for each "
        "row",
    )


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
