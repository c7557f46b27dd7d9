"""Search trees of many games in arrays. One call of the network evaluates a leaf of each tree.

A row is one node of one tree: `game * nodes + node`. An edge is a row and a cell. Values are win
probabilities of the side to move at the node.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hexsearch.play.game_batch import (
    Flags,
    GameBatch,
    Indices,
    connected,
    highest,
    mover_colour,
)

Floats = NDArray[np.float32]

_UNEXPANDED, _WON = -1, -2  # edges without a child: not visited yet; the move connects
_TAKEN = np.float32(-1e9)  # prior of cells that hold a stone, so that they are never chosen


@dataclass(frozen=True)
class Evaluation:
    """Answers of a network for [B] unfinished positions.

    Attributes:
        policy: [B, N*N] move probabilities.
        win_prob: [B] probability that the side to move wins.
    """

    policy: Floats
    win_prob: Floats


Evaluate = Callable[[GameBatch], Evaluation]


@dataclass
class _Path:
    """One step of the descent, for the games that have reached it."""

    games: Indices
    rows: Indices
    cells: Indices


class Trees:
    """One tree for each game of a batch.

    Args:
        nodes: largest number of positions of a tree, including the root.
        exploration: weight of the prior in PUCT.
        pessimism: difference by which an unvisited move is assumed to be worse than its parent.
    """

    def __init__(
        self,
        batch: GameBatch,
        evaluate: Evaluate,
        nodes: int,
        exploration: float,
        pessimism: float,
    ) -> None:
        self.batch = batch
        self._evaluate = evaluate
        self._exploration = np.float32(exploration)
        self._pessimism = np.float32(pessimism)
        rows, cells = len(batch) * nodes, batch.size**2
        # A row is filled when its node is created, so the arrays need not be cleared.
        self.prior = np.empty((rows, cells), dtype=np.float32)
        self.visits = np.empty((rows, cells), dtype=np.float32)
        self.value = np.empty((rows, cells), dtype=np.float32)
        self._child = np.empty((rows, cells), dtype=np.int32)
        self._work = np.empty((2, len(batch), cells), dtype=np.float32)
        self._total = np.zeros(rows, dtype=np.float32)
        self.roots: Indices = np.arange(len(batch)) * nodes
        self._next = self.roots + 1
        self._moves = batch.moves.copy()
        self._stones = batch.stones
        evaluation = evaluate(batch)
        self.root_win_prob = evaluation.win_prob
        self._expand(self.roots, self._stones, evaluation)

    def simulate(self, cells: Indices) -> None:
        """Visit the root's moves `cells` [G]: descend, evaluate the leaves, back values up."""
        stones = self._stones.copy()
        path, leaf_rows, leaf_cells, plies, known = self._descend(cells, stones)
        movers = mover_colour(plies - 1)
        won = known | connected(stones, movers, self.batch.size)
        # In a won leaf, the side that made the last move has win probability 1.
        mover_wins = np.ones(len(plies), dtype=np.float32)
        self._child[leaf_rows[won], leaf_cells[won]] = _WON
        open_games = np.flatnonzero(~won)
        if len(open_games):
            leaves = GameBatch(self.batch.size, self._moves[open_games], plies[open_games])
            evaluation = self._evaluate(leaves)
            mover_wins[open_games] = 1.0 - evaluation.win_prob
            new = self._next[open_games]
            self._next[open_games] += 1
            self._child[leaf_rows[open_games], leaf_cells[open_games]] = new
            self._expand(new, stones[open_games], evaluation)
        self._back_up(path, mover_wins, plies)

    def _descend(
        self, cells: Indices, stones: NDArray[np.int8]
    ) -> tuple[list[_Path], Indices, Indices, Indices, Flags]:
        """Descend from the roots to edges without a child, and put the moves on `stones`.

        Returns:
            The path, rows and cells [G] of the last edges, plies [G] after them, and whether
            these moves are known to win.
        """
        games = np.arange(len(self.batch))
        plies = self.batch.plies.copy()
        leaf_rows, leaf_cells = np.empty_like(plies), np.empty_like(plies)
        known = np.zeros(len(games), dtype=bool)
        rows, path = self.roots, []
        while len(games):
            path.append(_Path(games, rows, cells))
            here = plies[games]
            stones[games, cells] = mover_colour(here)
            self._moves[games, here] = cells
            plies[games] += 1
            child = self._child[rows, cells]
            ends = child < 0
            at = games[ends]
            leaf_rows[at], leaf_cells[at] = rows[ends], cells[ends]
            known[at] = child[ends] == _WON
            games, rows = games[~ends], child[~ends].astype(np.int64)
            cells = self._choose(rows)
        return path, leaf_rows, leaf_cells, plies, known

    def _choose(self, rows: Indices) -> Indices:
        """[B] the move with the highest PUCT score (Rosin, 2011; Silver et al., 2017)."""
        weight = self._exploration * np.sqrt(self._total[rows])
        # Memory that is used again: fresh arrays of this size would cost a page fault each 4 KiB.
        # `take` is faster than to index by rows; with `clip` it writes into the array at once.
        score, other = self._work[0, : len(rows)], self._work[1, : len(rows)]
        np.take(self.prior, rows, axis=0, out=score, mode="clip")
        score *= weight[:, None]
        np.take(self.visits, rows, axis=0, out=other, mode="clip")
        other += 1.0
        score /= other
        np.take(self.value, rows, axis=0, out=other, mode="clip")
        score += other
        return highest(score)

    def _expand(self, rows: Indices, stones: NDArray[np.int8], evaluation: Evaluation) -> None:
        """Fill the nodes `rows`, whose boards are `stones` [B, N*N]."""
        self.prior[rows] = np.where(stones == 0, evaluation.policy, _TAKEN)
        self.visits[rows] = 0.0
        self.value[rows] = (evaluation.win_prob - self._pessimism)[:, None]
        self._child[rows] = _UNEXPANDED
        self._total[rows] = 1.0

    def _back_up(self, path: list[_Path], mover_wins: Floats, plies: Indices) -> None:
        """Add a leaf's value to every edge of its path, as that of the side that moved there.

        Args:
            mover_wins: [G] win probability of the side that made the last move.
            plies: [G] plies after that move.
        """
        # No edge is met twice, since each tree has its own rows and a path never returns to one.
        games, rows, cells = (
            np.concatenate([getattr(step, name) for step in path])
            for name in ("games", "rows", "cells")
        )
        depths = np.repeat(np.arange(len(path)), [len(step.games) for step in path])
        same = (plies[games] - self.batch.plies[games] - 1 - depths) % 2 == 0
        leaf = mover_wins[games]
        result = np.where(same, leaf, 1.0 - leaf)
        self._total[rows] += 1.0
        edges = rows * self.batch.size**2 + cells
        visits, value = self.visits.reshape(-1), self.value.reshape(-1)
        count = visits[edges] + 1.0
        visits[edges] = count
        mean = value[edges]
        # The first visit replaces the assumed value of an unvisited move.
        value[edges] = mean + (result - mean) / count

    def principal_variation(self, game: int, first: int) -> tuple[int, ...]:
        """The most visited line of one game that begins with a move of the root."""
        line, row, cell = [], int(self.roots[game]), first
        while True:
            line.append(cell)
            row = int(self._child[row, cell])
            if row < 0 or not self.visits[row].any():
                return tuple(line)
            cell = int(self.visits[row].argmax())
