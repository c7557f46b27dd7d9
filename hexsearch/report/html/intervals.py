"""The leaders' intervals, and their losses by stage and by plies to the end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hexsearch.leaderboard.leaderboard import Leaderboard
from hexsearch.leaderboard.rows import Row
from hexsearch.ledger.report import SliceSummary

_ROWS = 25  # at most
Losses = list[float | None]


@dataclass(frozen=True)
class Interval:
    """The interval of one row; `group` as in Row."""

    name: str
    value_loss: float
    low: float | None
    high: float | None
    group: int | None
    positions: int


@dataclass(frozen=True)
class LeaderIntervals:
    """The first rows of the leaderboard, and the baselines' losses by name."""

    rows: list[Interval]
    baselines: dict[str, float]


@dataclass(frozen=True)
class SliceLosses:
    """Value loss of one row or baseline on each slice, in the order of the slices."""

    name: str
    is_baseline: bool
    stages: Losses
    to_end: Losses


@dataclass(frozen=True)
class Slices:
    """Value losses of the leaders in the parts of a game."""

    stages: list[str]
    to_end: list[str]
    lines: list[SliceLosses]


def intervals_of(board: Leaderboard) -> LeaderIntervals:
    """The intervals of the ranked rows."""
    rows = [
        Interval(
            row.name,
            row.value_loss,
            row.value_loss_low,
            row.value_loss_high,
            row.group,
            row.positions_seen,
        )
        for row in board.rows
        if row.rank is not None and row.value_loss is not None
    ]
    baselines = {b.name: b.metrics.overall.value_loss for b in board.baselines}
    return LeaderIntervals(rows[:_ROWS], baselines)


def slices_of(board: Leaderboard, leaders: list[Row]) -> Slices:
    """Value losses of the leaders and the baselines, on the slices of the first leader."""
    if not leaders:
        return Slices([], [], [])
    stages, to_end = list(leaders[0].stages), list(leaders[0].to_end)
    lines = [
        SliceLosses(row.name, False, _on(row.stages, stages), _on(row.to_end, to_end))
        for row in leaders
    ]
    lines += [
        SliceLosses(
            baseline.name,
            True,
            _on(baseline.metrics.stages, stages),
            _on(baseline.metrics.to_end, to_end),
        )
        for baseline in board.baselines
    ]
    return Slices(stages, to_end, lines)


def _on(slices: Mapping[str, SliceSummary], names: list[str]) -> Losses:
    return [slices[name].value_loss if name in slices else None for name in names]
