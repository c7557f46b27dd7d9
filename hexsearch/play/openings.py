"""Openings of matches: first moves that leave both sides a chance, or positions from a file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from hexsearch.analysis.boards import read_positions
from hexsearch.errors import ConfigError, GamesError
from hexsearch.game.board import winner
from hexsearch.game.formats.lines import position_lines

_FURTHER_PLIES = 2  # random moves after the first one, once every single first move is used


def balanced_first_moves(size: int) -> tuple[int, ...]:
    """First moves of Blue that are neither clearly won nor clearly lost, one of each half turn.

    Blue connects top to bottom, so the column next to Red's own edge gives it least: the first
    column, and the second without the cells nearest to the middle.
    """
    first = [row * size for row in range(size)]
    near = size // 4
    second = [row * size + 1 for row in range(size) if row < near or row >= size - near]
    # Alternating, so that few openings are of both kinds.
    mixed: list[int] = []
    for index in range(max(len(first), len(second))):
        mixed += first[index : index + 1] + second[index : index + 1]
    return tuple(mixed)


def opening(size: int, index: int, seed: int) -> tuple[int, ...]:
    """Opening number `index`: a single balanced move each, then such a move and two random ones.

    A function of its arguments alone, so that a match can be extended.
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
    """Openings from a file of TRMPH positions, one a line.

    Raises:
        ConfigError: it holds none, or two alike.
        GamesError: it cannot be read, or a line is no unfinished position of this size.
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
    problems += [f"{path}: '{text}' stands there twice" for text in _repeated(texts, found)]
    if problems:
        raise GamesError(problems)
    return found


def _repeated(texts: Sequence[str], found: Sequence[tuple[int, ...]]) -> list[str]:
    return [text for index, text in enumerate(texts) if found[index] in found[:index]]
