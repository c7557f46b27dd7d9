"""What any value network must beat: the prior, and a table of shortest-path differences.

Without these rows a leaderboard flatters: on engine games of 13x13 a table of a few hundred
numbers is right 69% of the time, and 100% on finished games.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hexsearch.data.archive import GameArchive
from hexsearch.data.positions import Indices, PositionSet, all_positions, without_replacement
from hexsearch.errors import GamesError
from hexsearch.game.board import BLUE, RED, Stones
from hexsearch.game.distance import connection_distances

FLOOR_NAMES = ("prior", "shortest-path table")
FIT_POSITIONS = 20_000  # three times as many gain 0.001 of Brier score
_LARGEST_DELTA = 6  # beyond it the outcome is no clearer, and the cells grow thin
_PLIES_PER_BUCKET = 10
_PSEUDO_POSITIONS = 1.0  # weight of the prior in each cell of the table
_CHUNK = 16_384  # boards in memory at once


def floor_predictions(
    archive: GameArchive,
    train_games: Indices,
    validation_positions: PositionSet,
    seed: int = 0,
) -> dict[str, NDArray[np.float64]]:
    """win_prob_red of both floors for every validation position, in order.

    `prior` is Red's share of the training games' positions. `shortest-path table` looks up the
    difference of the two shortest paths, the side to move (nobody on a finished board) and
    the ply in tens, in a table fitted on training positions and drawn towards the prior where
    they are few.

    Args:
        train_games: [T] games of the archive; all of one board size, as are the validation's.
        seed: of the draw of at most FIT_POSITIONS training positions.
    Raises:
        GamesError: no training game, or boards of several sizes.
    """
    if not len(train_games):
        raise GamesError("the floors need at least one training game, got none")
    training = all_positions(archive, train_games)
    red_won = archive.winners[train_games] == RED
    prior = float(np.average(red_won, weights=archive.lengths[train_games] + 1))
    sample = without_replacement(len(training), seed, 0, min(FIT_POSITIONS, len(training)))
    games, plies = training.at(np.sort(sample))
    fitted = _features(archive, games, plies)
    cells = int(fitted.max(initial=0)) + 1
    count = np.bincount(fitted, minlength=cells)
    wins = np.bincount(fitted, weights=archive.winners[games] == RED, minlength=cells)
    table = (wins + _PSEUDO_POSITIONS * prior) / (count + _PSEUDO_POSITIONS)

    index = np.arange(len(validation_positions), dtype=np.int64)
    asked = _features(archive, *validation_positions.at(index))
    known = asked < cells  # a game longer than any that trained falls outside the table
    looked_up = np.where(known, table[np.minimum(asked, cells - 1)], prior)
    return {"prior": np.full(len(index), prior), "shortest-path table": looked_up}


def stones_at(archive: GameArchive, games: Indices, plies: Indices) -> Stones:
    """Boards [B, N, N] int8 of positions, as played.

    Raises:
        GamesError: the games are of several board sizes.
    """
    sizes = np.unique(archive.sizes[games])
    if len(sizes) != 1:
        found = ", ".join(f"{size}x{size}" for size in sizes) or "no game"
        raise GamesError(f"boards of one size are needed, got {found}; choose one size")
    size = int(sizes[0])
    boards = np.zeros((len(games), size * size), dtype=np.int8)
    offsets = archive.offsets[games].astype(np.int64)
    starts = np.cumsum(plies) - plies
    steps = np.arange(int(plies.sum()), dtype=np.int64)
    cells = archive.moves[steps + np.repeat(offsets - starts, plies)]
    ply = steps - np.repeat(starts, plies)
    boards[np.repeat(np.arange(len(games)), plies), cells] = np.where(ply % 2 == 0, BLUE, RED)
    return boards.reshape(-1, size, size)


def _features(archive: GameArchive, games: Indices, plies: Indices) -> NDArray[np.int64]:
    """[B] cell of the table: ply bucket, side to move and path difference in one number."""
    finished = (plies == archive.lengths[games]) & archive.finished[games].astype(bool)
    mover = np.where(finished, 2, plies % 2)
    delta = np.empty(len(games), dtype=np.int64)
    for start in range(0, len(games), _CHUNK):
        chunk = slice(start, start + _CHUNK)
        blue, red = connection_distances(stones_at(archive, games[chunk], plies[chunk]))
        delta[chunk] = np.clip(blue - red, -_LARGEST_DELTA, _LARGEST_DELTA)
    deltas = 2 * _LARGEST_DELTA + 1
    return ((plies // _PLIES_PER_BUCKET) * 3 + mover) * deltas + delta + _LARGEST_DELTA
