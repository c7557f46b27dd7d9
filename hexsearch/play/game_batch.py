"""Batches of unfinished games of one board size, as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hexsearch.analysis.boards import Positions
from hexsearch.game.board import BLUE, RED, top_to_bottom

Indices = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class GameBatch:
    """Games in which nobody has connected yet.

    Attributes:
        size: board side N.
        moves: [G, N*N or more] cells in the order of play, beginning with Blue. Entries after
            `plies` have no meaning.
        plies: [G] number of moves.
    """

    size: int
    moves: Indices
    plies: Indices

    @classmethod
    def of(cls, games: Sequence[Sequence[int]], size: int) -> GameBatch:
        """A batch of games that are given by their moves."""
        # A board whose colours do not alternate is given by moves that repeat a cell, which may be
        # more moves than cells.
        spare = max((len(game) - len(set(game)) for game in games), default=0)
        moves = np.zeros((len(games), size * size + spare), dtype=np.int64)
        for row, game in enumerate(games):
            moves[row, : len(game)] = game
        return cls(size, moves, np.array([len(game) for game in games], dtype=np.int64))

    def __len__(self) -> int:
        return len(self.plies)

    @property
    def played(self) -> Flags:
        """[G, N*N] whether an entry of `moves` is a move."""
        flags: Flags = np.arange(self.moves.shape[1]) < self.plies[:, None]
        return flags

    @property
    def red_to_move(self) -> Flags:
        """[G] whether Red moves next."""
        red: Flags = self.plies % 2 == 1
        return red

    @property
    def stones(self) -> NDArray[np.int8]:
        """[G, N*N] boards: RED, BLUE or 0."""
        games, order = np.nonzero(self.played)
        board = np.zeros((len(self), self.size**2), dtype=np.int8)
        board[games, self.moves[games, order]] = np.where(order % 2 == 0, BLUE, RED)
        return board

    @property
    def positions(self) -> Positions:
        """The positions in the form that predictors need."""
        unfinished = np.zeros(len(self), dtype=bool)
        return Positions(self.size, self.moves[self.played], self.plies, unfinished)

    def game(self, row: int) -> tuple[int, ...]:
        """Moves of one game."""
        return tuple(self.moves[row, : self.plies[row]].tolist())

    def take(self, rows: Indices) -> GameBatch:
        """A batch of the given games."""
        return GameBatch(self.size, self.moves[rows], self.plies[rows])

    def after(self, rows: Indices, cells: Indices) -> GameBatch:
        """Copies of games with one more move: `cells[i]` in game `rows[i]`."""
        moves, plies = self.moves[rows], self.plies[rows]
        moves[np.arange(len(rows)), plies] = cells
        return GameBatch(self.size, moves, plies + 1)


def connected(stones: NDArray[np.int8], colours: NDArray[np.int8], size: int) -> Flags:
    """Whether a colour has connected its two edges, many boards at once.

    Args:
        stones: [B, N*N] boards.
        colours: [B] the colour that is tested, which has made the last move.
    """
    boards = (stones == colours[:, None]).reshape(-1, size, size)
    boards = np.where((colours == RED)[:, None, None], boards.transpose(0, 2, 1), boards)
    # A chain needs a stone in every row, and most boards of a game do not have this.
    possible = np.flatnonzero(boards.any(axis=2).all(axis=1))
    done = np.zeros(len(boards), dtype=bool)
    if len(possible):
        done[possible] = top_to_bottom(boards[possible])
    return done


def mover_colour(plies: Indices) -> NDArray[np.int8]:
    """[G] colour to move when `plies` stones lie on the board."""
    return np.where(plies % 2 == 0, BLUE, RED).astype(np.int8)


def highest(score: NDArray[np.float32]) -> Indices:
    """[G] cell of the highest score in [G, N*N]; the first one if several are equal."""
    cells: Indices = score.argmax(axis=1)
    return cells
