"""How policy outputs would have to be read: mappings of cells, each scored on the moves played."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hexsearch.analysis.value_analyzer import clustered_error
from hexsearch.doctor.networks import Observed

PROBABILITIES = "as probabilities already, without another softmax"
Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class PolicyScore:
    """Mean log probability of the moves played under one reading of the cells.

    Attributes:
        gain: against the cells as they are. noise: its standard error, clustered by game.
    """

    name: str
    likelihood: float
    gain: float
    noise: float


def policy_scores(observed: Observed, size: int) -> list[PolicyScore]:
    """All readings, the cells as they are first; none where the policy has another shape."""
    rows = np.flatnonzero(observed.played >= 0)
    logits, played = observed.policy[rows].astype(np.float64), observed.played[rows]
    if not len(rows) or logits.shape[1] < size * size:
        return []
    game, ply = observed.evaluation.game[rows], observed.evaluation.ply[rows]
    chances = _log_softmax(logits[:, : size * size])
    inverted = _log_softmax(-logits[:, : size * size])
    base = chances[np.arange(len(rows)), played]
    scores = [PolicyScore("as it is", float(base.mean()), 0.0, 0.0)]
    own = logits[:, : size * size]
    if own.min() >= 0.0 and np.abs(own.sum(axis=1) - 1.0).max() < 1e-3:
        found = np.log(np.maximum(own[np.arange(len(rows)), played], 1e-6))
        noise = clustered_error(found - base - (found - base).mean(), game)
        gain = float((found - base).mean())
        scores.append(PolicyScore(PROBABILITIES, float(found.mean()), gain, noise))
    for name, table, cells in _readings(chances, inverted, played, game, ply, size):
        valid = cells >= 0
        found = np.where(valid, table[np.arange(len(rows)), np.where(valid, cells, 0)], base)
        gains = found - base
        noise = clustered_error(gains - gains.mean(), game)
        scores.append(PolicyScore(name, float(found.mean()), float(gains.mean()), noise))
    return scores


def uniform_likelihood(size: int) -> float:
    """The same of a policy that holds all cells for equally likely, taken ones included."""
    return -math.log(size * size)


def _readings(
    chances: Floats, inverted: Floats, played: Ints, game: Ints, ply: Ints, size: int
) -> Iterator[tuple[str, Floats, Ints]]:
    row, column = np.divmod(played, size)
    last = size - 1
    red = ply % 2 == 1
    squares = {
        "column by column (column-major)": column * size + row,
        "turned by 180 degrees": (last - row) * size + last - column,
        "mirrored in the short diagonal": (last - column) * size + last - row,
        "upside down": (last - row) * size + column,
        "left and right exchanged": row * size + last - column,
        "after a quarter turn to the left": (last - column) * size + row,
        "after a quarter turn to the right": column * size + last - row,
    }
    for name, cells in squares.items():
        yield name, chances, cells
    for name in ("column by column (column-major)", "mirrored in the short diagonal"):
        yield f"{name} where Red is to move", chances, np.where(red, squares[name], played)
        yield f"{name} where Blue is to move", chances, np.where(red, played, squares[name])
    for rows in (-1, 0, 1):
        for columns in (-1, 0, 1):
            if (rows, columns) != (0, 0):
                cells = (row + rows) % size * size + (column + columns) % size
                yield f"shifted by ({rows}, {columns})", chances, cells
    yield "with its sign inverted", inverted, played
    for shift, name in ((1, "as the move after"), (-1, "as the move before")):
        other = np.roll(played, -shift)
        same_game = np.roll(game, -shift) == game
        yield name, chances, np.where(same_game, other, -1)


def _log_softmax(logits: Floats) -> Floats:
    shifted = logits - logits.max(axis=1, keepdims=True)
    scaled: Floats = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return scaled
