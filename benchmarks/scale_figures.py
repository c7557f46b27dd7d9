"""The figures of `scale.py` at a number of trials, and their plots."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from hexsearch.report.drawing import ACCENT, FAINT, INK, Axes, Drawing

TERMS = {  # name of a figure -> title and unit
    "events_ms": ("time per record", "ms"),
    "suggestion_ms": ("median suggestion", "ms"),
    "memory_mb": ("driver memory", "MB"),
    "ledger_mb": ("ledger", "MB"),
    "replay_s": ("replay", "s"),
    "leaderboard_s": ("leaderboard", "s"),
}
_A_ROW = 3  # panels
_STARTING = 5  # trials a worker, until which most records are suggestions and not reports


@dataclass
class Point:
    """Figures after a number of ended trials. Times are CPU times.

    Attributes:
        events_ms: time of a record since the last point, with all that the driver does meanwhile.
        suggestion_ms: median time of a suggestion since the last point.
        memory_mb: resident memory of the driver.
        replay_s: time to read the ledger in a new process, without the start of the process.
        leaderboard_s: time for the leaderboard as JSON, as well.
        cpu_s: time of the whole run so far.
    """

    trials: int
    records: int
    reports: int
    ledger_bytes: int
    events_ms: float
    suggestion_ms: float
    memory_mb: float
    cpu_s: float
    replay_s: float = 0.0
    leaderboard_s: float = 0.0

    @property
    def ledger_mb(self) -> float:
        return self.ledger_bytes / 1e6

    def __str__(self) -> str:
        return (
            f"{self.trials:,} trials, {self.reports:,} reports, {self.records:,} records: "
            f"{self.events_ms:.3f} ms a record, {self.suggestion_ms:.1f} ms a suggestion, "
            f"memory {self.memory_mb:.0f} MB, ledger {self.ledger_mb:.0f} MB, "
            f"replay {self.replay_s:.2f} s, leaderboard {self.leaderboard_s:.2f} s, "
            f"{self.cpu_s:.0f} s so far"
        )


def exponents_of(points: list[Point]) -> dict[str, float]:
    """For each term, the exponent b of the power law a * trials**b, fitted on logarithms."""
    x = np.log([point.trials for point in points])
    return {
        name: float(np.polyfit(x, np.log([getattr(point, name) for point in points]), 1)[0])
        for name in TERMS
    }


def without_the_start(points: list[Point], workers: int) -> list[Point]:
    """The points at which the workers are a small part of the study; all if fewer than two are."""
    settled = [point for point in points if point.trials >= _STARTING * workers]
    return settled if len(settled) > 1 else points


def draw(points: list[Point], exponents: dict[str, float]) -> str:
    """Draw a panel for each term, with both scales from 0."""
    side, gap, high = 180.0, 70.0, 280.0
    rows = math.ceil(len(TERMS) / _A_ROW)
    picture = Drawing(gap + _A_ROW * (side + gap), rows * high + 10)
    most = max(point.trials for point in points)
    for place, (name, (title, unit)) in enumerate(TERMS.items()):
        top = _round_above(max(getattr(point, name) for point in points))
        left, above = gap + place % _A_ROW * (side + gap), place // _A_ROW * high
        axes = Axes(picture, left, above + 50, side, side, (0, 1.05 * most), (0, top))
        axes.ticks([0, most / 2, most], [0, top / 2, top], "{:,.0f}", "{:,g}")
        picture.text((left, above + 22), f"{title}, {unit}", 13, INK, bold=True)
        picture.text((left, above + 40), f"grows as trials^{exponents[name]:.2f}", 11, FAINT)
        found = [axes.at(point.trials, getattr(point, name)) for point in points]
        picture.path(found, ACCENT)
        for at in found:
            picture.dot(at, 3.5, ACCENT)
        picture.text((left + side / 2, above + side + 90), "trials", 11, FAINT, "middle")
    return picture.to_svg()


def _round_above(value: float) -> float:
    """The next round number for an axis, whose half is round as well."""
    power = 10.0 ** math.floor(math.log10(value))
    return next(first * power for first in (1, 2, 4, 6, 8, 10) if first * power >= value)
