"""Whether changes from rung to rung go on, learned before any trial has ended.

Rungs are equally far apart in the logarithm of positions. There the change of a power law grows or
shrinks by a constant factor from rung to rung, and that of a line by the reduction factor. So one
slope says how a change foretells the next one, at all rungs. It is fitted to trials with values at
three rungs. Where curves cross, it tells which of them will be ahead at the end.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from hexsearch.search.forecasting.draws import Floats

_LEAST = 4  # values at third and later rungs before there is a slope


@dataclass(frozen=True)
class Trend:
    """Continues the last change of a trial up to the end.

    Attributes:
        steps: distance from each rung to the next one, and to the end, in logarithms of positions.
        slope: next change per change, for equal steps; 0 if changes do not surely go on.
    """

    steps: tuple[float, ...]
    slope: float = 0.0

    def multiple(self, level: int) -> float:
        """What is still to come at a rung, as a multiple of the change since the rung before."""
        if not level:
            return 0.0
        powers = (self.slope**n * step for n, step in enumerate(self.steps[level:], 1))
        return sum(powers) / self.steps[level - 1]

    def ahead(self, losses: Floats) -> Floats:
        """[n] values to expect at the end, from the [n, rungs] losses up to a rung."""
        level = losses.shape[1] - 1
        if not level or not self.slope:
            return losses[:, -1]
        return np.asarray(
            losses[:, -1] + self.multiple(level) * (losses[:, -1] - losses[:, -2]), np.float64
        )


@dataclass(frozen=True)
class _Sums:
    """Number of pairs of a change x and the next change y, their sums and those of products."""

    count: int = 0
    x: float = 0.0
    y: float = 0.0
    xx: float = 0.0
    xy: float = 0.0
    yy: float = 0.0

    def with_pair(self, x: float, y: float) -> _Sums:
        return _Sums(
            self.count + 1, self.x + x, self.y + y,
            self.xx + x * x, self.xy + x * y, self.yy + y * y,
        )  # fmt: skip

    def centred(self) -> tuple[float, float, float]:
        """Sums of xx, xy and yy about the means."""
        x, y = self.x / self.count, self.y / self.count
        return self.xx - self.x * x, self.xy - self.x * y, self.yy - self.y * y


class TrendRecord:
    """The trend of a study, fitted again when the values have grown by a tenth.

    Args:
        levels: positions at each rung, and at the end.

    Attributes:
        trend: its slope is the least-squares slope about the mean changes of each rung, less a
            standard error, between 0 and the slope of a line.
        version: number that grows when the trend changes.
    """

    def __init__(self, levels: Sequence[int]) -> None:
        pairs = pairwise(levels)
        self.trend = Trend(tuple(math.log(after / before) for before, after in pairs))
        self.version = 0
        self._sums = [_Sums() for _ in self.trend.steps]
        self._count, self._fit_at = 0, _LEAST

    def add(self, losses: Sequence[float]) -> None:
        """Take the last of a trial's losses."""
        if len(losses) < 3:
            return
        self.count(losses)
        if self._count >= self._fit_at:
            self._fit_at = self._count + max(1, self._count // 10)
            self.fit()

    def count(self, losses: Sequence[float]) -> None:
        """Take the last of a trial's three losses or more, without a fit."""
        at, steps = len(losses) - 2, self.trend.steps
        before = (losses[-2] - losses[-3]) / steps[at - 1]
        self._sums[at] = self._sums[at].with_pair(before, (losses[-1] - losses[-2]) / steps[at])
        self._count += 1

    def fit(self) -> None:
        """Fit the trend to all values."""
        slope = self._fitted() if self._count >= _LEAST else 0.0
        self.version += slope != self.trend.slope
        self.trend = replace(self.trend, slope=slope)

    def _fitted(self) -> float:
        known = [sums for sums in self._sums if sums.count > 1]
        free = sum(sums.count - 1 for sums in known) - 1
        xx, xy, yy = np.sum([sums.centred() for sums in known], axis=0) if known else (0.0,) * 3
        # Changes that are all equal but for rounding have no slope.
        if free < 1 or xx <= 1e-12 * sum(sums.xx for sums in known):
            return 0.0
        slope = xy / xx
        error = math.sqrt(max(yy - slope * xy, 0.0) / free / xx)
        return float(min(max(slope - error, 0.0), math.exp(self.trend.steps[0])))
