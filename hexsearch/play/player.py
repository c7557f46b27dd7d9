"""The interface of players, and players without a network: random and shortest path."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from hexsearch.errors import HexsearchError
from hexsearch.game.distance import connection_distances
from hexsearch.play.game_batch import GameBatch, Indices, mover_colour
from hexsearch.play.guided.tree import Floats

Seeds = Sequence[tuple[int, ...]]  # seed of each game, from which random numbers are derived


class PlayerError(HexsearchError):
    """A player cannot continue a game: it crashed, took too long, or played an illegal move."""


class Player(Protocol):
    """Chooses moves in many games at once."""

    name: str

    @property
    def size(self) -> int | None:
        """The only board size that it can play; None for all sizes."""

    def choose(self, batch: GameBatch, seeds: Seeds) -> Indices:
        """[G] empty cells, one for each game. Equal games and seeds give equal moves.

        Raises:
            PlayerError: the player has failed, and loses the games of this batch.
        """

    def win_prob(self, batch: GameBatch) -> Floats | None:
        """[G] win probability of the side to move; None for a player without an estimate."""

    def close(self) -> None:
        """Free its resources. It cannot play afterwards."""


def move_generators(seeds: Seeds, plies: Indices) -> list[np.random.Generator]:
    """A generator for the next move of each game, which depends on seed and ply alone."""
    return [
        np.random.default_rng([*seed, int(ply)]) for seed, ply in zip(seeds, plies, strict=True)
    ]


@dataclass
class RandomPlayer:
    """Plays a random empty cell."""

    name: str = "random"
    size: None = None

    def choose(self, batch: GameBatch, seeds: Seeds) -> Indices:
        """Cells drawn uniformly."""
        generators = move_generators(seeds, batch.plies)
        return np.array(
            [
                int(generator.choice(np.flatnonzero(stones == 0)))
                for generator, stones in zip(generators, batch.stones, strict=True)
            ],
            dtype=np.int64,
        )

    def win_prob(self, batch: GameBatch) -> None:
        """It has no opinion."""

    def close(self) -> None:
        """Do nothing: there are no resources."""


@dataclass
class ShortestPathPlayer:
    """Plays where the difference of both sides' shortest paths becomes best, ties at random."""

    name: str = "shortest-path"
    size: None = None

    def choose(self, batch: GameBatch, seeds: Seeds) -> Indices:
        """One ply of looking ahead at `hexsearch.game.distance`."""
        stones = batch.stones
        rows, cells = np.nonzero(stones == 0)
        colours = mover_colour(batch.plies)
        after = stones[rows]
        after[np.arange(len(rows)), cells] = colours[rows]
        blue, red = connection_distances(after.reshape(-1, batch.size, batch.size))
        lead = (blue - red).astype(np.float64) * colours[rows]  # how much shorter the mover's is
        score = np.full(stones.shape, -np.inf)
        score[rows, cells] = lead
        best = score == score.max(axis=1, keepdims=True)
        generators = move_generators(seeds, batch.plies)
        return np.array(
            [
                int(generator.choice(np.flatnonzero(ties)))
                for generator, ties in zip(generators, best, strict=True)
            ],
            dtype=np.int64,
        )

    def win_prob(self, batch: GameBatch) -> None:
        """It has no opinion."""

    def close(self) -> None:
        """Do nothing: there are no resources."""
