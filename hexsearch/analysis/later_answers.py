"""What a network thinks of the later positions of games, as search values to train on.

The result of a game says little about its early positions: an engine that errs later changes it.
What a network answers a few plies later is less noisy. The value before ply t is the mean of its
answers at t + 1, t + 2, ..., whose weights fall by `decay` from ply to ply, and of the result,
which has the weight that is left: a lambda-return (Sutton, Machine Learning 3, 1988).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from hexsearch.analysis.predictor import Predictor
from hexsearch.analysis.value_analyzer import ValueHeadAnalyzer
from hexsearch.config.data import StagesConfig
from hexsearch.data.archive import GameArchive, build_archive
from hexsearch.game.board import RED
from hexsearch.game.record import Game
from hexsearch.game.search_values import UNKNOWN


def annotated(
    archive: GameArchive,
    predictor: Predictor,
    decay: float,
    say: Callable[[str], None] = lambda line: None,
) -> GameArchive:
    """The same games with search values; those that they had are replaced.

    Args:
        decay: from 0, the next answer alone, to 1, the result alone.
        say: called now and then with how many positions have been answered.
    Raises:
        GamesError: the games are not for the network's board.
    """
    every, none = np.arange(len(archive), dtype=np.int64), np.zeros(0, dtype=np.int64)
    analyzer = ValueHeadAnalyzer(predictor, archive, every, none, StagesConfig(), say=say)
    answers = analyzer.evaluate().win_prob_red
    ends = np.cumsum(archive.lengths - archive.setups + 1)  # positions begin after a set-up

    def games() -> Iterator[Game]:
        for index, end in enumerate(ends):
            game = archive.game(index)
            own = answers[end - (len(game.moves) - game.setup) - 1 : end]
            values = lambda_returns(own, float(game.winner == RED), decay)
            percent = np.full(len(game.moves), UNKNOWN, dtype=np.uint8)
            percent[game.setup :] = np.rint(100.0 * values)
            yield replace(game, search_values=percent.tobytes())

    return build_archive(games())


def lambda_returns(
    answers: NDArray[np.float64], result: float, decay: float
) -> NDArray[np.float64]:
    """[L] values before each move of a game of L moves.

    Args:
        answers: [L + 1] win probability of Red at each ply. The last one is not used: the result
            is known there.
        result: 1.0 if Red won, else 0.0.
    """
    later = np.append(answers[1:-1], result)
    values = np.empty(len(later))
    value = result
    for ply in range(len(later) - 1, -1, -1):
        value = values[ply] = (1.0 - decay) * later[ply] + decay * value
    return values
