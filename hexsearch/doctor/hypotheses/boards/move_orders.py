"""Other orders of recorded moves, judged by the rule that a game ends with its first connection."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from hexsearch.data.archive import GameArchive
from hexsearch.game.board import winners

_LOOKED_AT = 150  # games that are read in other orders
_FEW, _SHORT = 20, 6  # games that are needed, and moves that each must have
_FITS, _CONTRAST = 0.9, 0.4  # share of games that end with a connection, and the gain in it
Games = NDArray[np.int64]
Cells = NDArray[np.int64]

ORDERS: dict[str, Callable[[Cells], Cells]] = {
    "from the last to the first (the order of moves is reversed)": lambda m: m[::-1],
    "with the two moves of each turn exchanged": lambda m: m[_paired(len(m))],
    "with the last move at the beginning (rotated by one)": lambda m: np.roll(m, -1),
    "with the first move at the end (rotated by one)": lambda m: np.roll(m, 1),
    "first those of one colour, then those of the other": lambda m: m[_interleaved(len(m))],
    "with the second move before the first": lambda m: np.concatenate([m[1::-1], m[2:]]),
}


def _paired(count: int) -> Cells:
    index = np.arange(count)
    other = index ^ 1
    return np.where(other < count, other, index)


def _interleaved(count: int) -> Cells:
    """Where each move stands if the record has all moves of the first mover, then the others."""
    half = (count + 1) // 2
    index = np.arange(count)
    return np.where(index % 2 == 0, index // 2, half + index // 2)


def other_order(archive: GameArchive, games: Games) -> str:
    """In words, the order in which moves are recorded, if another order makes sense; else empty.

    In the right order nobody has connected before the last move, and the named winner connects
    with it. Games that end without a connection do not count.
    """
    long = games[archive.lengths[games] >= _SHORT]
    some = long[np.linspace(0, len(long) - 1, min(len(long), _LOOKED_AT)).astype(np.int64)]
    if len(some) < _FEW:
        return ""
    records = [archive.game(int(game)) for game in some]
    moves = [np.array(record.moves, dtype=np.int64) for record in records]
    won = archive.winners[some]
    size = int(archive.sizes[some[0]])
    as_it_is = _ends_well(moves, won, size)
    for words, order in ORDERS.items():
        share = _ends_well([order(each) for each in moves], won, size)
        if share > _FITS and share > as_it_is + _CONTRAST:
            return (
                f"moves are listed {words}: read so, {share:.0%} of the games end with the first "
                f"connection of the named winner, and as they are {as_it_is:.0%}"
            )
    return ""


def ordered_cells(moves: Sequence[int], size: int) -> str:
    """In words, the order of the cells of a game's moves, or of each side's; empty if in none.

    Args:
        size: side of the board.
    """
    cells = np.array(moves, dtype=np.int64)
    rows, columns = cells // size, cells % size
    for by, keys in (("", cells), (", column by column", columns * size + rows)):
        for whose, parts in (("", (keys,)), ("of each colour ", (keys[::2], keys[1::2]))):
            for direction, sign in (("ascending", 1), ("descending", -1)):
                if all((sign * np.diff(part) > 0).all() for part in parts):
                    return f"{whose}in {direction} order{by}"
    return ""


def _ends_well(moves: list[Cells], won: NDArray[np.int8], size: int) -> float:
    boards = np.zeros((2, len(moves), size * size), dtype=np.int8)
    for number, cells in enumerate(moves):
        colours = np.where(np.arange(len(cells)) % 2 == 0, -1, 1).astype(np.int8)
        boards[0, number, cells[:-1]] = colours[:-1]
        boards[1, number, cells] = colours
    before, after = (winners(each.reshape(-1, size, size)) for each in boards)
    return float(((before == 0) & (after == won)).mean())
