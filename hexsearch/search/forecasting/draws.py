"""Random configurations of a space, and the coordinates of configurations."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hexsearch.search.space import Dimension, SearchSpace, Values

Floats = NDArray[np.float64]
_ABSENT = 2.0  # coordinate of a dimension that a configuration does not have


def random_values(space: SearchSpace, rng: np.random.Generator) -> Values:
    """Values of each active dimension, drawn from its range on its own scale."""
    values: Values = {}
    for dimension in space.dimensions:
        if dimension.is_active(values):
            values[dimension.name] = _draw(dimension, rng)
    return values


def mutated(space: SearchSpace, values: Values, rng: np.random.Generator) -> Values:
    """The same configuration with one active dimension drawn again."""
    changed = list(values)[int(rng.integers(len(values)))]
    new: Values = {}
    for dimension in space.dimensions:
        if dimension.is_active(new):
            keeps = dimension.name in values and dimension.name != changed
            new[dimension.name] = values[dimension.name] if keeps else _draw(dimension, rng)
    return new


def coordinates(space: SearchSpace, values: Mapping[str, Any]) -> Floats:
    """[dimensions]: index of a choice, position of a number in its range, or 2 if inactive."""
    return np.array([_coordinate(d, values) for d in space.dimensions], dtype=np.float64)


def distances(space: SearchSpace, first: Floats, second: Floats) -> Floats:
    """[A, B] distances: sums over dimensions of 0 to 1. Different choices have distance 1."""
    total = np.zeros((len(first), len(second)))
    for place, dimension in enumerate(space.dimensions):
        apart = np.abs(first[:, None, place] - second[None, :, place])
        total += apart > 0 if dimension.kind == "choice" else np.minimum(apart, 1.0)
    return total


def _draw(dimension: Dimension, rng: np.random.Generator) -> Any:
    if dimension.kind == "choice":
        return dimension.choices[int(rng.integers(len(dimension.choices)))]
    low, high = dimension.low, dimension.high
    if dimension.kind == "int":
        if not dimension.log:
            return int(low) + dimension.step * int(rng.integers(int(dimension.count)))
        drawn = math.exp(rng.uniform(math.log(low - 0.5), math.log(high + 0.5)))
        return int(min(max(round(drawn), low), high))
    if dimension.log:
        return float(min(max(math.exp(rng.uniform(math.log(low), math.log(high))), low), high))
    return float(rng.uniform(low, high))


def _coordinate(dimension: Dimension, values: Mapping[str, Any]) -> float:
    if dimension.name not in values:
        return -1.0 if dimension.kind == "choice" else _ABSENT
    value = values[dimension.name]
    if dimension.kind == "choice":
        return float(dimension.choices.index(value)) if value in dimension.choices else -2.0
    low, high, at = dimension.low, dimension.high, float(value)
    if high <= low:
        return 0.0
    if dimension.log:
        low, high, at = math.log(low), math.log(high), math.log(at)
    return (at - low) / (high - low)
