"""Games that are learnt quickly: one colour mostly plays along its shortest path."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hexsearch.game.board import BLUE, RED, Stones, winners
from hexsearch.game.distance import connection_distances
from hexsearch.game.record import Game

_STRONG, _WEAK = 0.9, 0.2  # how often each colour plays a move that shortens its path


def lopsided_games(count: int, size: int, seed: int = 0) -> list[Game]:
    """Finished games whose winner is clear long before the end."""
    rng = np.random.default_rng(seed)
    boards = np.zeros((count, size, size), dtype=np.int8)
    strong = rng.choice([BLUE, RED], size=count)
    moves: list[list[int]] = [[] for _ in range(count)]
    going = np.arange(count)
    won = np.zeros(count, dtype=np.int8)
    ply = 0
    while len(going):
        mover = BLUE if ply % 2 == 0 else RED
        cells = _moves(boards[going], mover, strong[going], rng)
        boards.reshape(count, -1)[going, cells] = mover
        for game, cell in zip(going, cells, strict=True):
            moves[game].append(int(cell))
        won[going] = winners(boards[going])
        going = going[won[going] == 0]
        ply += 1
    return [
        Game(size, tuple(moves[game]), int(won[game]), True, "lopsided", game + 1)
        for game in range(count)
    ]


def _moves(
    boards: Stones, mover: int, strong: NDArray[np.int64], rng: np.random.Generator
) -> NDArray[np.int64]:
    """One move for each board, at random or along the mover's shortest path."""
    games, size = boards.shape[0], boards.shape[1]
    area = size * size
    after = np.repeat(boards.reshape(games, 1, area), area, axis=1)
    after[:, np.arange(area), np.arange(area)] = mover
    blue, red = connection_distances(after.reshape(-1, size, size))
    distance = (blue if mover == BLUE else red).reshape(games, area).astype(float)
    skilled = rng.random(games) < np.where(strong == mover, _STRONG, _WEAK)
    score = rng.random((games, area)) + np.where(skilled[:, None], distance, 0.0)
    score[boards.reshape(games, area) != 0] = np.inf
    best: NDArray[np.int64] = score.argmin(axis=1)
    return best
