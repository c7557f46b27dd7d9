"""Boards and sides to move that a user's encoder is given otherwise than they are.

Where answers are better so, the encoder leaves out a step that training had: it does not exchange
the colours, or turn the board, for the side to move, or does so for the other side.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hexsearch.doctor.foreign import ForeignNetwork
from hexsearch.doctor.hypotheses.edits.edit import Edit, having

Board = NDArray[np.int8]
BOARDS = "boards"  # family
_CHANGES: dict[str, Callable[[Board], Board]] = {
    "the colours exchanged": lambda stones: -stones,
    "rows and columns exchanged": lambda stones: stones.T,
    "rows and columns and the colours exchanged": lambda stones: -stones.T,
    "a half turn": lambda stones: stones[::-1, ::-1],
}
_SIDES = {"Red": (1,), "Blue": (-1, 0), "either side": (1, -1, 0)}
_OTHERS: dict[str, Callable[[int], int]] = {
    "the other side to move": lambda side: -side,
    "Red to move at all positions": lambda side: 1,
    "Blue to move at all positions": lambda side: -1,
}


def board_edits(foreign: ForeignNetwork) -> Iterator[Edit]:
    """Other boards for one side to move or both, and another side to move."""
    encode = foreign.encoder
    for who, sides in _SIDES.items():
        for change, changed in _CHANGES.items():
            yield _edit(
                foreign,
                f"encode() given boards with {change} where {who} is to move",
                f"where {who} is to move, planes show another board than in training: training had "
                f"{change} there, beside what encode() does",
                partial(_of_other_board, encode, sides, changed),
            )
    for words, other in _OTHERS.items():
        yield _edit(
            foreign,
            f"encode() given {words}",
            f"planes show another side to move than in training: the answers are right if encode() "
            f"is given {words}",
            partial(_of_other_side, encode, other),
        )


def _edit(
    foreign: ForeignNetwork, words: str, cause: str, encode: Callable[[Board, int], Any]
) -> Edit:
    remedy = "let inference use the function that encoded positions in training"
    return Edit(
        BOARDS,
        words,
        cause,
        remedy,
        partial(having, [foreign], encoder=encode),
        encodes=True,
    )


def _of_other_board(
    encode: Callable[[Board, int], Any],
    sides: tuple[int, ...],
    change: Callable[[Board], Board],
    stones: Board,
    to_move: int,
) -> Any:
    shown = np.ascontiguousarray(change(stones)) if to_move in sides else stones
    return encode(shown, to_move)


def _of_other_side(
    encode: Callable[[Board, int], Any], other: Callable[[int], int], stones: Board, to_move: int
) -> Any:
    return encode(stones, other(to_move))
