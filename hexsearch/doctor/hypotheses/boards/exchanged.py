"""Whether answers change sides when the colours of a board are exchanged."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from hexsearch.analysis.boards import Positions
from hexsearch.doctor.foreign import ForeignNetwork
from hexsearch.doctor.networks import Observed, take
from hexsearch.errors import HexsearchError

_POSITIONS = 400
_ALIKE = -0.6  # correlation that no sound network has
_SPREAD = 0.02  # standard deviation of answers that tell something


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
    try:
        exchanged = _exchanged(foreign, positions)
    except HexsearchError:
        return ""
    if min(float(own.std()), float(exchanged.std())) < _SPREAD:
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


def _exchanged(foreign: ForeignNetwork, positions: Positions) -> NDArray[np.float64]:
    """[P] answers, Red's, on the reflections with exchanged colours."""
    boards = np.ascontiguousarray(-positions.stones.transpose(0, 2, 1))
    movers = -positions.to_move.astype(np.int64)
    planes = [
        foreign.encoded(board, int(mover)) for board, mover in zip(boards, movers, strict=True)
    ]
    raw = foreign.respond(torch.from_numpy(np.stack(planes)).float())[1]
    answers: NDArray[np.float64] = foreign.answered(raw, torch.from_numpy(movers)).double().numpy()
    return np.clip(answers, 0.0, 1.0)
