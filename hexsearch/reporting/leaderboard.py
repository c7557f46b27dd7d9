"""Who leads, and how sure: rows of a leaderboard from a study's ledger."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np

from hexsearch.reporting.statistics import game_table, game_variance
from hexsearch.reporting.variance import DEFAULT_SEED_SD
from hexsearch.search.evidence import read_game_losses
from hexsearch.search.folder import StudyFolder
from hexsearch.search.history import StudyHistory, TrialHistory
from hexsearch.search.ledger import is_held, read_ledger
from hexsearch.training.metrics import GameLosses

By = Literal["variant", "trial"]
_STATUS_ORDER = ("completed", "running", "waiting", "stopped", "pruned", "failed")
_SHORT = {"learning_rate": "lr", "weight_decay": "wd", "batch_size": "batch"}
_EVIDENCE_LIMIT = 200  # rows behind the leader whose per-game losses are read


@dataclass
class Row:
    """One variant, or one trial.

    Attributes:
        value_loss: mean over seeds at `positions_seen`, which is as far as any of them came;
            low and high: its 95% interval over games and seeds.
        tied_with_leader: the paired difference to the leader's 95% interval, seeds included,
            holds 0; None where they were not compared at equal positions.
    """

    rank: int | None
    name: str
    head: str
    status: str
    reason: str
    trial_ids: list[str]
    seeds: int
    positions_seen: int
    value_loss: float | None
    value_loss_low: float | None
    value_loss_high: float | None
    accuracy: float | None
    stages: dict[str, dict[str, float]]
    to_end: dict[str, dict[str, float]]
    parameters: int | None
    verdict: str
    tied_with_leader: bool | None = None
    values: dict[str, Any] = field(default_factory=dict)


@dataclass
class Leaderboard:
    """A whole table: rows best first, then what is reached without a network."""

    study: str
    state: str
    by: By
    rows: list[Row]
    floors: list[dict[str, Any]]
    warnings: list[str] = field(default_factory=list)

    def to_json(self, top: int | None = None) -> dict[str, Any]:
        """The contract of `leaderboard --format json`."""
        return {**asdict(self), "rows": [asdict(row) for row in self.rows[:top]]}


def read_leaderboard(folder: StudyFolder, by: By = "variant") -> Leaderboard:
    """The leaderboard of a study folder, running, interrupted or finished.

    Raises:
        LedgerError: no study, or a damaged ledger.
    """
    history = StudyHistory.of(read_ledger(folder.ledger))
    state = history.state
    if state == "running" and not is_held(folder.ledger):
        state = "interrupted"  # its driver is gone without a word
    return build_leaderboard(history, folder, by, state)


def build_leaderboard(
    history: StudyHistory, folder: StudyFolder, by: By = "variant", state: str | None = None
) -> Leaderboard:
    """Rows of a history, best first. Trials are only compared at equal positions seen."""
    groups: dict[str, list[TrialHistory]] = {}
    for trial in history.trials.values():
        groups.setdefault(trial.variant if by == "variant" else trial.trial, []).append(trial)
    spread = _seed_deviation(_completed_losses(groups.values()))
    rows = [_row(trials, spread) for trials in groups.values()]
    if (state or history.state) != "running":
        for row in rows:
            if row.status in ("running", "waiting"):
                row.status = "interrupted"
    rows.sort(key=_order)
    ranked = [row for row in rows if row.value_loss is not None]
    for rank, row in enumerate(ranked, start=1):
        row.rank = rank
    if ranked:
        _mark_ties(ranked, history, folder, spread)
    return Leaderboard(
        study=folder.name,
        state=state or history.state,
        by=by,
        rows=rows,
        floors=history.floors,
        warnings=history.warnings,
    )


def _row(trials: list[TrialHistory], spread: float) -> Row:
    furthest = max(trials, key=lambda trial: (trial.positions_seen, -trial.number))
    seen = furthest.positions_seen
    reports = [trial.reports[-1] for trial in trials if seen and trial.positions_seen == seen]
    status = min((trial.status for trial in trials), key=_STATUS_ORDER.index)
    row = Row(
        rank=None,
        name=variant_name(furthest),
        head=furthest.head,
        status=status,
        reason=next((trial.reason for trial in trials if trial.status == status), ""),
        trial_ids=[trial.trial for trial in trials],
        seeds=len(trials),
        positions_seen=seen,
        value_loss=None,
        value_loss_low=None,
        value_loss_high=None,
        accuracy=None,
        stages={},
        to_end={},
        parameters=None,
        verdict="",
        values=furthest.values,
    )
    if reports:
        row.value_loss = _mean([report["value_loss"] for report in reports])
        # Seeds are judged on the same games, so more seeds shrink their own spread only.
        errors = [report["value_loss_se"] or 0.0 for report in reports]
        low, high = _interval(row.value_loss, _mean(errors), spread / math.sqrt(len(reports)))
        row.value_loss_low, row.value_loss_high = max(0.0, low), high
        row.accuracy = _mean([report["accuracy"] for report in reports])
        row.stages = _mean_slices(reports, "stages")
        row.to_end = _mean_slices(reports, "to_end")
        row.parameters = reports[0]["parameters"]
        row.verdict = next(
            (report["verdict"] for report in reports if report["verdict"] != "healthy"), "healthy"
        )
    return row


def _order(row: Row) -> tuple[float, float, int]:
    """Further is better evidence; at equal positions the smaller loss leads."""
    loss = math.inf if row.value_loss is None else row.value_loss
    return (-row.positions_seen, loss, int(row.trial_ids[0][1:]))


def _mark_ties(
    ranked: list[Row], history: StudyHistory, folder: StudyFolder, spread: float
) -> None:
    leader = ranked[0]
    leader.tied_with_leader = True
    leading = _evidence(leader, history, folder)
    for row in ranked[:_EVIDENCE_LIMIT]:
        if row is not leader and row.positions_seen == leader.positions_seen and leading:
            row.tied_with_leader = _is_tied(_evidence(row, history, folder), leading, spread)


def _is_tied(
    ours: Sequence[GameLosses], theirs: Sequence[GameLosses], spread: float
) -> bool | None:
    pairs = [_paired_difference(mine, other) for mine in ours for other in theirs]
    pairs = [pair for pair in pairs if not math.isnan(pair[0])]
    if not pairs:
        return None
    difference = _mean([gap for gap, _ in pairs])
    of_games = _mean([error for _, error in pairs])
    of_seeds = spread * math.sqrt(1 / len(ours) + 1 / len(theirs))
    low, high = _interval(difference, of_games, of_seeds)
    return low <= 0.0 <= high


def _evidence(row: Row, history: StudyHistory, folder: StudyFolder) -> list[GameLosses]:
    found = [
        read_game_losses(folder.trial(name), row.positions_seen)
        for name in row.trial_ids
        if history.trials[name].positions_seen == row.positions_seen
    ]
    return [losses for losses in found if losses is not None]


def variant_name(trial: TrialHistory) -> str:
    """The head, then every other searched value: `512->64->1 bce lr=0.004`.

    A value that is text, such as a read-out's or a curriculum's name, speaks for itself.
    """
    parts = [trial.head]
    for name, value in trial.values.items():
        if name != "value_head":
            last = name.rpartition(".")[2]
            shown = _show(value)
            parts.append(shown if isinstance(value, str) else f"{_SHORT.get(last, last)}={shown}")
    return " ".join(parts)


def _show(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3g}"
    if isinstance(value, dict):
        return "(" + ",".join(f"{key}:{_show(inner)}" for key, inner in value.items()) + ")"
    return str(value)


def _completed_losses(groups: Any) -> list[list[float]]:
    return [
        [trial.value_loss for trial in trials if trial.status == "completed" and trial.reports]
        for trials in groups
    ]


def _mean_slices(reports: list[dict[str, Any]], cut: str) -> dict[str, dict[str, float]]:
    return {
        name: {key: _mean([report[cut][name][key] for report in reports]) for key in part}
        for name, part in reports[0][cut].items()
    }


def _paired_difference(ours: GameLosses, theirs: GameLosses) -> tuple[float, float]:
    table = game_table([ours, theirs])
    if table is None:
        return math.nan, math.nan
    variance = game_variance(table.influence[0] - table.influence[1])
    return float(table.means[0] - table.means[1]), math.sqrt(float(variance))


def _seed_deviation(losses_by_variant: Sequence[Sequence[float]]) -> float:
    squares, freedom = 0.0, 0
    for losses in losses_by_variant:
        squares += float(len(losses) * np.var(losses)) if losses else 0.0
        freedom += max(0, len(losses) - 1)
    return math.sqrt(squares / freedom) if freedom else DEFAULT_SEED_SD


def _interval(mean: float, *standard_errors: float) -> tuple[float, float]:
    half = 1.959964 * math.hypot(*standard_errors)
    return mean - half, mean + half


def _mean(numbers: Sequence[float]) -> float:
    return sum(numbers) / len(numbers)
