"""The sets of learning curves that searchers are replayed on."""

from __future__ import annotations

import math
from functools import cache, cached_property, partial
from pathlib import Path
from typing import Protocol

import numpy as np
from curve_surrogate import Surrogate
from learning_curves import (
    LEVELS,
    Configuration,
    Curve,
    Errors,
    chosen_dimensions,
    drawn,
    key,
    recorded,
    synthetic,
)
from prior_curves import prior_curves

from hexsearch.search.forecasting.draws import coordinates, random_values
from hexsearch.search.space import Dimension

HERE = Path(__file__).parent / "curves"
VERSIONS = 3  # of each family of drawn curves


class CurveSet(Protocol):
    """A space, and a learning curve for each of its configurations.

    Attributes:
        space: the study file of the space.
        least: the lowest true final value loss; typical: the mean of random configurations.
        seconds: mean virtual seconds of a whole training.
    """

    @property
    def space(self) -> Path: ...
    @property
    def dimensions(self) -> tuple[Dimension, ...]: ...
    @property
    def least(self) -> float: ...
    @property
    def typical(self) -> float: ...
    @property
    def seconds(self) -> float: ...
    def draws(self, seed: int, count: int) -> list[Configuration]:
        """Random configurations without repeats."""

    def curve(self, values: Configuration) -> Curve:
        """What a searcher sees."""

    def truth(self, values: Configuration) -> float:
        """The final value loss, without the noise of the training seed where it is known."""

    def error(self, values: Configuration, positions: int) -> float:
        """Standard error of a value loss, from losses of each game; nan if these are unknown."""

    def paired(
        self, first: Configuration, second: Configuration, positions: int
    ) -> tuple[float, float] | None:
        """Difference of two value losses and its standard error, from losses of each game."""


class Table:
    """A finite space with one curve for each configuration.

    Args:
        errors: of the evaluation at each report, if they are known.
        space: the study file of the space.
        finals: value losses at the end without noise, if they are known.
    """

    def __init__(
        self,
        configurations: list[Configuration],
        curves: list[Curve],
        errors: list[Errors] | None = None,
        space: Path = HERE / "space.yaml",
        finals: list[float] | None = None,
    ) -> None:
        self.space = space
        self._configurations = configurations
        self._curves = {key(c): x for c, x in zip(configurations, curves, strict=True)}
        self._errors = {key(c): x for c, x in zip(configurations, errors or [], strict=False)}
        # A failed training counts as a network that answers 50% on every position.
        self._finals = {
            k: curve[-1][1] if curve[-1][0] == LEVELS[-1] else 0.25
            for k, curve in self._curves.items()
        }
        if finals is not None:
            self._finals = dict(zip(self._curves, finals, strict=True))
        self.dimensions = chosen_dimensions(configurations)
        self.least = min(self._finals.values())
        self.typical = float(np.mean(list(self._finals.values())))
        self.seconds = float(np.mean([curve[-1][2] for curve in curves]))

    def draws(self, seed: int, count: int) -> list[Configuration]:
        """Configurations in a random order."""
        order = np.random.default_rng(seed).permutation(len(self._configurations))[:count]
        return [self._configurations[place] for place in order]

    def curve(self, values: Configuration) -> Curve:
        """The recorded or drawn curve."""
        return self._curves[key(values)]

    def truth(self, values: Configuration) -> float:
        """The last value of the curve, without noise where that is known."""
        return self._finals[key(values)]

    def error(self, values: Configuration, positions: int) -> float:
        """Of drawn curves; losses of each game of recorded ones are not known."""
        return self._errors[key(values)][LEVELS.index(positions)] if self._errors else math.nan

    def paired(
        self, first: Configuration, second: Configuration, positions: int
    ) -> tuple[float, float] | None:
        """From the errors of drawn curves; losses of each game of recorded ones are not known."""
        keys = key(first), key(second)
        if not self._errors:
            return None
        step = LEVELS.index(positions)
        losses = [self._curves[k][step][1] for k in keys]
        return losses[0] - losses[1], math.hypot(*(self._errors[k][step] for k in keys))


class Floats:
    """The recorded space with floats, between its configurations by a fitted surrogate.

    Args:
        seed: number of the training seeds of all configurations.
    """

    space = HERE / "floats.yaml"

    def __init__(self, surrogate: Surrogate, seed: int) -> None:
        self._surrogate, self._seed = surrogate, seed
        self._games: dict[str, np.ndarray] = {}
        self.dimensions = surrogate.space.dimensions
        self.least, self.typical = surrogate.least, surrogate.typical

    @cached_property
    def seconds(self) -> float:
        """Of the recorded trainings."""
        return float(self._surrogate.recording.seconds[:, -1].mean())

    def draws(self, seed: int, count: int) -> list[Configuration]:
        """Configurations from the ranges of the dimensions."""
        rng = np.random.default_rng(seed)
        return [random_values(self._surrogate.space, rng) for _ in range(count)]

    def curve(self, values: Configuration) -> Curve:
        """The surrogate's curve with the noise of a training seed."""
        weights = self._surrogate.recording.weights
        losses = self._losses(values) @ weights
        seconds = self._surrogate.seconds(values)
        return [
            (level, round(float(loss), 6), float(at))
            for level, loss, at in zip(
                self._surrogate.recording.levels, losses, seconds, strict=True
            )
        ]

    def truth(self, values: Configuration) -> float:
        """The surrogate's median over training seeds."""
        return float(self._surrogate.truths(coordinates(self._surrogate.space, values)[None])[0])

    def error(self, values: Configuration, positions: int) -> float:
        """From the losses of each game."""
        level = self._surrogate.recording.levels.index(positions)
        return self._mean(self._losses(values)[level])[1]

    def paired(
        self, first: Configuration, second: Configuration, positions: int
    ) -> tuple[float, float] | None:
        """From the losses of each game."""
        level = self._surrogate.recording.levels.index(positions)
        return self._mean(self._losses(first)[level] - self._losses(second)[level])

    def _mean(self, losses: np.ndarray) -> tuple[float, float]:
        """Mean over positions and its standard error, from the losses of each game."""
        weights, games = self._surrogate.recording.weights, len(losses)
        mean = float(losses @ weights)
        influence = (losses - mean) * weights
        return mean, float(np.sqrt(games / (games - 1) * np.square(influence).sum()))

    def _losses(self, values: Configuration) -> np.ndarray:
        """[levels, games] losses of each game."""
        k = key(values)
        if k not in self._games:
            self._games[k] = self._surrogate.losses_of_games(values, self._seed)
        return self._games[k]


def curve_set(name: str, seed: int) -> CurveSet:
    """A set of curves by its name; a drawn one in versions, `floats` with seeds of its own.

    `prior` is another draw for each seed.
    """
    if name == "floats":
        return Floats(_surrogate(), seed)
    if name == "prior":
        return _table(name, seed)
    version = 0 if name in ("recorded", "trunks") else seed % VERSIONS
    return _table(name, version)


@cache
def _surrogate() -> Surrogate:
    return Surrogate.load(HERE / "floats.yaml", HERE / "starter-13x13.jsonl")


@cache
def _table(name: str, version: int) -> Table:
    if name == "trunks":
        return Table(*recorded(HERE / "trunks-13x13.jsonl"), space=HERE / "trunks.yaml")
    configurations, curves = recorded(HERE / "wolve-13x13.jsonl")
    if name == "recorded":
        return Table(configurations, curves)
    if name == "prior":
        curves, errors, finals = prior_curves(configurations, version)
        return Table(configurations, curves, errors, finals=finals)
    draw = synthetic if name == "synthetic" else partial(drawn, name)
    return Table(configurations, *draw(configurations, 1 + version))
