"""What other studies say about the settings of a space (`--warm-start`).

Each study predicts the final values of its own trials, on a scale of its own: how low values get
there, and after how many positions, need not hold here. What may hold is which settings are good.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hexsearch.ledger.events import WarmStarted
from hexsearch.search.forecasting.draws import Floats, coordinates, distances
from hexsearch.search.forecasting.promise import expected_improvement
from hexsearch.search.forecasting.rung_model import FROM_SETTINGS, RungModel
from hexsearch.search.space import SearchSpace, Values

_MOST = 100  # trials of other studies in a fit; half of them are the best


@dataclass(frozen=True)
class _Known:
    study: int
    values: Values
    at: Floats
    mean: float
    variance: float


class Learned:
    """Trials of other studies, with the final values that those predict."""

    def __init__(self, space: SearchSpace) -> None:
        self._space = space
        self._known: list[_Known] = []
        self._studies: dict[str, int] = {}
        self._chosen: list[_Known] | None = None

    def __len__(self) -> int:
        return len(self._known)

    def add(self, event: WarmStarted) -> None:
        """Take a trial of another study, if that study predicts its final value."""
        if event.expected is None or self._space.faults_of(event.values):
            return
        study = self._studies.setdefault(event.source, len(self._studies) + 1)
        at = coordinates(self._space, event.values)
        self._known.append(_Known(study, event.values, at, event.expected, event.variance))
        self._chosen = None

    def best(self, count: int) -> list[Values]:
        """Values of the trials with the best expected final values, the best first."""
        order = sorted(self._known, key=lambda known: known.mean)
        return [dict(known.values) for known in order[:count]]

    def model(self, at: Floats, means: Floats, variances: Floats) -> SettingsModel:
        """The model of final values from settings, of this study's trials and the others.

        Args:
            at: [n, dimensions] coordinates of this study's trials; n may be 0.
            means, variances: [n] of their standardised final values.
        """
        if self._chosen is None:
            self._chosen = _representative(self._known)
        return SettingsModel(self._space, at, means, variances, self._chosen)

    def improvement(self, at: Floats) -> Floats:
        """[n] expected improvements on the best trial elsewhere, before this study knows values."""
        none = np.zeros(0)
        means, variances = self.model(np.zeros((0, at.shape[1])), none, none).predict(at)
        best = min(known.mean for known in self._known)
        return expected_improvement(best, means, np.sqrt(variances))


class SettingsModel:
    """Predicts final values from settings alone; see `Learned.model`."""

    def __init__(
        self,
        space: SearchSpace,
        at: Floats,
        means: Floats,
        variances: Floats,
        others: Sequence[_Known],
    ) -> None:
        self._space, self._at = space, at
        studies: NDArray[np.int64] | None = None
        if others:
            self._at = np.concatenate([at, np.array([known.at for known in others])])
            means = np.concatenate([means, [known.mean for known in others]])
            variances = np.concatenate([variances, [known.variance for known in others]])
            studies = np.array([0] * len(at) + [known.study for known in others])
        none = np.zeros((len(means), 0))
        apart = distances(space, self._at, self._at)
        self._model = RungModel(FROM_SETTINGS, none, apart, means, variances, studies)

    def predict(self, at: Floats) -> tuple[Floats, Floats]:
        """[n] means and variances of standardised final values."""
        apart = distances(self._space, at, self._at)
        return self._model.predict(np.zeros((len(at), 0)), apart)


def _representative(known: list[_Known]) -> list[_Known]:
    """All of them, or the best and an even sample of the rest in their order."""
    if len(known) <= _MOST:
        return known
    order = sorted(range(len(known)), key=lambda place: known[place].mean)
    best, rest = order[: _MOST // 2], sorted(order[_MOST // 2 :])
    even = np.linspace(0, len(rest) - 1, _MOST - len(best)).round().astype(int)
    return [known[place] for place in sorted([*best, *(rest[step] for step in even)])]
