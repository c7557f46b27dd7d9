"""Legal positions whose winner is known for certain, for any board size.

Each family is a shape: cells that its owner holds, and cells that must stay empty. It is written
for Blue, who connects top to bottom. All four symmetries are applied to it, so both colours own
it equally often. Other stones are then added at random until the counts fit alternate moves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hexsearch.analysis.boards import Positions, positions_of_boards
from hexsearch.analysis.winding_path import winding_path
from hexsearch.game.board import BLUE, RED, Stones, winner
from hexsearch.game.distance import connection_distances
from hexsearch.game.symmetry import SWAPS_COLOURS, SYMMETRIES, symmetry_cells

FAMILIES = (
    "empty_board",
    "straight_chain",
    "winding_chain",
    "crossing_lines",
    "win_in_one",
    "double_threat",
    "bridges",
    "edge_template",
)
_TRIES = 40  # random fillings that are tried for one shape, which may not fit on a small board

# Template II and the ziggurat (template III-a), as (rows below the stone, columns to its right).
# Their owner can connect the stone to the edge even if the other colour moves first.
TEMPLATE_II = ((0, 0), (1, -1), (1, 0))
ZIGGURAT = (
    *((0, column) for column in (0, 1)),
    *((1, column) for column in (-1, 0, 1)),
    *((2, column) for column in (-2, -1, 0, 1)),
)


@dataclass(frozen=True)
class KnownPosition:
    """A legal position and its winner.

    Attributes:
        stones: [N, N] board.
        to_move: BLUE, RED, or 0 on a finished board.
        winner: BLUE or RED.
    """

    family: str
    stones: Stones
    to_move: int
    winner: int


@dataclass(frozen=True)
class _Shape:
    """Cells of one member of a family, with Blue as its owner and winner."""

    own: frozenset[int]
    empty: frozenset[int]
    finished: bool
    owner_moves: bool = False
    others: frozenset[int] = frozenset()  # stones of the other colour that belong to the shape


def known_positions(size: int, shapes: int = 8, seed: int = 0) -> list[KnownPosition]:
    """Positions of every family, `4 * shapes` for each if the board is large enough.

    The same arguments give the same positions.

    Args:
        size: board side N.
        shapes: number of random members of each family.
    """
    makers: dict[str, Callable[[int, np.random.Generator], _Shape | None]] = {
        "straight_chain": _straight_chain,
        "winding_chain": _winding_chain,
        "win_in_one": _win_in_one,
        "double_threat": _double_threat,
        "bridges": _bridges,
        "edge_template": _edge_template,
    }
    rng = np.random.default_rng([seed, size])
    positions = [KnownPosition("empty_board", np.zeros((size, size), dtype=np.int8), BLUE, BLUE)]
    for shape in _crossing_lines(size):
        positions += _images("crossing_lines", shape, size, rng)
    for family, make in makers.items():
        for _ in range(shapes):
            drawn = make(size, rng)
            if drawn is not None:
                positions += _images(family, drawn, size, rng)
    return sorted(positions, key=lambda position: FAMILIES.index(position.family))


def as_positions(known: Sequence[KnownPosition], size: int) -> Positions:
    """The known positions in the form that the predictor needs, in the same order."""
    boards = np.array([position.stones for position in known]).reshape(-1, size, size)
    return positions_of_boards(boards, np.array([position.to_move for position in known]))


def _images(
    family: str, shape: _Shape, size: int, rng: np.random.Generator
) -> Iterator[KnownPosition]:
    """The shape under all four symmetries, each with another random filling."""
    for symmetry in SYMMETRIES:
        owner = RED if SWAPS_COLOURS[symmetry] else BLUE
        goes = symmetry_cells(size)[symmetry]
        for _ in range(_TRIES):
            stones = _filled(shape, goes, owner, size, rng)
            if stones is None:
                break
            to_move = 0 if shape.finished else (owner if shape.owner_moves else -owner)
            if _is_as_claimed(stones, to_move, owner):
                yield KnownPosition(family, stones, to_move, owner)
                break


def _filled(
    shape: _Shape, goes: NDArray[np.int64], owner: int, size: int, rng: np.random.Generator
) -> Stones | None:
    """Stones of a shape with random stones that make the counts legal; None if there is no room."""
    stones = np.zeros(size * size, dtype=np.int8)
    own = goes[sorted(shape.own)]
    stones[own] = owner
    stones[goes[sorted(shape.others)]] = -owner
    if shape.finished:
        blue_leads = owner == BLUE  # the winner has made the last move
    else:
        to_move = owner if shape.owner_moves else -owner
        blue_leads = to_move == RED
    lead = int(blue_leads) if owner == BLUE else -int(blue_leads)  # stones more than the other's
    missing = len(shape.own) - lead - len(shape.others)
    extra_own, extra_other = max(0, -missing), max(0, missing)
    blocked = set(own.tolist()) | set(goes[sorted(shape.empty)].tolist())
    blocked |= set(goes[sorted(shape.others)].tolist())
    free = np.array([cell for cell in range(size * size) if cell not in blocked], dtype=np.int64)
    if extra_own + extra_other > len(free):
        return None
    drawn = rng.permutation(free)
    stones[drawn[:extra_other]] = -owner
    stones[drawn[extra_other : extra_other + extra_own]] = owner
    return stones.reshape(size, size)


def _is_as_claimed(stones: Stones, to_move: int, owner: int) -> bool:
    """Whether the winner is still certain with the random stones."""
    if to_move == 0:
        return winner(stones) == owner
    if winner(stones) != 0:
        return False
    if to_move == owner:
        return True
    # The other colour must not be able to connect with one move.
    blue, red = connection_distances(stones[None])
    return int(blue[0] if to_move == BLUE else red[0]) > 1


def _crossing_lines(size: int) -> list[_Shape]:
    """A full column against a full row, as in the sample positions of TRMPH readers.

    The colours cross in the middle cell. The colour that holds this cell has won. While the cell
    is empty, the side to move wins. On 13x13 one of them is `#13,g1a7g2b7...g13m7g7`.
    """
    middle = size // 2
    column = {row * size + middle for row in range(size)}
    row = {middle * size + column_ for column_ in range(size)}
    centre = middle * size + middle
    others = frozenset(row - {centre})
    before = frozenset(column - {centre})
    return [
        _Shape(frozenset(column), frozenset(), finished=True, others=others),
        _Shape(before, frozenset({centre}), finished=False, owner_moves=True, others=others),
    ]


def _straight_chain(size: int, rng: np.random.Generator) -> _Shape:
    column = int(rng.integers(size))
    return _Shape(frozenset(row * size + column for row in range(size)), frozenset(), finished=True)


def _winding_chain(size: int, rng: np.random.Generator) -> _Shape:
    return _Shape(frozenset(winding_path(size, rng)), frozenset(), finished=True)


def _win_in_one(size: int, rng: np.random.Generator) -> _Shape:
    path = winding_path(size, rng)
    gap = path[int(rng.integers(len(path)))]
    return _Shape(frozenset(path) - {gap}, frozenset({gap}), finished=False, owner_moves=True)


def _double_threat(size: int, rng: np.random.Generator) -> _Shape:
    """A chain with one bridge: each of two cells completes it, and the other colour is to move."""
    column = int(rng.integers(1, size))
    gap = int(rng.integers(1, size - 1))
    above = [row * size + column for row in range(gap)]
    # From (gap - 1, column) the bridge leads to (gap + 1, column - 1).
    below = [row * size + column - 1 for row in range(gap + 1, size)]
    return _Shape(
        frozenset(above + below),
        frozenset({gap * size + column, gap * size + column - 1}),
        finished=False,
    )


def _bridges(size: int, rng: np.random.Generator) -> _Shape | None:
    """Stones linked by bridges from edge to edge, with the other colour to move."""
    # Template II links a stone on the second row to its edge. Each bridge spans two rows, so on
    # a board of odd size the first stone lies on the second row.
    start = size % 2
    rows = list(range(start, size, 2))
    spare = size - 1 - len(rows) - start
    if size < 4 or spare < 0:
        return None
    column = len(rows) + int(rng.integers(spare + 1))
    own: set[int] = set()
    empty: set[int] = set()
    for row in rows:
        own.add(row * size + column)
        empty |= {(row + 1) * size + column, (row + 1) * size + column - 1}
        column -= 1
    if start == 1:
        top = min(own)
        empty |= {top - size, top - size + 1}
    return _Shape(frozenset(own), frozenset(empty), finished=False)


def _edge_template(size: int, rng: np.random.Generator) -> _Shape | None:
    """A solid chain from the top, linked to the bottom by a template; the other side is to move."""
    template = ZIGGURAT if rng.integers(2) else TEMPLATE_II
    depth = max(row for row, _ in template)
    left, right = min(c for _, c in template), max(c for _, c in template)
    if size < max(depth + 2, right - left + 1):
        return None
    column = int(rng.integers(-left, size - right))
    last = size - 1 - depth
    own = frozenset(row * size + column for row in range(last + 1))
    carrier = {(last + row) * size + column + shift for row, shift in template}
    return _Shape(own, frozenset(carrier) - own, finished=False)


def outcomes(known: Sequence[KnownPosition]) -> NDArray[np.float64]:
    """[P] 1.0 where Red wins, 0.0 where Blue wins."""
    return np.array([float(position.winner == RED) for position in known])
