"""What each trial, and each configuration, is expected to reach: a fold over the ledger.

For each rung a `RungModel` says what a value there and the settings tell of the value at the end,
from the trials that went on; the settings alone have a model of their own, for trials that have
not begun. It is fitted again whenever the values at rungs have grown by a twentieth, at points
that depend on the records alone, so a forecast rebuilt from a ledger is the one that it was.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

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
)
from hexsearch.search.draws import Floats, coordinates, distances
from hexsearch.search.promise import promises
from hexsearch.search.rung_model import FROM_RUNG, FROM_SETTINGS, RungModel
from hexsearch.search.space import SearchSpace, Values

_REFIT_AFTER = 20  # the values at rungs have grown by one part in so many
_FITTED, _BEST = 200, 60  # at most so many trials are in a fit: so many of the best, the newest
_WORST = 2.5  # standardised final value of a trial that broke; none is counted as worse
_UNKNOWN_SLOPE, _UNKNOWN_VARIANCE = 0.6, 0.64  # of a rung that nobody has gone past
_LATER = 0.35  # variance left at a rung that nobody has reached


@dataclass
class Entry:
    """A trial of the search. `losses` are those at the rungs so far, and at the end."""

    number: int
    name: str
    values: Values
    at: Floats
    losses: list[float] = field(default_factory=list)
    state: Literal["running", "paused", "ended"] = "running"
    broken: bool = False


@dataclass(frozen=True)
class _Rung:
    """A fitted rung: its model, and what its values are standardised by."""

    model: RungModel | None
    at: Floats  # [n, dimensions] coordinates of the trials of the fit
    middle: float
    spread: float

    def standardised(self, losses: Floats) -> Floats:
        return np.asarray(np.minimum((losses - self.middle) / self.spread, _WORST))


class Forecast:
    """Expected final values of the trials of a search.

    Args:
        levels: positions seen at each rung, and at the end.
    """

    def __init__(self, space: SearchSpace, levels: Sequence[int]) -> None:
        self.space, self.levels = space, tuple(levels)
        self.entries: dict[int, Entry] = {}
        self.suggested = 0
        self.paused: dict[int, Entry] = {}
        self.version = 0  # grows with each fit and each better end
        self._numbers: dict[str, int] = {}
        self._best_loss = math.inf
        self._count = self._fit_at = 0  # values at rungs; how many there are at the next fit
        self._snapshot: list[tuple[int, int, bool]] = []  # number, losses, broken, at the last fit
        self._stale = True
        self._cache: dict[tuple[int, int], tuple[float, float]] = {}
        self._promises: tuple[int, dict[int, float]] = (-1, {})

    def apply(self, event: Event) -> None:
        """Take one event of the search into account."""
        if isinstance(event, Suggested):
            self.suggested += 1
            if event.config.get("readout", {}).get("name") not in CONTROLS:
                at = coordinates(self.space, event.values)
                self.entries[event.number] = Entry(event.number, event.trial, event.values, at)
                self._numbers[event.trial] = event.number
        elif isinstance(event, TrialEvent) and event.trial in self._numbers:
            self._apply_to(self.entries[self._numbers[event.trial]], event)

    def _apply_to(self, entry: Entry, event: TrialEvent) -> None:
        if isinstance(event, Reported):
            following = self.levels[len(entry.losses) :][:1]
            if following and event.report["positions_seen"] == following[0]:
                self._note(entry, float(event.report["value_loss"]))
        elif isinstance(event, Decided):
            if event.decision == "pause":
                entry.state, self.paused[entry.number] = "paused", entry
            elif event.decision != "continue":
                entry.state, entry.broken = "ended", event.decision == "stop"
        elif isinstance(event, Failed):
            entry.state, entry.broken = "ended", True
        elif isinstance(event, Promoted):
            entry.state = "running"
            self.paused.pop(entry.number, None)
        elif isinstance(event, Discarded):
            entry.state = "ended"
            self.paused.pop(entry.number, None)

    def _note(self, entry: Entry, loss: float) -> None:
        entry.losses.append(loss)
        self._count += 1
        if len(entry.losses) == len(self.levels) and loss < self._best_loss:
            self._best_loss = loss
            self.version += 1
        if self._count >= self._fit_at:
            self._fit_at = self._count + max(1, self._count // _REFIT_AFTER)
            self._snapshot = [
                (e.number, len(e.losses), e.broken)
                for e in self.entries.values()
                if e.losses or e.broken
            ]
            self._stale = True
            self.version += 1

    @property
    def is_ready(self) -> bool:
        """Whether two trials have come to a rung: of one, nothing can be said."""
        return len(self._snapshot) >= 2

    @property
    def has_ended(self) -> bool:
        """Whether a trial has come to its end."""
        return self._best_loss < math.inf

    def most_expected(self, count: int) -> list[Values]:
        """Values of the trials of the last fit that are expected to end best, the best first."""
        self._refresh()
        order = np.argsort(self._means, kind="stable")[:count]
        return [dict(self.entries[self._fitted[place]].values) for place in order]

    @property
    def best(self) -> float:
        """What has to be beaten, standardised: the best end, or the best that is expected."""
        self._refresh()
        if self._best_loss < math.inf:
            return float(self._to_standard(np.array([self._best_loss]))[0])
        return self._best_expected

    def expected(self, number: int) -> tuple[float, float]:
        """Mean and variance of a trial's final value, standardised."""
        self._refresh()
        entry = self.entries[number]
        key = (number, len(entry.losses))
        if key not in self._cache:
            means, variances = self._at_level(
                len(entry.losses) - 1, np.array(entry.losses[-1:]), entry.at[None]
            )
            self._cache[key] = float(means[0]), float(variances[0])
        return self._cache[key]

    def of_settings(self, at: Floats) -> tuple[Floats, Floats]:
        """[n] means and variances of configurations that have not begun, by their coordinates.

        What runs without a value yet counts as if it would end as expected, so that workers that
        start together start apart.
        """
        self._refresh()
        begun = [e.at for e in self.entries.values() if not e.losses and e.state == "running"]
        means, variances = self._settings.predict(np.zeros(len(at)), self._apart(at))
        if begun:
            near = distances(self.space, at, np.array(begun)).min(1)
            variances = variances * (1.0 - 0.7 * np.exp(-near))
        return means, variances

    def promise(self, number: int) -> float:
        """What a trial promises from where it stands."""
        mean, variance = self.expected(number)
        level = len(self.entries[number].losses)
        return float(self.promises_at(level, np.array([mean]), np.array([variance]))[0])

    def promises_at(self, level: int, means: Floats, variances: Floats) -> Floats:
        """Promises of trials that have passed so many rungs."""
        whole = self.levels[-1]
        before = self.levels[level - 1] if level else 0
        step, rest = (self.levels[level] - before) / whole, 1 - self.levels[level] / whole
        return promises(self.best, means, variances, self._later[level], step, rest)

    def average_promise(self) -> float:
        """Of a random draw, as the trials so far were."""
        self._refresh()
        mean = float(self._means.mean())
        variance = float(self._means.var() + self._variances.mean()) + 0.1
        return float(self.promises_at(0, np.array([mean]), np.array([variance]))[0])

    def promises_of_paused(self) -> dict[int, float]:
        """Number of each paused trial -> its promise."""
        version, known = self._promises
        if version != self.version:
            known = {}
        for number in self.paused:
            if number not in known:
                known[number] = self.promise(number)
        self._promises = (self.version, known)
        return {number: known[number] for number in self.paused}

    def share_left(self, number: int) -> float:
        """Of a whole training, what a trial has still to do."""
        level = len(self.entries[number].losses)
        return 1.0 - (self.levels[level - 1] / self.levels[-1] if level else 0.0)

    def in_loss(self, standardised: float) -> float:
        """A standardised final value as a value loss."""
        return self._middle + self._spread * standardised

    @property
    def spread(self) -> float:
        """Value loss that one standardised unit stands for."""
        return self._spread

    def _to_standard(self, losses: Floats) -> Floats:
        return np.minimum((losses - self._middle) / self._spread, _WORST)

    def _apart(self, at: Floats) -> Floats:
        return distances(self.space, at, self._fitted_at)

    def _refresh(self) -> None:
        if self._stale:
            self._fit()
            self._stale = False
            self._cache.clear()

    def _fit(self) -> None:
        rows = self._chosen()
        counts = np.array([count for _, count, _ in rows])
        entries = [self.entries[number] for number, _, _ in rows]
        at = np.array([entry.at for entry in entries])
        latest = np.array([e.losses[c - 1] for e, c in zip(entries, counts, strict=True) if c])
        self._middle = float(np.median(latest))
        self._spread = 0.6 * max(self._middle - float(latest.min()), 1e-4)
        means, variances = np.full(len(rows), np.nan), np.full(len(rows), np.nan)
        for place, (entry, (_, count, broken)) in enumerate(zip(entries, rows, strict=True)):
            if broken or count == len(self.levels):
                end = _WORST if broken else float(self._to_standard(np.array(entry.losses[-1:]))[0])
                means[place], variances[place] = end, 1e-4
        self._rungs: dict[int, _Rung] = {}
        self._later = [_LATER] * len(self.levels)
        for level in range(len(self.levels) - 2, -1, -1):
            there = counts > level
            if not there.any():
                continue
            losses = np.array([entries[i].losses[level] for i in np.flatnonzero(there)])
            self._fit_rung(level, there, losses, at, means, variances)
            last = counts == level + 1
            if last.any():
                self._later[level] = float(variances[last].mean())
        known = ~np.isnan(means)
        self._fitted = [rows[place][0] for place in np.flatnonzero(known)]
        self._means, self._variances, self._fitted_at = means[known], variances[known], at[known]
        zeros, apart = np.zeros(len(self._means)), self._apart(self._fitted_at)
        self._settings = RungModel(FROM_SETTINGS, zeros, apart, self._means, self._variances)
        self._best_expected = float(self._means.min())

    def _fit_rung(
        self,
        level: int,
        there: np.typing.NDArray[np.bool_],
        losses: Floats,
        at: Floats,
        means: Floats,
        variances: Floats,
    ) -> None:
        """Fit one rung and fill in what it says of the trials that came no further."""
        middle = float(np.median(losses))
        rung = _Rung(None, at[:0], middle, 0.6 * max(middle - float(losses.min()), 1e-5))
        values = np.full(len(at), np.nan)
        values[there] = rung.standardised(losses)
        known = there & ~np.isnan(means)
        if known.any():
            apart = distances(self.space, at[known], at[known])
            model = RungModel(FROM_RUNG, values[known], apart, means[known], variances[known])
            rung = _Rung(model, at[known], rung.middle, rung.spread)
        self._rungs[level] = rung
        new = there & np.isnan(means)
        if new.any():
            raw = np.array([loss for loss, n in zip(losses, new[there], strict=True) if n])
            means[new], variances[new] = self._at_level(level, raw, at[new])

    def _at_level(self, level: int, losses: Floats, at: Floats) -> tuple[Floats, Floats]:
        """Means and variances of final values, from losses at one rung."""
        if level == len(self.levels) - 1:
            return self._to_standard(losses), np.full(len(losses), 1e-4)
        rung = self._rungs.get(level)
        if rung is None:
            return np.zeros(len(losses)), np.ones(len(losses))
        values = rung.standardised(losses)
        if rung.model is None:
            return _UNKNOWN_SLOPE * values, np.full(len(losses), _UNKNOWN_VARIANCE)
        return rung.model.predict(values, distances(self.space, at, rung.at))

    def _chosen(self) -> list[tuple[int, int, bool]]:
        """The trials of a fit: all, or the best and the newest."""
        rows = self._snapshot
        if len(rows) <= _FITTED:
            return rows
        newest = rows[-(_FITTED - _BEST) :]

        def standing(row: tuple[int, int, bool]) -> tuple[int, float]:
            number, count, _ = row
            return (-count, self.entries[number].losses[count - 1]) if count else (1, 0.0)

        best = sorted(rows[: -(_FITTED - _BEST)], key=standing)[:_BEST]
        return sorted(best + newest)
