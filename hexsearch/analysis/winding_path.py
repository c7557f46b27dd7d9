"""Winding chains from the top of a board to its bottom, in which every stone is necessary."""

from __future__ import annotations

from heapq import heappop, heappush

import numpy as np

_NEIGHBOURS = ((0, 1), (0, -1), (1, 0), (-1, 0), (1, -1), (-1, 1))


def winding_path(size: int, rng: np.random.Generator) -> list[int]:
    """A chain from the first row to the last row without an unnecessary stone.

    It is the cheapest path over random weights. Larger weights make it more winding.
    """
    weights = rng.exponential(size=size * size) ** float(rng.uniform(0.5, 2.0)) + 0.05
    costs = np.full(size * size, np.inf)
    came: dict[int, int] = {}
    queue: list[tuple[float, int]] = []
    for column in range(size):
        costs[column] = weights[column]
        heappush(queue, (float(costs[column]), column))
    while queue:
        cost, cell = heappop(queue)
        row, column = divmod(cell, size)
        if row == size - 1:
            break
        if cost > costs[cell]:
            continue
        for down, across in _NEIGHBOURS:
            r, c = row + down, column + across
            # Only the start lies in the first row, so that no chain runs along the edge.
            if not (1 <= r < size and 0 <= c < size):
                continue
            beside = r * size + c
            if cost + weights[beside] < costs[beside]:
                costs[beside] = cost + weights[beside]
                came[beside] = cell
                heappush(queue, (float(costs[beside]), beside))
    path = [cell]
    while cell in came:
        cell = came[cell]
        path.append(cell)
    return _without_detours(path, size)


def _without_detours(path: list[int], size: int) -> list[int]:
    """Remove stones between two stones that touch, so that every stone is necessary."""
    kept = [path[0]]
    position = 0
    while position < len(path) - 1:
        neighbours = _cells_around(path[position], size)
        position = max(i for i in range(position + 1, len(path)) if path[i] in neighbours)
        kept.append(path[position])
    return kept


def _cells_around(cell: int, size: int) -> set[int]:
    row, column = divmod(cell, size)
    return {
        (row + down) * size + column + across
        for down, across in _NEIGHBOURS
        if 0 <= row + down < size and 0 <= column + across < size
    }
