"""The new configuration that a free worker could start, and its promise."""

from __future__ import annotations

import numpy as np

from hexsearch.config.study import StudyConfig
from hexsearch.ledger.events import Event
from hexsearch.search.forecasting.draws import Floats, coordinates, mutated, random_values
from hexsearch.search.forecasting.forecast import Forecast
from hexsearch.search.seeds import derive_seed
from hexsearch.search.space import SearchSpace, Values

RANDOM_SHARE = 0.25  # share of proposals that are drawn at random
_DRAWN, _NEIGHBOURS, _PARENTS = 128, 32, 4
_LISTED = 2_000  # combinations up to which all configurations of a space are candidates


class Outlook:
    """A forecast, and new configurations with their promises.

    Args:
        seed: seed of the study; proposal n draws from a generator seeded by both.
        trials: number of trials of the search.
        proposes: whether the searcher chooses configurations by the forecast.
        factor: reduction factor of the rungs.
    """

    def __init__(
        self,
        space: SearchSpace,
        levels: tuple[int, ...],
        seed: int,
        trials: int,
        proposes: bool,
        factor: int,
    ) -> None:
        self.space = space
        self.forecast = Forecast(space, levels, least=levels[-1] / factor**2)
        self.seed, self.trials, self.proposes = seed, trials, proposes
        self._listed = list(space.variants().values()) if space.count <= _LISTED else []
        self._places = np.array([coordinates(space, values) for values in self._listed])
        self._made: tuple[tuple[int, ...], tuple[Values, float]] | None = None

    @classmethod
    def of(
        cls, config: StudyConfig, space: SearchSpace, levels: tuple[int, ...], trials: int
    ) -> Outlook | None:
        """The outlook of a study whose pruning rule or searcher needs one; else None."""
        proposes = config.searcher.name == "forecast"
        if not proposes and config.scheduler.name != "evidence":
            return None
        factor = config.scheduler.reduction_factor
        return cls(space, levels, config.run.seed, trials, proposes, factor)

    def apply(self, event: Event) -> None:
        """Update the forecast with one event of the search."""
        self.forecast.apply(event)

    @property
    def has_fresh(self) -> bool:
        """Whether a new trial may still be started."""
        return self.forecast.suggested < self.trials

    def fresh_promise(self) -> float:
        """The promise of the next new trial."""
        return self.candidate()[1] if self.proposes else self.forecast.average_promise()

    def candidate(self) -> tuple[Values, float]:
        """The configuration to try next, and its promise."""
        key = self.forecast.state
        if self._made is None or self._made[0] != key:
            self._made = (key, self._propose())
        return self._made[1]

    def _propose(self) -> tuple[Values, float]:
        number, forecast = self.forecast.suggested, self.forecast
        rng = np.random.default_rng(derive_seed(self.seed, "propose", number))
        at_random = rng.random() < RANDOM_SHARE
        candidates, places = self._drawn(rng)
        # A second seed is useful for one of the best configurations only.
        untried = [n for n, at in enumerate(places) if at.tobytes() not in forecast.tried]
        if not forecast.top and (at_random or not untried or not forecast.learned):
            return candidates[untried[0] if untried else 0], 0.0
        if not forecast.top:
            improvement = forecast.learned.improvement(places[untried])
            return candidates[untried[int(np.argmax(improvement))]], 0.0
        if not untried:
            (best,) = forecast.most_expected(1)
            return best, forecast.average_promise()
        if at_random:
            return candidates[untried[0]], forecast.average_promise()
        untried = untried[: _DRAWN + _NEIGHBOURS]
        means, variances = forecast.of_settings(places[untried])
        promised = forecast.promises_at(0, means, variances)
        chosen = int(np.argmax(promised))
        return candidates[untried[chosen]], float(promised[chosen])

    def _drawn(self, rng: np.random.Generator) -> tuple[list[Values], Floats]:
        """Candidates in an order drawn from the generator, and their coordinates."""
        if self._listed:
            order = rng.permutation(len(self._listed))
            return [dict(self._listed[place]) for place in order], self._places[order]
        drawn = [random_values(self.space, rng) for _ in range(_DRAWN)]
        known = self.forecast
        parents = known.most_expected(_PARENTS) if known.top else known.learned.best(_PARENTS)
        for place in range(_NEIGHBOURS if parents else 0):
            drawn.append(mutated(self.space, parents[place % len(parents)], rng))
        return drawn, np.array([coordinates(self.space, values) for values in drawn])
