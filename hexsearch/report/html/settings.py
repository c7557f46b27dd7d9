"""Effect of settings: value loss for their values, and the share that each explains."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hexsearch.config.section import as_yaml
from hexsearch.report.html.curves import losses_of
from hexsearch.report.html.study import Study
from hexsearch.report.html.thinning import evenly
from hexsearch.statistics.importance import Importance, importances

_POINTS = 1500  # at most


@dataclass(frozen=True)
class Setting:
    """One searched setting.

    Attributes:
        choices: the values in order; None for a number.
        log: whether it has a logarithmic scale.
    """

    name: str
    choices: list[str] | None
    log: bool


@dataclass(frozen=True)
class Point:
    """One trial: its values in the order of the settings, and its losses."""

    trial: str
    status: str
    values: list[str | float | None]
    losses: dict[str, float | None]


@dataclass(frozen=True)
class Settings:
    """The searched settings with their effects.

    Attributes:
        positions: positions seen at which the losses were measured.
        importances: importances for the value loss overall or in one stage, the largest first;
            empty for fewer than eight trials.
        note: note on the trials that are used, and on those that were left out.
    """

    positions: int
    settings: list[Setting]
    points: list[Point]
    importances: dict[str, list[Importance]]
    note: str


def settings_of(study: Study) -> Settings:
    """The settings, with trials compared at the positions where most of them were evaluated."""
    counts: Counter[int] = Counter()
    for trial in study.trials.values():
        if not trial.is_control and not trial.is_rerun:
            counts.update(point.positions_seen for point in trial.curve)
    if not counts:
        return Settings(0, [], [], {}, "")
    level = max(counts, key=lambda positions: (counts[positions], positions))
    points = _points(study, level)
    names = list(dict.fromkeys(name for _, values, _ in points for name in values))
    settings = [
        _setting(name, [values.get(name) for _, values, _ in points], study) for name in names
    ]
    known = [(trial, values, losses) for trial, values, losses in points]
    found = {
        part: importances(
            {name: [_plain(values.get(name)) for _, values, _ in known] for name in names},
            np.array([losses[part] for _, _, losses in known], dtype=np.float64),
            np.random.default_rng(0),
        )
        for part in ("overall", "early", "middle", "late")
        if all(losses[part] is not None for _, _, losses in known)
    }
    shown = evenly(points, _POINTS)
    note = f"value loss after {level:,} positions, where {len(points):,} trials were evaluated"
    if len(shown) < len(points):
        note += f"; {len(shown):,} of them, evenly selected, are drawn"
    statuses = study.trials
    return Settings(
        positions=level,
        settings=settings,
        points=[
            Point(
                trial, statuses[trial].status, [_plain(values.get(name)) for name in names], losses
            )
            for trial, values, losses in shown
        ],
        importances=found,
        note=note,
    )


_Point = tuple[str, dict[str, Any], dict[str, float | None]]


def _points(study: Study, level: int) -> list[_Point]:
    points = []
    for event in study.reports:
        trial = study.trials.get(event.trial)
        if trial is None or trial.is_control or trial.is_rerun:
            continue
        if event.report.positions_seen == level:
            metrics = event.report.metrics
            points.append((trial.trial, trial.values, losses_of(metrics)))
    return points


def _setting(name: str, column: Sequence[Any], study: Study) -> Setting:
    dimension = study.config.get("search", {}).get(name, {})
    is_number = all(value is None or isinstance(value, (int, float)) for value in column)
    if is_number and "choice" not in dimension:
        return Setting(name, None, bool(dimension.get("log", False)))
    named = dict.fromkeys(str(_plain(value)) for value in column if value is not None)
    return Setting(name, list(named), False)


def _plain(value: Any) -> str | float | None:
    """A value in the form that a chart needs."""
    if value is None or (isinstance(value, (int, float)) and not isinstance(value, bool)):
        return value
    if isinstance(value, dict):
        return ", ".join(f"{key}={as_yaml(part)}" for key, part in value.items())
    return as_yaml(value)
