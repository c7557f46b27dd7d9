"""Checks whether the planes of a user's encoder show the boards that it is given."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from hexsearch.doctor.findings import Finding
from hexsearch.doctor.foreign import ForeignNetwork
from hexsearch.doctor.hypotheses.boards.plane_frames import broken_frame, odd_frames
from hexsearch.doctor.hypotheses.boards.shown_stones import are_reshaped, hidden_stones, lost_colour
from hexsearch.doctor.networks import Observed, take

Floats = NDArray[np.float64]
Board = NDArray[np.int8]
Ints = NDArray[np.int64]
Wrong = tuple[str, str, str]  # what was seen, the cause, and what to do
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
    for wrong in (_complement, _odd, _broken, _reshaped, _without_a_colour, _hidden):
        found = wrong(planes, positions.stones, to_move)
        if found is None:
            continue
        told, cause, remedy = found
        # A network that knows finished boards may have planes that lie apart on purpose.
        mild = wrong is _odd and knows_the_end(observed)
        evidence = f"on {len(going)} positions of these games {told}"
        severity = Finding.warning if mild else Finding.error
        yield severity("encoder", evidence, cause, remedy, root="encoder")
        return


def _complement(planes: Floats, stones: Board, to_move: Ints) -> Wrong | None:
    """A plane that holds every cell without a stone of one side, and none of the other side's.

    Planes are known by their numbers of stones, so the board may be turned.
    """
    flat = planes.reshape(len(planes), planes.shape[1], -1)
    sums, area = flat.sum(axis=2), flat.shape[2]
    binary = ((flat == 0) | (flat == 1)).all(axis=(0, 2))
    sides = {
        "the side to move": (to_move, "the other side"),
        "the other side": (-to_move, "the side to move"),
        "Blue": (np.full_like(to_move, -1), "Red"),
        "Red": (np.full_like(to_move, 1), "Blue"),
    }

    def shows(count: Ints) -> list[int]:
        return [c for c in range(flat.shape[1]) if binary[c] and np.array_equal(sums[:, c], count)]

    if shows((stones == 0).sum(axis=(1, 2))):
        return None
    for shown, (side, hidden) in sides.items():
        own = stones == side[:, None, None]
        if shows((stones == -side[:, None, None]).sum(axis=(1, 2))):
            continue
        for first in shows(own.sum(axis=(1, 2))):
            for second in shows(area - own.sum(axis=(1, 2))):
                if not np.array_equal(flat[:, second], 1 - flat[:, first]):
                    continue
                return (
                    f"plane {second} is 1 wherever plane {first}, the stones of {shown}, is 0, and "
                    f"no plane shows the stones of {hidden}",
                    f"plane {second}, which should show the stones of {hidden}, holds every cell "
                    f"that is no stone of {shown}: free cells count as stones of {hidden} (~mine, "
                    "!= in place of ==), so the network cannot tell them apart",
                    "compare with the other side's number: stones == -to_move; then train again",
                )
    return None


def _odd(planes: Floats, stones: Board, to_move: Ints) -> Wrong | None:
    odd = odd_frames(planes, stones, to_move)
    if not odd:
        return None
    return (
        odd,
        f"planes of one board do not lie alike: {odd} (one colour's stones are transposed or "
        "turned and the other's are not), so stones of both colours are shown on wrong cells to "
        "each other, and can meet on one cell",
        "turn the board once, before it is split into planes: stones = -stones.T where the board "
        "is shown from Red's side; then train again",
    )


def _broken(planes: Floats, stones: Board, to_move: Ints) -> Wrong | None:
    broken = broken_frame(planes, stones, to_move)
    if not broken:
        return None
    return (
        broken,
        f"{broken}: cells that touch on the board do not touch there, nor on the boards of the "
        "other side, so the network sees two different games",
        "show the board from Red's side by exchanging rows and columns (stones = -stones.T), not "
        "by a quarter turn or a flip; then train again",
    )


def _reshaped(planes: Floats, stones: Board, to_move: Ints) -> Wrong | None:
    if not are_reshaped(planes, stones, to_move):
        return None
    return (
        "no plane shows the stones of a colour, and the same numbers in the order [rows, columns, "
        "planes] do",
        "planes with the channel last, [N, N, C], were reshaped to [C, N, N] and not permuted: "
        "each plane mixes the cells of all planes, and stones do not lie where they should",
        "planes.transpose(2, 0, 1) in numpy, or planes.permute(2, 0, 1) in torch, in place of "
        "reshape or view; then train again",
    )


def _without_a_colour(planes: Floats, stones: Board, to_move: Ints) -> Wrong | None:
    whose = lost_colour(planes, stones, to_move)
    if not whose:
        return None
    return (
        f"all stones can be read from the planes but those of {whose}, whose cells look like free "
        "ones",
        f"the stones of {whose} are missing on the planes: they look like free cells (a comparison "
        "that is never true, such as == -1 on unsigned numbers; a plane that is filled twice with "
        "one colour; a division that makes -1 or 1 a 0)",
        "fill a plane, or a sign, for each colour; then train again",
    )


def _hidden(planes: Floats, stones: Board, to_move: Ints) -> Wrong | None:
    told = hidden_stones(planes, stones, to_move)
    if not told:
        return None
    return (
        told,
        "the encoder shows another board than it is given: stones are added or missing on its "
        f"planes ({told})",
        "fill the planes from the stones that encode() gets, and from nothing else",
    )


def knows_the_end(observed: Observed) -> bool:
    """Whether nearly all answers on finished boards are right."""
    evaluation = observed.evaluation
    called = (evaluation.win_prob_red > 0.5) == (evaluation.red_won == 1)
    return bool(evaluation.final.any()) and float(called[evaluation.final].mean()) > _KNOWS
