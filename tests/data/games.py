"""Random games for tests, played until somebody connects."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from hexsearch.game.board import stones_after, winner
from hexsearch.game.record import Game, decided_at

SHARED_GAMES = (
    Path(os.environ.get("HEXSEARCH_SHARED", Path(__file__).parents[2].parent / "shared")) / "games"
)


def random_game(size: int, rng: np.random.Generator, source: str = "random", line: int = 1) -> Game:
    """A game of uniformly random moves, ending with the winning one."""
    cells = rng.permutation(size * size).tolist()
    moves = tuple(cells[: decided_at(cells, size)])
    return Game(size, moves, winner(stones_after(moves, size)), True, source, line)


def random_games(count: int, size: int, seed: int = 0) -> list[Game]:
    """Random games, each with a line of its own."""
    rng = np.random.default_rng(seed)
    return [random_game(size, rng, line=number + 1) for number in range(count)]
