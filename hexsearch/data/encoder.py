"""How a position becomes planes: the one object that training, evaluation and predict share.

`absolute`: planes blue, red, side to move (0.0 Blue, 1.0 Red, 0.5 once the game is over).
`mover`: planes own and other, reflected and recoloured where Red is to move, so that whoever is
to move connects top to bottom. A finished position has no mover; it is shown from either side.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hexsearch.game.symmetry import symmetry_cells

ENCODER_VERSION = 1  # raise it when the same position would become other planes

Indices = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class PositionEncoder:
    """Positions of one board size to planes [B, planes, N, N]."""

    size: int
    perspective: Literal["absolute", "mover"]

    @property
    def planes(self) -> int:
        """Channels of the encoding."""
        return 3 if self.perspective == "absolute" else 2

    def choose_symmetries(self, turn: Flags, red_to_move: Flags) -> NDArray[np.int64]:
        """[B] symmetries that show each position from the perspective's side.

        Args:
            turn: [B] give each position a half turn as well.
            red_to_move: [B] who moves; for a finished position, from whose side to show it.
        """
        symmetries = turn.astype(np.int64)
        if self.perspective == "mover":
            symmetries += 2 * red_to_move
        return symmetries

    def encode(
        self,
        cells: Indices,
        plies: Indices,
        symmetries: NDArray[np.int64],
        finished: Flags,
    ) -> NDArray[np.float32]:
        """Planes of positions given by the moves that led to them.

        Args:
            cells: [sum of plies] the moves of all positions, one position after the other.
            plies: [B] how many of them belong to each position.
            symmetries: [B] under which each is shown; see hexsearch.game.symmetry.
            finished: [B] whether the game is over, so that nobody is to move.
        """
        batch, area = len(plies), self.size * self.size
        planes = np.zeros((batch, self.planes, self.size, self.size), dtype=np.float32)
        # Work is per stone, so everything that is constant for a position is folded into one
        # number first and repeated once.
        swaps = symmetries >= 2
        base = np.arange(batch, dtype=np.int64) * (self.planes * area)
        starts = np.cumsum(plies) - plies
        red = (np.arange(len(cells)) - np.repeat(starts, plies)) & 1
        shown_red = red ^ np.repeat(swaps, plies)
        table = symmetry_cells(self.size).reshape(-1)
        shown = table[np.repeat(symmetries * area, plies) + cells]
        planes.reshape(-1)[np.repeat(base, plies) + shown_red * area + shown] = 1.0
        if self.perspective == "absolute":
            mover = ((plies & 1) ^ swaps).astype(np.float32)
            planes[:, 2] = np.where(finished, np.float32(0.5), mover)[:, None, None]
        return planes

    def outcome(self, red_won: Flags, symmetries: NDArray[np.int64]) -> NDArray[np.float32]:
        """[B] 1.0 or 0.0; `absolute`: the side shown as Red wins, `mover`: the mover wins."""
        shown_red_won = red_won ^ (symmetries >= 2)
        if self.perspective == "mover":
            shown_red_won = ~shown_red_won
        return shown_red_won.astype(np.float32)

    def complement(self, symmetries: NDArray[np.int64]) -> Flags:
        """[B] where `win_prob_red` is 1 minus the probability in the network's perspective."""
        swaps = symmetries >= 2
        return ~swaps if self.perspective == "mover" else swaps
