"""A surrogate of a recorded space with floats: a curve for any configuration of the space.

The value loss at each report is the mean of a Gaussian process over the recorded configurations
(Matern 5/2, a length scale for each dimension; `fit_curves.py`). This is the truth. A trial sees it
with the noise of a training seed: the difference between two recorded seeds of one configuration,
divided by the root of 2 and with a random sign. It is that of one of the nearest configurations
with two seeds, and has a loss for each report and each game, so the errors of one trial are as
similar as they were in the recording. The other differences between games are those of one of the
nearest recorded trials. The draws depend only on the configuration and the seed.
"""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from learning_curves import Configuration, key
from numpy.typing import NDArray

from hexsearch.search.forecasting.draws import coordinates
from hexsearch.search.space import SearchSpace
from hexsearch.search.space_parsing import load_space

Array = NDArray[np.float64]
NEAREST_SEEDS, NEAREST_TRIALS = 6, 3  # from which noise, and differences of games, are drawn


@dataclass(frozen=True)
class Recording:
    """Recorded trials that did not fail.

    Attributes:
        points: [T, dimensions] coordinates; losses: [T, levels, games]; seconds: [T, levels].
        weights: [games] share of each game in the positions.
        seeds: training seed of each trial.
    """

    configurations: list[Configuration]
    seeds: list[int]
    levels: tuple[int, ...]
    points: Array
    losses: Array
    seconds: Array
    weights: Array

    @classmethod
    def load(cls, space: SearchSpace, path: Path, trials: int | None = None) -> Recording:
        """The first trials of a recording."""
        header, *lines = [json.loads(line) for line in path.read_text().splitlines()]
        lines = [line for line in lines[:trials] if "failure" not in line]
        counts = np.array(header["positions_of_games"], dtype=np.float64)
        levels = tuple(int(point[0]) for point in lines[0]["curve"])
        return cls(
            configurations=[line["values"] for line in lines],
            seeds=[line["seed"] for line in lines],
            levels=levels,
            points=np.array([coordinates(space, line["values"]) for line in lines]),
            losses=np.array([_unpacked(line["games"], len(levels)) for line in lines]),
            seconds=np.array([[point[2] for point in line["curve"]] for line in lines]),
            weights=counts / counts.sum(),
        )

    @cached_property
    def values(self) -> Array:
        """[T, levels] value loss at each report."""
        means: Array = self.losses @ self.weights
        return means

    @cached_property
    def pairs(self) -> list[tuple[int, int]]:
        """Trials of one configuration with two seeds."""
        first: dict[str, int] = {}
        found = []
        for trial, values in enumerate(self.configurations):
            if key(values) in first:
                found.append((first[key(values)], trial))
            first.setdefault(key(values), trial)
        return found


def _unpacked(text: str, levels: int) -> Array:
    """[levels, games] from `packed_games` of the recorder."""
    units = np.frombuffer(zlib.decompress(base64.b64decode(text)), "<u2")
    return units.reshape(levels, -1) / 65_535


def covariance(first: Array, second: Array, scales: Array) -> Array:
    """[A, B] Matern 5/2 correlations of points; `scales` are length scales."""
    a, b = first / scales, second / scales
    squares = np.square(a).sum(1)[:, None] + np.square(b).sum(1) - 2 * a @ b.T
    far = np.sqrt(5 * np.maximum(squares, 0.0))
    correlations: Array = (1 + far + far * far / 3) * np.exp(-far)
    return correlations


class Surrogate:
    """Curves for all configurations of a space. The fit is read, not made."""

    def __init__(self, space: SearchSpace, recording: Recording, fit: dict[str, Any]) -> None:
        self.space, self.recording = space, recording
        self.least, self.typical = float(fit["least"]), float(fit["typical"])
        self._scales = [np.array(scales) for scales in fit["scales"]]
        self._centre = recording.values.mean(axis=0)
        self._solved = [
            np.linalg.solve(
                covariance(recording.points, recording.points, scales)
                + noise * np.eye(len(recording.points)),
                recording.values[:, level] - self._centre[level],
            )
            for level, (scales, noise) in enumerate(zip(self._scales, fit["noise"], strict=True))
        ]

    @classmethod
    def load(cls, space: Path, recording: Path) -> Surrogate:
        """From a recording and the fit beside it."""
        fit = json.loads(recording.with_suffix(".fit.json").read_text())
        typed = load_space(space)[1]
        return cls(typed, Recording.load(typed, recording, fit["trials"]), fit)

    def values(self, configurations: list[Configuration]) -> Array:
        """[C, levels] true value losses."""
        return self.at(np.array([coordinates(self.space, c) for c in configurations]))

    def at(self, points: Array) -> Array:
        """As `values`, for coordinates."""
        known = self.recording.points
        return self._centre + np.stack(
            [
                covariance(points, known, scales) @ solved
                for scales, solved in zip(self._scales, self._solved, strict=True)
            ],
            axis=1,
        )

    def losses_of_games(self, values: Configuration, seed: int) -> Array:
        """[levels, games] of one trial: truth, differences of games, and noise of the seed."""
        recording = self.recording
        point = coordinates(self.space, values)[None]
        truth = self.at(point)[0][:, None]
        near = np.argsort(self._distances(point, recording.points), kind="stable")
        pattern = recording.losses[near[_draw(values, 0, NEAREST_TRIALS)]]
        pattern = pattern - (pattern @ recording.weights)[:, None]
        return truth + pattern + self._noise(values, point, seed)

    def seconds(self, values: Configuration) -> Array:
        """[levels] mean of the recorded trials with the same choices."""
        chosen = [place for place, d in enumerate(self.space.dimensions) if d.kind == "choice"]
        point = coordinates(self.space, values)
        same = (self.recording.points[:, chosen] == point[chosen]).all(axis=1)
        found = self.recording.seconds[same if same.any() else slice(None)]
        mean: Array = found.mean(axis=0)
        return mean

    def _noise(self, values: Configuration, point: Array, seed: int) -> Array:
        recording = self.recording
        apart = self._distances(point, recording.points[[a for a, _ in recording.pairs]])
        near = np.argsort(apart, kind="stable")[:NEAREST_SEEDS]
        drawn = _draw(values, 1 + seed, 2 * len(near))
        first, second = recording.pairs[near[drawn // 2]]
        sign = 1.0 if drawn % 2 else -1.0
        difference: Array = recording.losses[second] - recording.losses[first]
        return sign / np.sqrt(2) * difference

    def _distances(self, point: Array, others: Array) -> Array:
        """In length scales of the last report."""
        apart: Array = np.square((others - point) / self._scales[-1]).sum(axis=1)
        return apart


def _draw(values: Configuration, seed: int, count: int) -> int:
    """A number below `count` that depends on nothing else."""
    digest = hashlib.blake2b(f"{seed} {key(values)}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") % count
