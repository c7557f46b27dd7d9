"""Under which symmetries of the board the policy knows the moves of each side.

A sound policy knows the move of a position under one symmetry, which may be another one where the
other side is to move. If it knows two for the same side, part of the moves of training lay on other
cells than the stones, and the network could not tell which part.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hexsearch.doctor.hypotheses.policies import log_softmax
from hexsearch.doctor.hypotheses.squares import moved_cells
from hexsearch.doctor.networks import Observed

_POSITIONS = 400  # positions of each side that are needed
_KNOWN, _SECOND = 0.5, 0.3  # nats above free cells of the best symmetry, and of another one
_SHARE = 0.6  # share of the best gain that another one must have
_TRACE, _BEYOND = 0.1, 1.5  # nats of a trace of a symmetry, and its share of the next one
AS_PLAYED = "as played"


@dataclass(frozen=True)
class Frames:
    """The two symmetries under which moves of one side are likeliest.

    Attributes:
        side: Red or Blue.
        names, gains: symmetries, and how much likelier than a free cell the move is, in nats.
        third: the same for the next one.
    """

    side: str
    names: tuple[str, str]
    gains: tuple[float, float]
    third: float

    @property
    def double(self) -> bool:
        """Whether both are known, no third one is, and one is that of boards as encoders show them.

        A weak policy, which knows where moves are frequent, likes many images of a cell.
        """
        best, second = self.gains
        usual = AS_PLAYED in self.names or "transposed" in self.names
        known = best >= _KNOWN and second >= max(_SECOND, _SHARE * best)
        return usual and known and self.third < _SHARE * second

    def __str__(self) -> str:
        return (
            f"where {self.side} is to move, the cell {self.names[0]} is {self.gains[0]:.2f} nats "
            f"likelier than free cells, and the cell {self.names[1]} {self.gains[1]:.2f} nats"
        )


def are_crossed(frames: list[Frames]) -> bool:
    """Whether each side's second symmetry is the first one of the other, and clearly so.

    A policy whose moves were transposed with their boards for neither side, though boards were for
    one, knows its own moves and a little of the other side's.
    """
    if len(frames) < 2 or set(frames[0].names) != {AS_PLAYED, "transposed"}:
        return False
    clear = all(each.gains[1] > max(_TRACE, _BEYOND * each.third) for each in frames)
    return frames[0].names == frames[1].names[::-1] and clear


def frames_of(observed: Observed, size: int) -> list[Frames]:
    """The frames of both sides; empty if there are too few positions."""
    rows = np.flatnonzero(observed.played >= 0)
    logits = observed.policy[rows].astype(np.float64)
    if logits.shape[1] < size * size:
        return []
    log_p, played = log_softmax(logits[:, : size * size]), observed.played[rows]
    stones = observed.positions.stones.reshape(len(observed.played), -1)[rows]
    red = observed.evaluation.ply[rows] % 2 == 1
    cells = np.arange(size * size)
    moved = {AS_PLAYED: cells, **moved_cells(cells, size)}
    found = []
    for side, chosen in (("Blue", ~red), ("Red", red)):
        some = np.flatnonzero(chosen)
        if len(some) < _POSITIONS:
            return []
        gains = {}
        for name, to in moved.items():
            # [M, N*N] log probability of each cell as played, under this symmetry
            shown = log_p[some][:, to]
            free = stones[some] == 0
            # What the policy prefers in any position, such as the middle, tells nothing of a frame.
            usually = (shown * free).sum(axis=0) / np.maximum(free.sum(axis=0), 1)
            shown = shown - usually
            usual = (shown * free).sum(axis=1) / np.maximum(free.sum(axis=1), 1)
            gains[name] = float((shown[np.arange(len(some)), played[some]] - usual).mean())
        best, second, third = sorted(gains, key=lambda name: -gains[name])[:3]
        found.append(Frames(side, (best, second), (gains[best], gains[second]), gains[third]))
    return found
