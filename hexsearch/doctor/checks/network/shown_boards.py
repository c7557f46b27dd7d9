"""Checks whether the planes of a user's encoder show the boards that it is given."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from hexsearch.doctor.findings import Finding
from hexsearch.doctor.foreign import ForeignNetwork
from hexsearch.doctor.hypotheses.boards.plane_frames import broken_frame, odd_frames
from hexsearch.doctor.hypotheses.boards.shown_stones import are_reshaped, hidden_stones, lost_colour
from hexsearch.doctor.networks import Observed, take

_KNOWS = 0.95  # share of right answers on finished boards of a network that reads them
_LOOKED_AT = 200  # positions of games whose planes are compared with the stones


def shown_wrongly(foreign: ForeignNetwork, observed: Observed) -> Iterator[Finding]:
    """Report an encoder that shows other stones than those on the board."""
    going = np.flatnonzero(~observed.positions.finished)[:_LOOKED_AT]
    if not len(going):
        return
    positions = take(observed.positions, going)
    planes = foreign.planes(positions).double().numpy()
    to_move = positions.to_move.astype(np.int64)
    if odd := odd_frames(planes, positions.stones, to_move):
        yield Finding(
            "encoder",
            # A network that knows finished boards may have such planes on purpose.
            "warning" if knows_the_end(observed) else "error",
            f"on {len(going)} positions of these games, {odd}",
            f"planes of one board do not lie alike: {odd} (one colour's stones are transposed or "
            "turned and the other's are not), so stones of both colours are shown on wrong cells "
            "to each other, and can meet on one cell",
            "turn the board once, before it is split into planes: stones = -stones.T where the "
            "board is shown from Red's side; then train again",
            root="encoder",
        )
        return
    if broken := broken_frame(planes, positions.stones, to_move):
        yield Finding.error(
            "encoder",
            f"on {len(going)} positions of these games, {broken}",
            f"{broken}: cells that touch on the board do not touch there, nor on the boards of the "
            "other side, so the network sees two different games",
            "show the board from Red's side by exchanging rows and columns (stones = -stones.T), "
            "not by a quarter turn or a flip; then train again",
            root="encoder",
        )
        return
    if are_reshaped(planes, positions.stones, to_move):
        yield Finding.error(
            "encoder",
            f"on {len(going)} positions of these games no plane shows the stones of a colour, and "
            "the same numbers in the order [rows, columns, planes] do",
            "planes with the channel last, [N, N, C], were reshaped to [C, N, N] and not permuted: "
            "each plane mixes the cells of all planes, and stones do not lie where they should",
            "planes.transpose(2, 0, 1) in numpy, or planes.permute(2, 0, 1) in torch, in place of "
            "reshape or view; then train again",
            root="encoder",
        )
        return
    if whose := lost_colour(planes, positions.stones, to_move):
        yield Finding.error(
            "encoder",
            f"on {len(going)} positions of these games all stones can be read from the planes but "
            f"those of {whose}, whose cells look like free ones",
            f"the stones of {whose} are missing on the planes: they look like free cells (a "
            "comparison that is never true, such as == -1 on unsigned numbers; a plane that is "
            "filled twice with one colour; a division that makes -1 or 1 a 0)",
            "fill a plane, or a sign, for each colour; then train again",
            root="encoder",
        )
        return
    told = hidden_stones(planes, positions.stones, to_move)
    if told:
        yield Finding.error(
            "encoder",
            f"on {len(going)} positions of these games {told}",
            "the encoder shows another board than it is given: stones are added or missing on its "
            f"planes ({told})",
            "fill the planes from the stones that encode() gets, and from nothing else",
            root="encoder",
        )


def knows_the_end(observed: Observed) -> bool:
    """Whether nearly all answers on finished boards are right."""
    evaluation = observed.evaluation
    called = (evaluation.win_prob_red > 0.5) == (evaluation.red_won == 1)
    return bool(evaluation.final.any()) and float(called[evaluation.final].mean()) > _KNOWS
