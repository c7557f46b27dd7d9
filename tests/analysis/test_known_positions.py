"""Known positions are legal, cover both colours and all symmetries, and have the stated winner."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from hexsearch.analysis.known_positions import (
    FAMILIES,
    TEMPLATE_II,
    ZIGGURAT,
    as_positions,
    known_positions,
    outcomes,
)
from hexsearch.game.board import BLUE, RED, winner
from hexsearch.game.formats.trmph import parse_trmph
from hexsearch.game.symmetry import SYMMETRIES, transform_stones


@pytest.mark.parametrize("size", [4, 5, 8, 13])
def test_every_known_position_has_the_counts_of_alternating_play(size: int) -> None:
    for known in known_positions(size, shapes=4):
        lead = int((known.stones == BLUE).sum()) - int((known.stones == RED).sum())
        if known.to_move == 0:
            assert winner(known.stones) == known.winner
            assert lead == (1 if known.winner == BLUE else 0)
        else:
            assert winner(known.stones) == 0
            assert lead == (0 if known.to_move == BLUE else 1)


@pytest.mark.parametrize("size", [5, 13])
def test_both_colours_win_each_family_equally_often(size: int) -> None:
    known = known_positions(size)
    for family in FAMILIES[1:]:
        wins = [position.winner for position in known if position.family == family]
        assert len(wins) >= 8
        assert sum(wins) == 0, family
    red_wins = outcomes(known)
    assert red_wins.sum() == sum(position.winner == RED for position in known)


def test_the_boards_that_the_encoder_is_given_are_the_known_ones() -> None:
    known = known_positions(7)
    positions = as_positions(known, 7)
    np.testing.assert_array_equal(positions.stones, np.stack([k.stones for k in known]))
    np.testing.assert_array_equal(positions.to_move, [k.to_move for k in known])


def test_the_sample_positions_of_trmph_readers_are_among_them_in_all_symmetries() -> None:
    text = "#13,g1a7g2b7g3c7g4d7g5e7g6f7g8h7g9i7g10j7g11k7g12l7g13m7g7"
    moves = parse_trmph(text).moves
    stones = np.zeros(169, dtype=np.int8)
    stones[list(moves[0::2])] = BLUE
    stones[list(moves[1::2])] = RED
    crossings = [k.stones for k in known_positions(13) if k.family == "crossing_lines"]
    for symmetry in SYMMETRIES[:2]:
        image = transform_stones(stones.reshape(13, 13), symmetry)
        assert any(np.array_equal(image, crossing) for crossing in crossings)


@pytest.mark.parametrize("template", [TEMPLATE_II, ZIGGURAT])
def test_edge_templates_connect_even_if_the_other_colour_begins(
    template: tuple[tuple[int, int], ...],
) -> None:
    assert _connects(template, frozenset({(0, 0)}), frozenset(), intruder_moves=True)
    for cell in template[1:]:
        smaller = tuple(kept for kept in template if kept != cell)
        if template is TEMPLATE_II:
            assert not _connects(smaller, frozenset({(0, 0)}), frozenset(), intruder_moves=True)


def _connects(
    cells: tuple[tuple[int, int], ...],
    own: frozenset[tuple[int, int]],
    taken: frozenset[tuple[int, int]],
    intruder_moves: bool,
) -> bool:
    """Whether (0, 0) reaches the lowest row inside `cells`, by trying every move."""
    depth = max(row for row, _ in cells)
    reached, queue = {(0, 0)}, [(0, 0)]
    while queue:
        row, column = queue.pop()
        if row == depth:
            return True
        for down, across in ((0, 1), (0, -1), (1, 0), (-1, 0), (1, -1), (-1, 1)):
            beside = (row + down, column + across)
            if beside in own and beside not in reached:
                reached.add(beside)
                queue.append(beside)
    free = [cell for cell in cells if cell not in own and cell not in taken]
    if not free:
        return False
    if intruder_moves:
        return all(_connects(cells, own, taken | {cell}, False) for cell in free)
    return any(_connects(cells, own | {cell}, taken, True) for cell in free)


@pytest.mark.slow
def test_exhaustive_search_of_4x4_agrees_with_every_claim() -> None:
    @cache
    def wins(board: bytes, mover: int) -> bool:
        """Whether `mover`, who is to move, wins."""
        stones = np.frombuffer(board, dtype=np.int8)
        for cell in np.flatnonzero(stones == 0):
            after = stones.copy()
            after[cell] = mover
            if winner(after.reshape(4, 4)) == mover or not wins(after.tobytes(), -mover):
                return True
        return False

    # The empty board takes a minute to search; that its first mover wins is Nash's theorem.
    checked = 0
    for known in known_positions(4, shapes=4):
        if known.to_move and (known.stones == 0).sum() <= 10:
            won = wins(known.stones.tobytes(), known.to_move)
            assert (known.to_move if won else -known.to_move) == known.winner, known
            checked += 1
    assert checked > 20
