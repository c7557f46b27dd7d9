"""Shortest-path distances, compared with Dijkstra's algorithm on one board at a time."""

from __future__ import annotations

import heapq

import numpy as np
import pytest

from hexsearch.game.board import BLUE, RED, winners
from hexsearch.game.distance import connection_distances

_STEPS = ((0, 1), (0, -1), (1, 0), (-1, 0), (-1, 1), (1, -1))


def dijkstra(stones: np.ndarray, colour: int) -> int:
    size = len(stones)
    board = stones if colour == BLUE else stones.T
    queue = [
        (0 if board[0, c] == colour else 1, 0, c) for c in range(size) if board[0, c] in (0, colour)
    ]
    best = {}
    heapq.heapify(queue)
    while queue:
        cost, row, column = heapq.heappop(queue)
        if (row, column) in best:
            continue
        best[row, column] = cost
        if row == size - 1:
            return cost
        for down, right in _STEPS:
            r, c = row + down, column + right
            if 0 <= r < size and 0 <= c < size and board[r, c] in (0, colour):
                heapq.heappush(queue, (cost + (board[r, c] == 0), r, c))
    return size * size


@pytest.mark.parametrize("size", [3, 6, 11, 13, 19])
def test_distances_agree_with_dijkstra(size: int) -> None:
    rng = np.random.default_rng(size)
    filled = rng.uniform(0.0, 1.0, size=(60, 1, 1))
    colours = rng.choice(np.array([BLUE, RED], dtype=np.int8), size=(60, size, size))
    stones = np.where(rng.uniform(size=(60, size, size)) < filled, colours, 0).astype(np.int8)
    blue, red = connection_distances(stones)
    assert blue.tolist() == [dijkstra(board, BLUE) for board in stones]
    assert red.tolist() == [dijkstra(board, RED) for board in stones]
    np.testing.assert_array_equal(blue == 0, winners(stones) == BLUE)
    np.testing.assert_array_equal(red == 0, winners(stones) == RED)


def test_an_empty_board_is_one_row_away_for_both() -> None:
    blue, red = connection_distances(np.zeros((1, 13, 13), dtype=np.int8))
    assert (int(blue[0]), int(red[0])) == (13, 13)
