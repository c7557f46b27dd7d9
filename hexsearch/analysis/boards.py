"""Positions that do not come from an archive, in the form that the encoder needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hexsearch.errors import GamesError
from hexsearch.game.board import BLUE, RED, Stones, cell_name, colour_to_move, stones_after, winners
from hexsearch.game.formats.trmph import parse_trmph
from hexsearch.game.reading import Reading, settle
from hexsearch.game.record import decided_at

Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Positions:
    """Positions of one board size, as the moves that lead to them.

    Attributes:
        size: board side N.
        cells: [sum of plies] moves of all positions, one position after the other.
        plies: [P] number of moves of each position.
        finished: [P] bool, whether a colour has connected, so that nobody is to move.
        ordered: whether the moves were played in this order. Boards have no order.
    """

    size: int
    cells: Indices
    plies: Indices
    finished: NDArray[np.bool_]
    ordered: bool = True

    def __len__(self) -> int:
        return len(self.plies)

    @property
    def to_move(self) -> NDArray[np.int8]:
        """[P] the colour to move, BLUE or RED; 0 on a finished board."""
        mover = np.where(self.plies % 2 == 0, BLUE, RED)
        return np.where(self.finished, 0, mover).astype(np.int8)

    @property
    def unordered(self) -> Indices:
        """[P] number of first moves whose order is not known: none, or all of a board."""
        return np.zeros_like(self.plies) if self.ordered else self.plies

    @property
    def stones(self) -> Stones:
        """[P, N, N] boards."""
        ends = np.cumsum(self.plies)
        boards = [
            stones_after(self.cells[end - plies : end], self.size)
            for end, plies in zip(ends, self.plies, strict=True)
        ]
        return np.stack(boards) if boards else np.zeros((0, self.size, self.size), dtype=np.int8)


def positions_of_moves(moves: Sequence[Sequence[int]], size: int) -> Positions:
    """Positions after whole move sequences. Replay tells whether a position is finished."""
    plies = np.array([len(sequence) for sequence in moves], dtype=np.int64)
    cells = np.array([cell for sequence in moves for cell in sequence], dtype=np.int64)
    boards = Positions(size, cells, plies, np.zeros(len(plies), dtype=bool)).stones
    return Positions(size, cells, plies, winners(boards) != 0)


def moves_of_board(stones: Stones, to_move: int) -> tuple[int, ...]:
    """A move sequence that the encoder turns into exactly this board with this side to move.

    Planes depend neither on the order nor on the number of moves. If the counts of the colours do
    not fit alternate moves (for example, with a stone that was added to test monotonicity), one
    stone of a colour is played several times.

    Args:
        stones: [N, N] board.
        to_move: BLUE, RED, or 0 for a finished board.
    Raises:
        ValueError: a colour without a stone would have to move.
    """
    flat = stones.reshape(-1)
    blue = np.flatnonzero(flat == BLUE).tolist()
    red = np.flatnonzero(flat == RED).tolist()
    rounds = max(len(blue), len(red))
    if to_move == RED or (to_move == 0 and len(blue) > len(red)):
        # Blue has made the last move, so there is one blue move more than red moves.
        rounds = max(len(blue), len(red) + 1)
        blue_moves, red_moves = rounds, rounds - 1
    else:
        blue_moves = red_moves = rounds
    if (blue_moves and not blue) or (red_moves and not red):
        raise ValueError("a colour without stones must have moved on this board")
    blue += blue[-1:] * (blue_moves - len(blue))
    red += red[-1:] * (red_moves - len(red))
    moves = np.empty(blue_moves + red_moves, dtype=np.int64)
    moves[0::2], moves[1::2] = blue, red
    return tuple(int(cell) for cell in moves)


def positions_of_boards(boards: Stones, to_move: NDArray[np.int8]) -> Positions:
    """Positions of boards [P, N, N] with their sides to move [P]; 0 for a finished board."""
    moves = [
        moves_of_board(board, int(mover)) for board, mover in zip(boards, to_move, strict=True)
    ]
    return Positions(
        size=boards.shape[1],
        cells=np.array([cell for sequence in moves for cell in sequence], dtype=np.int64),
        plies=np.array([len(sequence) for sequence in moves], dtype=np.int64),
        finished=to_move == 0,
        ordered=False,
    )


def read_positions(texts: Sequence[str], size: int) -> Positions:
    """Positions from TRMPH texts. Replay checks each of them.

    Raises:
        GamesError: a text is not a legal position of this size; lists all of them.
    """
    problems, sequences = [], []
    for number, text in enumerate(texts, start=1):
        try:
            # If there is a swap, it is applied as in an import.
            written = settle(parse_trmph(text), Reading())
            fault = _fault(written.moves, written.size, size)
        except ValueError as error:
            fault = str(error)
        if fault:
            problems.append(f"position {number} '{_shortened(text)}': {fault}")
        else:
            sequences.append(written.moves)
    if problems:
        raise GamesError(problems)
    return positions_of_moves(sequences, size)


def mover_name(to_move: int) -> str | None:
    """`blue`, `red`, or None on a finished board."""
    return {BLUE: "blue", RED: "red"}.get(to_move)


def _fault(moves: tuple[int, ...], stated_size: int, size: int) -> str | None:
    if stated_size != size:
        board = f"{stated_size}x{stated_size}"
        return f"is a {board} board, but the network was trained on {size}x{size}"
    seen: set[int] = set()
    for ply, cell in enumerate(moves, start=1):
        if cell in seen:
            return f"move {ply} '{cell_name(cell, size)}' is on an occupied cell"
        seen.add(cell)
    decided = decided_at(moves, size)
    if decided is not None and decided < len(moves):
        colour = "blue" if colour_to_move(decided - 1) == BLUE else "red"
        return f"{colour} connected at move {decided}; delete the moves after it"
    return None


def _shortened(text: str, limit: int = 40) -> str:
    return text if len(text) <= limit else text[: limit - 3] + "..."
