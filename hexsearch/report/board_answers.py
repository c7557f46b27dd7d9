"""A network's answers in the course of one game, for drawings of boards."""

from __future__ import annotations

import numpy as np

from hexsearch.analysis.boards import mover_name, positions_of_moves
from hexsearch.analysis.predictor import Predictor
from hexsearch.data.archive import GameArchive
from hexsearch.report.analysis_pictures import BoardAnswer
from hexsearch.training.metrics import Evaluation

_DRAWN = (0.2, 0.4, 0.6, 0.75, 0.9, 1.0)  # shares of a game at which its boards are drawn


def boards_of_a_game(
    evaluation: Evaluation, predictor: Predictor, archive: GameArchive
) -> list[BoardAnswer]:
    """Positions of the evaluated game with the median length, with the network's answers."""
    games = np.unique(evaluation.game)
    lengths = archive.lengths[games]
    game = archive.game(int(games[np.argsort(lengths, kind="stable")[len(games) // 2]]))
    plies = sorted({round(share * len(game.moves)) for share in _DRAWN})
    positions = positions_of_moves([game.moves[:ply] for ply in plies], game.size)
    answers = predictor.answer(positions)
    return [
        BoardAnswer(
            title=f"{ply} stones, {mover_name(int(positions.to_move[row])) or 'nobody'} to move",
            stones=positions.stones[row],
            win_prob_red=float(answers.win_prob_red[row]),
            policy=answers.policy[row],
            played=game.moves[ply] if ply < len(game.moves) else None,
        )
        for row, ply in enumerate(plies)
    ]
