"""What answers do when the colours of a board are exchanged.

A board that is reflected in its long diagonal, with the colours and the side to move exchanged, is
the same position for the other colour: Red's chance there is 1 - p.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from hexsearch.analysis.boards import Positions
from hexsearch.analysis.value_analyzer import clustered_error
from hexsearch.doctor.foreign import ForeignNetwork
from hexsearch.doctor.networks import Observed, take
from hexsearch.errors import HexsearchError

_POSITIONS = 400
_ALIKE = -0.6  # correlation that no sound network has
_SPREAD = 0.02  # standard deviation of answers that tell something
_EQUAL = 1e-4  # largest difference of equal answers
# Of results that are known by heart: part of a game that counts as its beginning, games that are
# needed, value losses there in shares of that of a constant, and standard errors between them.
_BEGINNING, _GAMES, _KNOWN, _UNKNOWN, _SURE = 0.3, 30, 0.85, 0.95, 4.0


def blind_to_exchange(foreign: ForeignNetwork | None, observed: Observed) -> str:
    """The cause if a board and its reflection with exchanged colours get one answer; else empty.

    Hex has this symmetry, with 1 - p for p: 12 sound networks had correlations of p and 1 - p from
    0.15 to 1.
    """
    going = np.flatnonzero(~observed.evaluation.final)
    if foreign is None or not len(going):
        return ""
    rows = going[np.linspace(0, len(going) - 1, min(len(going), _POSITIONS)).astype(np.int64)]
    positions = take(observed.positions, rows)
    own = observed.evaluation.win_prob_red[rows]
    exchanged = _exchanged(foreign, positions)
    if exchanged is None or min(float(own.std()), float(exchanged.std())) < _SPREAD:
        return ""
    together = float(np.corrcoef(own, 1 - exchanged)[0, 1])
    if together > _ALIKE:
        return ""
    return (
        "a board and its reflection with exchanged colours get nearly the same answer (correlation "
        f"of p and 1 - p {together:.2f}), where it should be one minus it: in training colours "
        "were exchanged at random (an augmentation) and the value was left as it was, so that half "
        "of the labels belong to the other colour"
    )


def same_for_both(foreign: ForeignNetwork, observed: Observed) -> str:
    """The evidence that both colours get exactly one answer on all boards; else empty."""
    rows = np.flatnonzero(~observed.evaluation.final)[:_POSITIONS]
    if not len(rows):
        return ""
    own = observed.evaluation.win_prob_red[rows]
    exchanged = _exchanged(foreign, take(observed.positions, rows))
    if (
        exchanged is None
        or float(own.std()) < _SPREAD
        or float(np.abs(own - exchanged).max()) > _EQUAL
    ):
        return ""
    return (
        f"on {len(rows)} boards the answer stays the same, within {_EQUAL:g}, when the board is "
        "reflected and colours and side to move are exchanged; Red's chance would be 1 - p"
    )


def by_heart(foreign: ForeignNetwork, observed: Observed, lengths: NDArray[np.int64]) -> str:
    """The evidence that the results of these very games are known; else empty.

    How a game ends can hardly be told from its beginning. Where it is, what was learnt must hold
    for the exchanged colours, too, unless it is the game itself that is recognised.

    Args:
        lengths: [P] plies of the game of each position.
    """
    evaluation = observed.evaluation
    rows = np.flatnonzero((evaluation.ply < _BEGINNING * lengths) & ~evaluation.final)
    won = evaluation.red_won[rows].astype(float)
    games = np.unique(evaluation.game[rows])
    if len(games) < _GAMES or not 0.2 < won.mean() < 0.8:
        return ""
    rows = rows[np.linspace(0, len(rows) - 1, min(len(rows), 4 * _POSITIONS)).astype(np.int64)]
    won, game = evaluation.red_won[rows].astype(float), evaluation.game[rows]
    constant = float(won.var())
    own = np.square(evaluation.win_prob_red[rows] - won)
    if own.mean() > _KNOWN * constant:
        return ""
    exchanged = _exchanged(foreign, take(observed.positions, rows))
    if exchanged is None:
        return ""
    other = np.square(1.0 - exchanged - won)
    if other.mean() < _UNKNOWN * constant or (other - own).mean() < _SURE * clustered_error(
        other - own, game
    ):
        return ""
    return (
        f"in the first {_BEGINNING:.0%} of {len(games)} games the value loss is {own.mean():.3f}, "
        f"and {other.mean():.3f} on the same boards with exchanged colours; that of a constant is "
        f"{constant:.3f}"
    )


def _exchanged(foreign: ForeignNetwork, positions: Positions) -> NDArray[np.float64] | None:
    """[P] answers, Red's, on the reflections with exchanged colours.

    None for an encoder or a network that only takes positions of the games.
    """
    boards = np.ascontiguousarray(-positions.stones.transpose(0, 2, 1))
    movers = -positions.to_move.astype(np.int64)
    try:
        planes = [
            foreign.encoded(board, int(mover)) for board, mover in zip(boards, movers, strict=True)
        ]
        raw = foreign.respond(torch.from_numpy(np.stack(planes)).float())[1]
        answers = foreign.answered(raw, torch.from_numpy(movers))
    except HexsearchError:
        return None
    return answers.double().clamp(0.0, 1.0).numpy()
