"""The models of all rungs at one moment, which predict final values from values and settings.

Values are standardised: 0 is the median of the final values, and 1 about a standard deviation, by
the distance from the median to the lowest. So the best of many values is -1.7, for every scale of
the losses. Until three trials have ended, last values stand for final ones. They differ much more
where losses fall late, so that trials which have ended would all seem alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from hexsearch.search.forecasting.draws import Floats, distances
from hexsearch.search.forecasting.learned import Learned
from hexsearch.search.forecasting.rung_model import FROM_RUNG, RungModel
from hexsearch.search.forecasting.trend import Trend
from hexsearch.search.space import SearchSpace

_ENDED = 3  # trials whose final values give the scale
_WORST = 2.5  # standardised value of a failed trial, and upper limit of all others
_LEAST_AHEAD, _MOST_AHEAD = 0.3, 5 / 3  # standard deviations between the best and the middle
_LEAST_SPREAD = 1e-3  # of value losses
_LEAST = -5.0  # lower limit of what a rung's model is given
_UNKNOWN_SLOPE, _UNKNOWN_VARIANCE = 0.6, 0.64  # for a rung that no trial has passed
_LATER = 0.35  # remaining variance at a rung that no trial has reached
_CERTAIN = 1e-4  # variance of a known final value


@dataclass(frozen=True)
class Row:
    """A trial of the fit: number, coordinates, and losses at its rungs and at the end."""

    number: int
    at: Floats
    losses: Sequence[float]
    broken: bool


@dataclass(frozen=True)
class _Scale:
    middle: float
    spread: float

    @classmethod
    def of(cls, losses: Floats, least: float) -> _Scale:
        middle, count = float(np.median(losses)), len(losses)
        # By how many standard deviations the best of so many is expected to exceed the middle:
        # Blom, "Statistical Estimates and Transformed Beta-Variables", 1958.
        ahead = float(ndtri((count - 0.375) / (count + 0.25)))
        share = 1.0 / min(max(ahead, _LEAST_AHEAD), _MOST_AHEAD)
        return cls(middle, share * max(middle - float(losses.min()), least))

    def standardised(self, losses: Floats) -> Floats:
        return np.asarray(np.minimum((losses - self.middle) / self.spread, _WORST))


@dataclass(frozen=True)
class _Rung:
    """Scales of the values that are expected at a rung, and of changes since the rung before.

    Its model, with the coordinates of its fit, exists if a trial has passed it.
    """

    scale: _Scale
    change: _Scale | None
    at: Floats
    trend: Trend
    model: RungModel | None = None

    def features(self, losses: Floats) -> Floats:
        """[n, F] features of the model, from the [n, rungs] losses up to this rung."""
        features = [self.scale.standardised(self.trend.ahead(losses))]
        if self.change is not None:
            features.append(self.change.standardised(losses[:, -1] - losses[:, -2]))
        return np.maximum(np.stack(features, axis=1), _LEAST)


class ForecastFit:
    """The models of all rungs. Each is fitted to the predictions of the next higher rung.

    Args:
        rows: trials, of which at least one has a loss.
        levels: number of rungs, including the end.
        learned: what other studies say about settings.
        trend: how changes from rung to rung go on.

    Attributes:
        best: lowest of the values that are predicted, standardised; infinite if there is none.
        means, variances: [n] of the standardised final values of `numbers`.
        later: remaining variance at each rung.
    """

    def __init__(
        self, space: SearchSpace, rows: Sequence[Row], levels: int, learned: Learned, trend: Trend
    ) -> None:
        self._space, self._levels, self._trend = space, levels, trend
        at = np.array([row.at for row in rows])
        counts = np.array([len(row.losses) for row in rows])
        broken = np.array([row.broken for row in rows])
        last = {place: self._last(row) for place, row in enumerate(rows) if row.losses}
        ended = [loss for place, loss in last.items() if counts[place] == levels]
        scaled = ended if len(ended) >= _ENDED else list(last.values())
        self._scale = _Scale.of(np.array(scaled), _LEAST_SPREAD)
        means, variances = np.full(len(rows), np.nan), np.full(len(rows), np.nan)
        for place, row in enumerate(rows):
            if row.broken:
                means[place], variances[place] = _WORST, _CERTAIN
            elif len(row.losses) == levels:
                means[place], variances[place] = self.standardised(last[place]), _CERTAIN
        whole = (self.standardised(last[place]) for place in last if counts[place] == levels)
        self.best = min(whole, default=np.inf)
        self._rungs: dict[int, _Rung] = {}
        self.later = [_LATER] * levels
        for level in range(levels - 2, -1, -1):
            there = counts > level
            if there.any():
                passed = zip(rows, there, strict=True)
                losses = np.array([row.losses[: level + 1] for row, is_there in passed if is_there])
                self._fit_rung(level, there, losses, at, means, variances)
                here = (counts == level + 1) & ~broken
                if here.any():
                    self.later[level] = float(variances[here].mean())
        known = ~np.isnan(means)
        self.numbers = [row.number for row, is_known in zip(rows, known, strict=True) if is_known]
        self.means, self.variances = means[known], variances[known]
        self._settings = learned.model(at[known], self.means, self.variances)

    def _last(self, row: Row) -> float:
        """The value that a trial is expected to end at by its last change."""
        return float(self._trend.ahead(np.array([row.losses]))[0])

    def standardised(self, loss: float) -> float:
        """A final value loss in standardised units."""
        return float(self._scale.standardised(np.array([loss]))[0])

    def in_loss(self, standardised: float) -> float:
        """A standardised final value as a value loss."""
        return self._scale.middle + self._scale.spread * standardised

    @property
    def spread(self) -> float:
        """Value loss of one standardised unit."""
        return self._scale.spread

    def at_level(self, level: int, losses: Floats, at: Floats) -> tuple[Floats, Floats]:
        """[n] means and variances of final values.

        Args:
            level: a rung, or the end.
            losses: [n, level + 1] losses at the rungs up to this one.
            at: [n, dimensions] coordinates.
        """
        if level == self._levels - 1:
            expected = self._trend.ahead(losses)
            return self._scale.standardised(expected), np.full(len(losses), _CERTAIN)
        rung = self._rungs.get(level)
        if rung is None:
            return np.zeros(len(losses)), np.ones(len(losses))
        features = rung.features(losses)
        if rung.model is None:
            return _UNKNOWN_SLOPE * features[:, 0], np.full(len(losses), _UNKNOWN_VARIANCE)
        return rung.model.predict(features, distances(self._space, at, rung.at))

    def of_settings(self, at: Floats) -> tuple[Floats, Floats]:
        """[n] means and variances of final values, from settings alone."""
        return self._settings.predict(at)

    def _fit_rung(
        self,
        level: int,
        there: NDArray[np.bool_],
        losses: Floats,
        at: Floats,
        means: Floats,
        variances: Floats,
    ) -> None:
        """Fit one rung, and predict the trials that did not pass it.

        Args:
            losses: [trials there, level + 1] losses at the rungs up to this one.
        """
        known = there & ~np.isnan(means)
        changes = losses[:, -1] - losses[:, -2] if level else None
        rung = _Rung(
            _Scale.of(self._trend.ahead(losses), 1e-5),
            None if changes is None else _Scale.of(changes, 1e-5),
            at[known],
            self._trend,
        )
        if known.any():
            model = RungModel(
                FROM_RUNG,
                rung.features(losses[known[there]]),
                distances(self._space, at[known], at[known]),
                means[known],
                variances[known],
            )
            rung = replace(rung, model=model)
        self._rungs[level] = rung
        new = there & np.isnan(means)
        if new.any():
            means[new], variances[new] = self.at_level(level, losses[new[there]], at[new])
