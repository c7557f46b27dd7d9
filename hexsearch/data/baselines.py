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

FIT_POSITIONS = 20_000  # three times as many gain 0.001 of Brier score
_LARGEST_DELTA = 6  # beyond it the outcome is no clearer, and the cells grow thin
_PLIES_PER_BUCKET = 10
_PSEUDO_POSITIONS = 2.0  # weight in each cell of what is expected before looking
_BOARDS = 3 * (2 * _LARGEST_DELTA + 1)  # cells of one ply bucket: sides to move by differences
_CHUNK = 16_384  # boards in memory at once


def baseline_predictions(
    archive: GameArchive,
    train_games: Indices,
    validation_positions: PositionSet,
    seed: int = 0,
) -> dict[str, NDArray[np.float64]]:
    """win_prob_red of both baselines for every validation position, in order.

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
        raise GamesError("the baselines need at least one training game, got none")
    training = all_positions(archive, train_games)
    red_won = archive.winners[train_games] == RED
    prior = float(np.average(red_won, weights=archive.lengths[train_games] + 1))
    sample = without_replacement(len(training), seed, 0, min(FIT_POSITIONS, len(training)))
    games, plies = training.at(np.sort(sample))
    table = _fitted_table(_features(archive, games, plies), archive.winners[games] == RED, prior)
    index = np.arange(len(validation_positions), dtype=np.int64)
    asked = _features(archive, *validation_positions.at(index))
    # A game longer than any that trained falls outside the table: its last row will do.
    beyond = asked >= len(table)
    asked[beyond] = len(table) - _BOARDS + asked[beyond] % _BOARDS
    looked_up = table[asked]
    return {"prior": np.full(len(index), prior), "shortest-path table": looked_up}


def _fitted_table(
    cells: NDArray[np.int64], red_won: NDArray[np.bool_], prior: float
) -> NDArray[np.float64]:
    """Red's share by cell, drawn towards the share at any ply, and that towards the prior."""
    coarse = _shares(cells % _BOARDS, red_won, _BOARDS, np.full(_BOARDS, prior))
    buckets = int(cells.max(initial=0)) // _BOARDS + 1
    return _shares(cells, red_won, buckets * _BOARDS, np.tile(coarse, buckets))


def _shares(
    cells: NDArray[np.int64],
    red_won: NDArray[np.bool_],
    size: int,
    before: NDArray[np.float64],
) -> NDArray[np.float64]:
    count = np.bincount(cells, minlength=size)
    wins = np.bincount(cells, weights=red_won, minlength=size)
    shares: NDArray[np.float64] = (wins + _PSEUDO_POSITIONS * before) / (count + _PSEUDO_POSITIONS)
    return shares


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
    place = mover * (2 * _LARGEST_DELTA + 1) + delta + _LARGEST_DELTA
    return plies // _PLIES_PER_BUCKET * _BOARDS + place
