"""Baselines that a value network must beat: the prior, and a table of shortest-path differences.

Without them a leaderboard is hard to interpret: on 13x13 games of an engine, a table of a few
hundred numbers finds the winner for 69% of positions, and for 100% of finished ones.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hexsearch.data.archive import GameArchive
from hexsearch.data.positions import Indices, PositionSet, all_positions, without_replacement
from hexsearch.errors import GamesError
from hexsearch.game.board import BLUE, RED, Stones
from hexsearch.game.distance import connection_distances

FIT_POSITIONS = 20_000  # three times as many improve the Brier score by 0.001 only
_LARGEST_DELTA = 6  # larger differences say no more about the outcome, and are rare
_PLIES_PER_BUCKET = 10
_PSEUDO_POSITIONS = 2.0  # weight of the prior expectation in each cell, in positions
_BOARDS = 3 * (2 * _LARGEST_DELTA + 1)  # cells of one ply bucket: sides to move by differences
_CHUNK = 16_384  # boards that are in memory at once


def baseline_predictions(
    archive: GameArchive,
    train_games: Indices,
    validation_positions: PositionSet,
    seed: int = 0,
) -> dict[str, NDArray[np.float64]]:
    """win_prob_red of both baselines for every validation position, in order.

    `prior` is the share of training positions whose game Red won. `shortest-path table` looks up
    the difference of the two shortest paths, the side to move (nobody on a finished board) and
    the ply divided by ten. The table is fitted on training positions; cells with few positions
    are drawn towards the prior.

    Args:
        train_games: [T] indices of games in the archive, all of the validation's board size.
        seed: seed with which at most FIT_POSITIONS training positions are drawn.
    Raises:
        GamesError: there is no training game, or boards have several sizes.
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
    # A game may be longer than every training game. The last row of the table is used for it.
    beyond = asked >= len(table)
    asked[beyond] = len(table) - _BOARDS + asked[beyond] % _BOARDS
    looked_up = table[asked]
    return {"prior": np.full(len(index), prior), "shortest-path table": looked_up}


def _fitted_table(
    cells: NDArray[np.int64], red_won: NDArray[np.bool_], prior: float
) -> NDArray[np.float64]:
    """Red's share in each cell, drawn towards its share at all plies, and that to the prior."""
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
    """Boards [B, N, N] int8 of positions, in the orientation of the archive.

    Raises:
        GamesError: the games have several board sizes.
    """
    sizes = np.unique(archive.sizes[games])
    if len(sizes) != 1:
        board_names = ", ".join(f"{size}x{size}" for size in sizes) or "no game"
        raise GamesError(f"boards of one size are needed, got {board_names}; choose one size")
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
    """[B] cell of the table: ply bucket, side to move and path difference as one number."""
    finished = (plies == archive.lengths[games]) & archive.finished[games].astype(bool)
    mover = np.where(finished, 2, plies % 2)
    delta = np.empty(len(games), dtype=np.int64)
    for start in range(0, len(games), _CHUNK):
        chunk = slice(start, start + _CHUNK)
        blue, red = connection_distances(stones_at(archive, games[chunk], plies[chunk]))
        delta[chunk] = np.clip(blue - red, -_LARGEST_DELTA, _LARGEST_DELTA)
    place = mover * (2 * _LARGEST_DELTA + 1) + delta + _LARGEST_DELTA
    return plies // _PLIES_PER_BUCKET * _BOARDS + place
