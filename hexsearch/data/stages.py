"""Stages of a game: by stones on the board, and by plies to the end."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hexsearch.config.curriculum import STAGES
from hexsearch.config.data import StagesConfig
from hexsearch.data.order import Indices

STAGE_NAMES = STAGES
TO_END_BANDS = ((0, 5), (6, 15), (16, 30), (31, None))  # plies to the end of the game


def stage_of(stones: Indices, board_size: int, stages: StagesConfig) -> NDArray[np.int8]:
    """Index into STAGE_NAMES by the filled fraction of the board."""
    middle, late = first_plies(board_size, stages)[1:3]
    return ((stones >= middle).astype(np.int8) + (stones >= late)).astype(np.int8)


def first_plies(board_size: int, stages: StagesConfig) -> tuple[int, int, int, int]:
    """The first ply of each stage, and a last ply that no game reaches."""
    area = board_size * board_size
    filled = np.arange(area + 1) / area
    middle = int(np.argmax(filled >= stages.early))
    late = int(np.argmax(filled >= stages.middle))
    return 0, middle, late, area + 1


def to_end_names() -> tuple[str, ...]:
    """Names of the bands of plies to the end, such as `6-15` and `>30`.

    >>> to_end_names()
    ('0-5', '6-15', '16-30', '>30')
    """
    return tuple(f">{low - 1}" if high is None else f"{low}-{high}" for low, high in TO_END_BANDS)


def to_end_band(plies_to_end: Indices) -> NDArray[np.int8]:
    """Index into TO_END_BANDS."""
    edges = np.array([low for low, _ in TO_END_BANDS[1:]])
    return np.searchsorted(edges, plies_to_end, side="right").astype(np.int8)
