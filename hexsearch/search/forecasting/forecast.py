"""Forecasts of the final values of trials and configurations, computed from the ledger.

For each rung, a `RungModel` predicts the final value from the value at the rung and the settings.
It is fitted to the trials that continued. Another model predicts it from the settings alone, for
trials that have not begun. Until a trial has ended, the models predict what a `Trend` expects of
the values at the highest rung that three trials have passed. All models are fitted again when this
rung changes, and when the number of values at rungs has grown by 5%. These moments depend on the
records alone, so a forecast that is computed again from a ledger is the same.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from scipy.special import ndtr

from hexsearch.config.readout import CONTROLS
from hexsearch.ledger.events import (
    Decided,
    Discarded,
    Event,
    Failed,
    Promoted,
    Reported,
    Suggested,
    TrialEvent,
    WarmStarted,
)
from hexsearch.ledger.history import phase_of
from hexsearch.search.forecasting.draws import Floats, coordinates, distances
from hexsearch.search.forecasting.entry import Entry
from hexsearch.search.forecasting.forecast_fit import ForecastFit, Row
from hexsearch.search.forecasting.learned import Learned
from hexsearch.search.forecasting.paused import PausedTrials
from hexsearch.search.forecasting.promise import promises
from hexsearch.search.forecasting.trend import TrendRecord
from hexsearch.search.space import SearchSpace, Values

_REFIT_AFTER = 20  # models are fitted again when the values have grown by one part in 20
_LEAST_PASSED = 3  # trials that have passed a rung which stands for the end
_FITTED, _BEST = 200, 60  # most trials in a fit; how many of them are the best, not the newest


class Forecast:
    """Expected final values of the trials of a search.

    Args:
        levels: positions seen at each rung, and at the end.
        least: lowest level in positions that can stand for the end before a trial has ended.

    Attributes:
        learned: what other studies say about settings.
        trends: how changes from rung to rung go on.
        tried: coordinates of all trials, as bytes.
        top: number of levels up to the one that the models predict; 0 if they predict none yet.
        version: number that grows when promises change.
        together: number of trials that had begun when the first value at a rung came.
    """

    def __init__(self, space: SearchSpace, levels: Sequence[int], least: float = 0.0) -> None:
        self.space, self.levels = space, tuple(levels)
        self.entries: dict[int, Entry] = {}
        self.paused = PausedTrials(self.promises_of)
        self.learned = Learned(space)
        self.trends = TrendRecord(self.levels)
        self.tried: set[bytes] = set()
        self.suggested = self.version = self.top = self.together = 0
        self._numbers: dict[str, int] = {}
        self._silent: dict[int, Entry] = {}  # begun, without a value yet
        self._least = least
        self._passed = [0] * len(self.levels)  # trials with a value at each level
        self._lowest = [math.inf] * len(self.levels)
        self._count = self._fit_at = 0  # values at rungs; how many there are at the next fit
        # Of the next fit, which is made when asked for: number, losses, broken; and the trend.
        self._rows: list[tuple[int, int, bool]] = []
        self._trend = self.trends.trend
        self._made: ForecastFit | None = None

    def apply(self, event: Event) -> None:
        """Update the forecast with one event of the search."""
        if isinstance(event, Suggested):
            if phase_of(event.origin) != "search":
                return
            self.suggested += 1
            if event.config.get("readout", {}).get("name") not in CONTROLS:
                at = coordinates(self.space, event.values)
                entry = Entry(event.number, event.trial, event.values, at)
                self.entries[event.number] = self._silent[event.number] = entry
                self._numbers[event.trial] = event.number
                self.tried.add(at.tobytes())
        elif isinstance(event, WarmStarted):
            self.learned.add(event)
        elif isinstance(event, TrialEvent) and event.trial in self._numbers:
            self._apply_to(self.entries[self._numbers[event.trial]], event)

    def _apply_to(self, entry: Entry, event: TrialEvent) -> None:
        if isinstance(event, Reported):
            if event.report.positions_seen in self.levels[len(entry.losses) :][:1]:
                self._note(entry, event)
        elif isinstance(event, Decided):
            if event.decision == "pause":
                self.paused.add(entry.number, len(entry.losses))
            if event.decision == "stop":
                self._break(entry)
        elif isinstance(event, Failed):
            self._break(entry)
        elif isinstance(event, Promoted | Discarded):
            self.paused.remove(entry.number)

    def _break(self, entry: Entry) -> None:
        entry.broken = True
        self._silent.pop(entry.number, None)

    def _note(self, entry: Entry, event: Reported) -> None:
        level, loss = len(entry.losses), event.report.value_loss
        self.together = self.together or self.suggested
        entry.add(event.report)
        self.trends.add(entry.losses)
        self._silent.pop(entry.number, None)
        self._count += 1
        self._passed[level] += 1
        if loss < self._lowest[level]:
            self._lowest[level] = loss
            self.version += level + 1 == self.top
        rises = level >= self.top and self._can_be_top(level)
        if rises:
            self.top = level + 1
        if rises or self._count >= self._fit_at:
            self._fit_at = self._count + max(1, self._count // _REFIT_AFTER)
            self._rows = [
                (known.number, len(known.losses), known.broken)
                for known in self.entries.values()
                if known.losses or known.broken
            ]
            self._trend = self.trends.trend
            self._made = None
            self.version += 1

    def _can_be_top(self, level: int) -> bool:
        if level == len(self.levels) - 1:
            return True
        return self._passed[level] >= _LEAST_PASSED and self.levels[level] >= self._least

    @property
    def is_ready(self) -> bool:
        """Whether a trial has ended, so that final values of others can be predicted."""
        return self._passed[-1] > 0

    def number_of(self, trial: str) -> int | None:
        """Number of a trial of the search, by its name."""
        return self._numbers.get(trial)

    def ahead(self, number: int, level: int | None = None) -> float:
        """Value that a trial is expected to end at, if changes go on as the trend says.

        Args:
            level: rung up to which its values are used; its last one if left out.
        """
        losses = self.entries[number].losses
        known = losses if level is None else losses[: level + 1]
        return float(self.trends.trend.ahead(np.array([known]))[0])

    @property
    def state(self) -> tuple[int, ...]:
        """Two equal states give the same choice of a new configuration."""
        return (self.version, self.suggested, len(self._silent), len(self.learned))

    @property
    def fit(self) -> ForecastFit:
        """The models, fitted to the records at the last moment of fitting."""
        if self._made is None:
            rows = []
            for number, count, broken in self._chosen():
                entry = self.entries[number]
                rows.append(Row(number, entry.at, entry.losses[: min(count, self.top)], broken))
            self._made = ForecastFit(self.space, rows, self.top, self.learned, self._trend)
        return self._made

    @property
    def best(self) -> float:
        """The best value so far of those that the models predict, standardised."""
        fit = self.fit
        return fit.standardised(self._lowest[self.top - 1]) if self.is_ready else fit.best

    def most_expected(self, count: int) -> list[Values]:
        """Values of the trials with the best expected final values, the best first."""
        order = np.argsort(self.fit.means, kind="stable")[:count]
        return [dict(self.entries[self.fit.numbers[place]].values) for place in order]

    def expected(self, number: int) -> tuple[float, float]:
        """Mean and variance of a trial's predicted final value, standardised."""
        entry = self.entries[number]
        losses = np.array([entry.losses])
        means, variances = self.fit.at_level(len(entry.losses) - 1, losses, entry.at[None])
        return float(means[0]), float(variances[0])

    def of_settings(self, at: Floats) -> tuple[Floats, Floats]:
        """[n] means and variances of configurations that have not begun, from their coordinates.

        The variance is smaller near a configuration that runs without a value yet. So workers that
        start at the same time get different configurations.
        """
        means, variances = self.fit.of_settings(at)
        if self._silent:
            begun = np.array([entry.at for entry in self._silent.values()])
            near = distances(self.space, at, begun).min(1)
            variances = variances * (1.0 - 0.7 * np.exp(-near))
        return means, variances

    def promise(self, number: int) -> float:
        """The promise of a trial at its rung."""
        return self.promises_of([number])[number]

    def promises_at(self, level: int, means: Floats, variances: Floats) -> Floats:
        """Promises of trials that have passed `level` rungs."""
        whole = self.levels[self.top - 1]
        before = self.levels[level - 1] if level else 0
        step, rest = (self.levels[level] - before) / whole, 1 - self.levels[level] / whole
        return promises(self.best, means, variances, self.fit.later[level], step, rest)

    def average_promise(self) -> float:
        """The promise of a configuration drawn like those so far."""
        means, variances = self.fit.means, self.fit.variances
        variance = means.var() + variances.mean() + 0.1
        return float(self.promises_at(0, np.array([means.mean()]), np.array([variance]))[0])

    def best_paused(self, left: float) -> tuple[int, float] | None:
        """The paused trial with the highest promise, and its promise.

        Args:
            left: number of whole trainings for which there is time. Trials that cannot end within
                it are considered only if no other one can.
        """
        shares = {level: 1.0 - at / self.levels[-1] for level, at in enumerate(self.levels, 1)}
        ending = [level for level, share in shares.items() if share <= left]
        return self.paused.best(self.version, ending) or self.paused.best(self.version, shares)

    def least_promising(self) -> Iterator[str]:
        """Names of the paused trials in ascending order of their promises."""
        entries = self.entries
        if self.is_ready:
            numbers = self.paused.least_first(self.version)
        else:  # by the number of rungs, then by the value that is expected
            by_rung = sorted(
                self.paused.levels, key=lambda n: (len(entries[n].losses), -self.ahead(n), -n)
            )
            numbers = iter(by_rung)
        return (entries[number].name for number in numbers)

    def likeliest(self, chance: float) -> int | None:
        """The most promising paused trial that improves on the best with this probability."""

        def improves(numbers: Sequence[int]) -> list[bool]:
            chances: dict[int, float] = {}
            for there, means, variances in self._expected_of(numbers):
                improving = ndtr((self.best - means) / np.sqrt(variances))
                # They are rounded for the same reason as promises.
                chances |= dict(zip(there, np.round(improving, 9), strict=True))
            return [bool(chances[number] >= chance) for number in numbers]

        return self.paused.first(self.version, improves)

    def share_left(self, number: int) -> float:
        """Share of a whole training that a trial has not done yet."""
        level = len(self.entries[number].losses)
        return 1.0 - (self.levels[level - 1] / self.levels[-1] if level else 0.0)

    def promises_of(self, numbers: Iterable[int]) -> dict[int, float]:
        """Promises of trials, computed together for all trials at one rung."""
        found: dict[int, float] = {}
        for there, means, variances in self._expected_of(numbers):
            promised = self.promises_at(len(self.entries[there[0]].losses), means, variances)
            # They are rounded, since the last digits depend on the trials computed with them.
            found |= {n: round(float(p), 9) for n, p in zip(there, promised, strict=True)}
        return found

    def _expected_of(self, numbers: Iterable[int]) -> Iterator[tuple[list[int], Floats, Floats]]:
        """Trials at one rung, with means and variances of their predicted final values."""
        by_level: dict[int, list[int]] = defaultdict(list)
        for number in numbers:
            by_level[len(self.entries[number].losses)].append(number)
        for level, there in by_level.items():
            losses = np.array([self.entries[number].losses for number in there])
            at = np.array([self.entries[number].at for number in there])
            yield there, *self.fit.at_level(level - 1, losses, at)

    def _chosen(self) -> list[tuple[int, int, bool]]:
        """The trials of a fit: all of them, or the best and the newest."""
        if len(self._rows) <= _FITTED:
            return self._rows

        def standing(row: tuple[int, int, bool]) -> tuple[int, float]:
            number, count, _ = row
            return (-count, self.entries[number].losses[count - 1]) if count else (1, 0.0)

        older, newest = self._rows[: _BEST - _FITTED], self._rows[_BEST - _FITTED :]
        return sorted(sorted(older, key=standing)[:_BEST] + newest)
