"""Openings of matches: balanced first moves, or positions from a file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from hexsearch.analysis.boards import read_positions
from hexsearch.errors import ConfigError, GamesError
from hexsearch.game.board import winner
from hexsearch.game.formats.lines import position_lines

_FURTHER_PLIES = 2  # random moves after the first move, when all first moves have been used


def balanced_first_moves(size: int) -> tuple[int, ...]:
    """First moves of Blue that are neither clearly won nor clearly lost, without half turns.

    Blue connects top to bottom, so moves next to Red's edge are weakest: the first column, and the
    second column without the cells nearest to the middle.
    """
    first = [row * size for row in range(size)]
    near = size // 4
    second = [row * size + 1 for row in range(size) if row < near or row >= size - near]
    # Both kinds alternate, so that a few openings include both.
    mixed: list[int] = []
    for index in range(max(len(first), len(second))):
        mixed += first[index : index + 1] + second[index : index + 1]
    return tuple(mixed)


def opening(size: int, index: int, seed: int) -> tuple[int, ...]:
    """Opening number `index`: one balanced move; for later numbers, two random moves follow it.

    It depends on the arguments alone, so a match can be extended.
    """
    first = balanced_first_moves(size)
    if index < len(first):
        return (first[index],)
    generator = np.random.default_rng([seed, index])
    begun = int(generator.choice(first))
    others = [cell for cell in range(size * size) if cell != begun]
    further = generator.choice(others, size=_FURTHER_PLIES, replace=False)
    return (begun, *map(int, further))


def read_openings(path: Path, size: int) -> list[tuple[int, ...]]:
    """Openings from a file of TRMPH positions, one on each line.

    Raises:
        ConfigError: the file has no opening, or has an opening twice.
        GamesError: it cannot be read, or a line is not an unfinished position of this size.
    """
    texts = position_lines(path)
    if not texts:
        raise ConfigError(f"{path}: holds no opening; write one a line, such as '#{size},a3'")
    positions = read_positions(texts, size)
    ends = np.cumsum(positions.plies)
    found = [
        tuple(positions.cells[end - plies : end].tolist())
        for end, plies in zip(ends, positions.plies, strict=True)
    ]
    problems = [
        f"{path}: '{text}': somebody has connected already"
        for text, board in zip(texts, positions.stones, strict=True)
        if winner(board)
    ]
    problems += [f"{path}: holds '{text}' twice" for text in _repeated(texts, found)]
    if problems:
        raise GamesError(problems)
    return found


def _repeated(texts: Sequence[str], found: Sequence[tuple[int, ...]]) -> list[str]:
    return [text for index, text in enumerate(texts) if found[index] in found[:index]]
