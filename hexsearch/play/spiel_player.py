"""OpenSpiel's MCTS with random rollouts, a reference player of modest strength."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from hexsearch.errors import HexsearchError
from hexsearch.play.game_batch import GameBatch, Indices
from hexsearch.play.player import Seeds, move_generators

_TREE_MB = 1000
_UCT_C = 0.5  # as in `games generate`: with few playouts OpenSpiel's default of 2 is weaker


@dataclass
class SpielPlayer:
    """MCTS with a number of playouts for each move. Every move begins a new tree."""

    name: str
    playouts: int
    size: None = None

    def choose(self, batch: GameBatch, seeds: Seeds) -> Indices:
        """The move of each game. The searches run one after the other."""
        pyspiel = import_pyspiel()
        # Its first player connects top to bottom, as our Blue does, and it numbers cells as we do.
        game = pyspiel.load_game(f"hex(board_size={batch.size})")
        generators = move_generators(seeds, batch.plies)
        cells = []
        for row, generator in enumerate(generators):
            state = game.new_initial_state()
            for cell in batch.game(row):
                state.apply_action(cell)
            rollouts, search = (int(seed) for seed in generator.integers(2**31, size=2))
            bot = pyspiel.MCTSBot(
                game,
                pyspiel.RandomRolloutEvaluator(1, rollouts),
                _UCT_C,
                self.playouts,
                _TREE_MB,
                True,  # back up proven wins
                search,
                False,
            )
            cells.append(int(bot.step(state)))
        return np.array(cells, dtype=np.int64)

    def win_prob(self, batch: GameBatch) -> None:
        """Do nothing: this player has no win probabilities."""

    def close(self) -> None:
        """Do nothing: there are no resources."""


def import_pyspiel() -> Any:
    """OpenSpiel, which is an optional dependency.

    Raises:
        HexsearchError: it is not installed; says how to install it.
    """
    try:
        import pyspiel
    except ImportError as error:
        raise HexsearchError(
            "MCTS with random rollouts needs OpenSpiel: pip install 'hexsearch[selfplay]'"
        ) from error
    return pyspiel
