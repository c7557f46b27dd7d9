"""Gradients, activations and calibration of the leaders over their training, from their curves."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from hexsearch.leaderboard.rows import Row
from hexsearch.ledger.game_losses import CURVE
from hexsearch.report.html.study import Study
from hexsearch.report.html.thinning import evenly
from hexsearch.training.atomic import read_whole

_POINTS = 60  # of a line at most


@dataclass(frozen=True)
class Health:
    """Health of one trial at each report.

    Attributes:
        gradients: part of the network -> norm of its gradient before clipping.
        updates: part of the network -> size of a step relative to the weights.
        dead: place -> share of dead units.
        calibration_error: calibration error of the answers on validation games.
    """

    trial: str
    name: str
    positions: list[int]
    gradients: dict[str, list[float | None]]
    updates: dict[str, list[float | None]]
    dead: dict[str, list[float | None]]
    calibration_error: list[float | None]


def health_of(study: Study, rows: list[Row]) -> list[Health]:
    """Health of the first trial of each row whose curve is in the study's folder."""
    found = []
    for row in rows:
        trial = row.trial_ids[0]
        reports = evenly(_read_curve(study, trial), _POINTS)
        if reports:
            found.append(_health(trial, row.name, reports))
    return found


def _health(trial: str, name: str, reports: list[dict[str, Any]]) -> Health:
    def lines(*path: str) -> dict[str, list[float | None]]:
        found = [_below(report, *path) for report in reports]
        parts = dict.fromkeys(part for values in found for part in values)
        return {part: [_figure(values, part) for values in found] for part in parts}

    places = dict.fromkeys(place for report in reports for place in _below(report, "activations"))
    return Health(
        trial=trial,
        name=name,
        positions=[int(report["positions_seen"]) for report in reports],
        gradients=lines("gradients", "norms"),
        updates=lines("gradients", "update_ratio"),
        dead={
            place: [_figure(_below(report, "activations", place), "dead") for report in reports]
            for place in places
        },
        calibration_error=[
            _figure(_below(report, "metrics", "overall"), "calibration_error") for report in reports
        ],
    )


def _below(report: dict[str, Any], *path: str) -> dict[str, Any]:
    for name in path:
        inner = report.get(name)
        report = inner if isinstance(inner, dict) else {}
    return report


def _figure(values: dict[str, Any], name: str) -> float | None:
    figure = values.get(name)
    return figure if isinstance(figure, int | float) else None


def _read_curve(study: Study, trial: str) -> list[dict[str, Any]]:
    """The full reports of a trial, the last one for each point; none without its files."""
    path = study.folder.trial(trial) / CURVE
    reports: dict[int, dict[str, Any]] = {}
    try:
        for line in read_whole(path).splitlines():
            report = json.loads(line)
            reports[int(report["positions_seen"])] = report
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        pass  # missing, or the last line is being written
    return [reports[positions] for positions in sorted(reports)]
