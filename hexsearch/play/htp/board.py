"""The board of a Hex Text Protocol session: any colour may move at any time, and moves are undone.

HTP's black connects top to bottom and moves first, like our Blue; white is our Red. After
`swap-pieces` the first stone is reflected and belongs to white. We keep the position as it was,
and reflect and recolour all moves of the protocol, so that Blue has moved first.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from hexsearch.analysis.boards import moves_of_board
from hexsearch.game.board import BLUE, RED, Stones, cell_name, parse_cell, winner
from hexsearch.game.symmetry import LONG_DIAGONAL, symmetry_cells, transform_stones

HTP_NAMES = {BLUE: "black", RED: "white"}
_SWAPS = ("swap-pieces", "swap-sides")


@dataclass
class HtpBoard:
    """Stones in the order of play, each with its colour."""

    size: int
    history: list[tuple[str, int]] = field(default_factory=list)  # moves as HTP writes them, colour

    def clear(self, size: int) -> None:
        """An empty board."""
        self.size, self.history = size, []

    @property
    def swapped(self) -> bool:
        """Whether the first stone was swapped."""
        return any(move == "swap-pieces" for move, _ in self.history)

    @property
    def stones(self) -> Stones:
        """[N, N] board in the orientation of the protocol."""
        board = np.zeros((self.size, self.size), dtype=np.int8)
        for move, colour in self.history:
            if move == "swap-pieces":
                board = transform_stones(board, LONG_DIAGONAL)
            elif move not in _SWAPS:
                board.reshape(-1)[parse_cell(move, self.size)] = colour
        return board

    @property
    def winner(self) -> int:
        """The colour that has connected, or 0."""
        return winner(self.stones)

    @property
    def to_move(self) -> int:
        """The colour to move if the colours alternate."""
        return -self.history[-1][1] if self.history else BLUE

    def play(self, move: str, colour: int) -> None:
        """Put a stone, or swap.

        Raises:
            ValueError: the move is illegal; says why.
        """
        if move in _SWAPS:
            if len(self.history) != 1 or self.history[0][1] != -colour:
                raise ValueError(f"{move} is only for the answer to the first move")
        else:
            cell = parse_cell(move, self.size)
            if self.stones.reshape(-1)[cell]:
                raise ValueError(f"{move} is taken")
            if won := self.winner:
                raise ValueError(f"{HTP_NAMES[won]} has connected: the game is over")
        self.history.append((move, colour))

    def undo(self) -> None:
        """Undo the last move.

        Raises:
            ValueError: there is no move.
        """
        if not self.history:
            raise ValueError("no move to take back")
        self.history.pop()

    def moves_for(self, colour: int) -> tuple[tuple[int, ...], bool]:
        """Moves, alternating from Blue, to the position in which `colour` moves next.

        Returns:
            The moves, and whether the position is reflected, so that cells must be reflected back.
        Raises:
            ValueError: a network cannot evaluate it, since a colour has too few stones.
        """
        reflected = self.swapped
        stones, mover = self.stones, colour
        if reflected:
            stones, mover = transform_stones(stones, LONG_DIAGONAL), -colour
        try:
            return moves_of_board(stones, mover), reflected
        except ValueError as error:
            lacking = BLUE if mover == BLUE else RED
            name = HTP_NAMES[-lacking if not reflected else lacking]
            raise ValueError(f"{name} would have to have moved first") from error

    def outward(self, cell: int, reflected: bool) -> str:
        """Name of a cell of `moves_for` in the orientation of the protocol."""
        seen = int(symmetry_cells(self.size)[LONG_DIAGONAL][cell]) if reflected else cell
        return cell_name(seen, self.size)

    def draw(self) -> str:
        """Rows of letters, each shifted by half a cell: B, W, or a dot."""
        letters = {0: ".", **{colour: name[0].upper() for colour, name in HTP_NAMES.items()}}
        head = "  " + " ".join(chr(ord("a") + column) for column in range(self.size))
        rows = [
            f"{' ' * row}{row + 1:>2} " + " ".join(letters[int(stone)] for stone in stones)
            for row, stones in enumerate(self.stones)
        ]
        return "\n".join([head, *rows])
