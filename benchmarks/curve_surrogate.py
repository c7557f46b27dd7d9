"""A surrogate of a recorded space with floats: a curve for any configuration of the space.

Some trainings are stuck: they end without having learned anything, at 0.25. How likely that is, is
their share among the nearest recorded trials. For the others, the value loss at each report is the
mean of a Gaussian process over the recorded trials that learned (Matern 5/2, a length scale for
each dimension; `fit_curves.py`). The truth about a configuration is its median over training seeds:
this mean, or 0.25 where most trainings are stuck.

A trial sees the curve of a stuck trial near by, or the mean with the noise of a training seed: the
difference between two recorded seeds of one configuration, divided by the root of 2 and with a
random sign. What the second seed changed on average is left out, since a study trains all of its
trials with one seed. The difference is drawn from the nearest configurations with two seeds, and
has a loss for each report and each game, so that the errors of one trial are as similar as they
were in the recording. The other differences between games are those of one of the nearest trials.
The draws depend only on the configuration and the seed.
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
STUCK = 0.249  # final value loss above which a trial has learned nothing
NEAREST_SEEDS, NEAREST_TRIALS = 6, 3  # from which noise, and differences of games, are drawn
NEIGHBOURS = 12  # whose share of stuck trials counts


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
        text = path.read_text().splitlines()
        header, *lines = map(json.loads, text if trials is None else text[: 1 + trials])
        lines = [line for line in lines if "failure" not in line]
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
    def learned(self) -> NDArray[np.bool_]:
        """[T] trials that are not stuck."""
        return self.values[:, -1] <= STUCK

    @cached_property
    def pairs(self) -> list[tuple[int, int]]:
        """Trials of one configuration with two seeds that both learned."""
        first: dict[str, int] = {}
        found = []
        for trial in np.flatnonzero(self.learned).tolist():
            values = self.configurations[trial]
            if key(values) in first:
                found.append((first[key(values)], trial))
            first.setdefault(key(values), trial)
        return found

    @cached_property
    def noise(self) -> Array:
        """[pairs, levels, games] noise of a seed that is not the same for all configurations."""
        first, second = np.array(self.pairs).T
        apart = self.losses[second] - self.losses[first]
        noise: Array = (apart - apart.mean(axis=0)) / np.sqrt(2 - 2 / len(apart))
        return noise


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
        self._known = recording.points[recording.learned]
        values = recording.values[recording.learned]
        self._centre = values.mean(axis=0)
        self._solved = [
            np.linalg.solve(
                covariance(self._known, self._known, scales) + noise * np.eye(len(values)),
                values[:, level] - self._centre[level],
            )
            for level, (scales, noise) in enumerate(zip(self._scales, fit["noise"], strict=True))
        ]

    @classmethod
    def load(cls, space: Path, recording: Path) -> Surrogate:
        """From a recording and the fit beside it."""
        fit = json.loads(recording.with_suffix(".fit.json").read_text())
        typed = load_space(space)[1]
        return cls(typed, Recording.load(typed, recording, fit["trials"]), fit)

    def truths(self, points: Array) -> Array:
        """[C] true final value losses at coordinates."""
        medians: Array = np.where(self.stuck(points) >= 0.5, 0.25, self.means(points)[:, -1])
        return medians

    def means(self, points: Array) -> Array:
        """[C, levels] value losses of trials that learn."""
        above = [
            covariance(points, self._known, scales) @ solved
            for scales, solved in zip(self._scales, self._solved, strict=True)
        ]
        means: Array = self._centre + np.stack(above, axis=1)
        return means

    def stuck(self, points: Array, leave_out: bool = False) -> Array:
        """[C] probability that a trial is stuck.

        Args:
            leave_out: the points are those of the recording; none counts for itself.
        """
        recording, rows = self.recording, []
        for start in range(0, len(points), 1_000):
            apart = self._distances(points[start : start + 1_000], recording.points)
            if leave_out:
                apart[apart == 0.0] = np.inf
            near = np.argpartition(apart, NEIGHBOURS, axis=1)[:, :NEIGHBOURS]
            rows.append(1.0 - recording.learned[near].mean(axis=1))
        return np.concatenate(rows)

    def losses_of_games(self, values: Configuration, seed: int) -> Array:
        """[levels, games] of one trial: stuck, or mean, differences of games and noise."""
        recording, point = self.recording, coordinates(self.space, values)[None]
        learns = _draw(values, 1_000 + seed, 1_000) >= 1_000 * self.stuck(point)[0]
        alike = np.flatnonzero(recording.learned == learns)
        near = self._nearest(point, alike)[_draw(values, 0, NEAREST_TRIALS)]
        if not learns:
            stuck: Array = recording.losses[near]
            return stuck
        noise = self._noise(values, point, seed)
        moved = (noise @ recording.weights)[:, None]
        mean = self.means(point)[0][:, None] + moved
        # The games of the trial near by hold the noise of its own seed; with half of the second
        # noise, errors of differences between trials are about those of the recording.
        apart = recording.losses[near] - recording.values[near][:, None]
        seen: Array = mean + apart + 0.5 * (noise - moved)
        return seen

    def seconds(self, values: Configuration) -> Array:
        """[levels] mean of the recorded trials with the same choices."""
        chosen = [place for place, d in enumerate(self.space.dimensions) if d.kind == "choice"]
        point = coordinates(self.space, values)
        same = (self.recording.points[:, chosen] == point[chosen]).all(axis=1)
        found = self.recording.seconds[same if same.any() else slice(None)]
        mean: Array = found.mean(axis=0)
        return mean

    def _noise(self, values: Configuration, point: Array, seed: int) -> Array:
        firsts = np.array([first for first, _ in self.recording.pairs])
        order = np.argsort(self._distances(point, self.recording.points[firsts])[0], kind="stable")
        order = order[:NEAREST_SEEDS]
        drawn = _draw(values, 1 + seed, 2 * len(order))
        noise: Array = self.recording.noise[order[drawn // 2]] * (1.0 if drawn % 2 else -1.0)
        return noise

    def _nearest(self, point: Array, trials: NDArray[np.int64]) -> NDArray[np.int64]:
        apart = self._distances(point, self.recording.points[trials])[0]
        order: NDArray[np.int64] = trials[np.argsort(apart, kind="stable")]
        return order

    def _distances(self, points: Array, others: Array) -> Array:
        """[A, B] squared, in length scales of the last report."""
        a, b = points / self._scales[-1], others / self._scales[-1]
        apart: Array = np.square(a[:, None] - b).sum(axis=-1)
        return apart


def _draw(values: Configuration, seed: int, count: int) -> int:
    """A number below `count` that depends on nothing else."""
    digest = hashlib.blake2b(f"{seed} {key(values)}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") % count
