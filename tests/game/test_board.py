"""Cells, edges and connections, compared with a simple search."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hexsearch.game.board import (
    BLUE,
    RED,
    cell_name,
    cells_by_name,
    parse_cell,
    stones_after,
    winner,
    winners,
)
from hexsearch.game.symmetry import (
    SWAPS_COLOURS,
    SYMMETRIES,
    canonical_moves,
    symmetry_cells,
    transform_stones,
)

_STEPS = ((0, 1), (0, -1), (1, 0), (-1, 0), (-1, 1), (1, -1))


def connected(stones: np.ndarray, colour: int) -> bool:
    """Depth-first, one stone at a time."""
    size = len(stones)
    board = stones if colour == BLUE else stones.T
    open_cells = [(0, column) for column in range(size) if board[0, column] == colour]
    seen = set(open_cells)
    while open_cells:
        row, column = open_cells.pop()
        if row == size - 1:
            return True
        for down, right in _STEPS:
            near = (row + down, column + right)
            inside = 0 <= near[0] < size and 0 <= near[1] < size
            if inside and near not in seen and board[near] == colour:
                seen.add(near)
                open_cells.append(near)
    return False


@pytest.mark.parametrize("size", [3, 5, 13, 19])
def test_winners_agree_with_a_plain_search(size: int) -> None:
    rng = np.random.default_rng(size)
    boards = [
        stones_after(rng.permutation(size * size)[: rng.integers(0, size * size + 1)], size)
        for _ in range(200)
    ]
    for board, won in zip(boards, winners(np.stack(boards)).tolist(), strict=True):
        assert connected(board, BLUE) == (won == BLUE)
        assert connected(board, RED) == (won == RED)


@given(size=st.integers(3, 19), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=60)
def test_a_full_board_has_exactly_one_winner(size: int, seed: int) -> None:
    moves = np.random.default_rng(seed).permutation(size * size)
    stones = stones_after(moves, size)
    assert connected(stones, BLUE) != connected(stones, RED)
    assert winner(stones) in (BLUE, RED)


@pytest.mark.parametrize("size", [3, 13, 19])
def test_cell_names_read_back(size: int) -> None:
    for cell in range(size * size):
        assert parse_cell(cell_name(cell, size), size) == cell
        assert cells_by_name(size)[cell_name(cell, size)] == cell
    assert cell_name(size * size - 1, size) == f"{'abcdefghijklmnopqrs'[size - 1]}{size}"


@pytest.mark.parametrize("name", ["n1", "a14", "a0", "1a", "", "aa1", "A1", "a1 "])
def test_what_is_no_cell_of_the_board_is_refused(name: str) -> None:
    with pytest.raises(ValueError):
        parse_cell(name, 13)


def test_the_mirrored_bridge_belongs_to_the_other_colour() -> None:
    row = stones_after([0, 6, 1, 7, 2, 8], 3)  # Blue fills row 1, Red fills row 3
    assert winner(row) == RED
    column = stones_after([0, 2, 3, 5, 6, 8], 3)
    assert winner(column) == BLUE


@given(size=st.integers(3, 19), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=40)
def test_each_symmetry_undoes_itself_and_keeps_neighbours(size: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    stones = stones_after(rng.permutation(size * size)[: size * size // 2], size)
    cells = symmetry_cells(size)
    row, column = (int(n) for n in rng.integers(0, size, 2))
    for symmetry in SYMMETRIES:
        np.testing.assert_array_equal(cells[symmetry][cells[symmetry]], np.arange(size * size))
        once = transform_stones(stones, symmetry)
        np.testing.assert_array_equal(transform_stones(once, symmetry), stones)
        moved = divmod(int(cells[symmetry][row * size + column]), size)
        for down, right in _STEPS:
            near = (row + down, column + right)
            if 0 <= near[0] < size and 0 <= near[1] < size:
                there = divmod(int(cells[symmetry][near[0] * size + near[1]]), size)
                assert (there[0] - moved[0], there[1] - moved[1]) in _STEPS
        won = winner(once)
        assert won == (-winner(stones) if SWAPS_COLOURS[symmetry] else winner(stones))


def test_all_copies_of_a_game_have_one_canonical_form_and_others_do_not() -> None:
    moves = np.random.default_rng(0).permutation(49)[:20]
    forms = {canonical_moves(symmetry_cells(7)[symmetry][moves], 7) for symmetry in SYMMETRIES}
    assert len(forms) == 1
    assert canonical_moves(moves[::-1], 7) not in forms
