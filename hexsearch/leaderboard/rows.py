"""One row of a leaderboard: a variant with its seeds, or a single trial, as its reports tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from hexsearch.ledger.history import TrialHistory

CONTROL = "negative control"
_STATUS_ORDER = ("completed", "running", "waiting", "stopped", "paused", "pruned", "failed")
_SHORT = {"learning_rate": "lr", "weight_decay": "wd", "batch_size": "batch"}


@dataclass
class Row:
    """One variant, or one trial. Figures are means over its runs that came furthest.

    Attributes:
        rank: 1 for the first, equal for rows that cannot be told from the best among them; None
            where there is nothing to rank: failures, negative controls.
        seeds: how many the variant was tried with; completed, pruned and failed count its trials.
        value_loss: Brier score on validation at `positions_seen`, of the board's stage if it has
            one; low and high: its 95% interval over games and future seeds.
        difference: value loss less the leader's, paired by game and seed, as seen; low and high:
            95% interval of the true one, which allows for the leader's having been picked and so
            lies lower; None, like the rest below, where rows were not judged at equal positions.
        p_adjusted: chance of such a difference if there is none, by Holm over all rows compared.
        group: 0 for the leader and rows that cannot be told from it, 1 for the next best and
            those that cannot be told from that one, and so on. tied_with_leader: group 0.
        failures: `trial`, `reason` and `log` (the end of what its worker said) of failed trials.
        expected_value_loss: expected on the same games with fresh seeds, luck of the search
            allowed for. probability_best: that no other row is truly better.
    """

    rank: int | None
    name: str
    head: str
    status: str
    reason: str
    trial_ids: list[str]
    seeds: int
    completed: int
    pruned: int
    failed: int
    positions_seen: int
    failures: list[dict[str, str]] = field(default_factory=list)
    value_loss: float | None = None
    value_loss_low: float | None = None
    value_loss_high: float | None = None
    difference: float | None = None
    difference_low: float | None = None
    difference_high: float | None = None
    p_adjusted: float | None = None
    group: int | None = None
    tied_with_leader: bool | None = None
    expected_value_loss: float | None = None
    probability_best: float | None = None
    accuracy: float | None = None
    log_loss: float | None = None
    calibration_error: float | None = None
    stages: dict[str, dict[str, float]] = field(default_factory=dict)
    to_end: dict[str, dict[str, float]] = field(default_factory=dict)
    parameters: int | None = None
    mflops: float | None = None
    microseconds: float | None = None
    verdict: str = ""
    values: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Entry:
    """A row with the trials behind it.

    Attributes:
        runs: those that came as far as any of them; their last reports make the row.
    """

    row: Row
    runs: list[TrialHistory]

    @property
    def value_loss_se(self) -> float | None:
        """Over games, of one run; None if unknown."""
        return mean_of(self.runs, "value_loss_se")


def make_entry(trials: Sequence[TrialHistory], stage: str | None) -> Entry:
    """The row of a variant's trials, not yet ranked or compared."""
    going = [trial for trial in trials if trial.status != "failed"] or trials
    furthest = max(going, key=lambda trial: (trial.positions_seen, -trial.number))
    seen = furthest.positions_seen
    runs = [trial for trial in going if seen and trial.positions_seen == seen]
    status: str = min((trial.status for trial in trials), key=_STATUS_ORDER.index)
    reason = next((trial.reason for trial in trials if trial.status == status), "")
    if furthest.is_control:
        status, reason = CONTROL, "never ranked: its loss and its probability disagree"

    def count(wanted: str) -> int:
        return sum(trial.status == wanted for trial in trials)

    row = Row(
        rank=None,
        name=variant_name(furthest),
        head=furthest.head,
        status=status,
        reason=reason,
        trial_ids=[trial.trial for trial in trials],
        seeds=len({trial.replicate for trial in trials}),
        completed=count("completed"),
        pruned=count("pruned") + count("paused"),
        failed=count("failed"),
        positions_seen=seen,
        failures=[
            {"trial": trial.trial, "reason": trial.reason, "log": trial.log}
            for trial in trials
            if trial.status == "failed"
        ],
        values=furthest.values,
    )
    if runs:
        _fill(row, runs, stage)
    return Entry(row, runs)


def _fill(row: Row, runs: list[TrialHistory], stage: str | None) -> None:
    reports = [trial.reports[-1] for trial in runs]
    row.stages, row.to_end = _mean_slices(reports, "stages"), _mean_slices(reports, "to_end")
    if stage is None:
        row.value_loss, row.accuracy = mean_of(runs, "value_loss"), mean_of(runs, "accuracy")
        row.log_loss = mean_of(runs, "log_loss")
        row.calibration_error = mean_of(runs, "calibration_error")
    elif stage in row.stages:
        row.value_loss = row.stages[stage]["value_loss"]
        row.accuracy = row.stages[stage]["accuracy"]
    row.parameters = reports[0]["parameters"]
    row.mflops = mean_of(runs, "mflops")
    row.microseconds = mean_of(runs, "microseconds")
    verdicts = [report["verdict"] for report in reports]
    row.verdict = next((verdict for verdict in verdicts if verdict != "healthy"), "healthy")


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


def mean_of(runs: Sequence[TrialHistory], name: str) -> float | None:
    """Mean of a figure over last reports; None where one of them lacks it."""
    figures = [trial.reports[-1].get(name) for trial in runs]
    known = [float(figure) for figure in figures if figure is not None]
    return sum(known) / len(known) if known and len(known) == len(figures) else None


def _show(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3g}"
    if isinstance(value, dict):
        return "(" + ",".join(f"{key}:{_show(inner)}" for key, inner in value.items()) + ")"
    return str(value)


def _mean_slices(reports: list[dict[str, Any]], cut: str) -> dict[str, dict[str, float]]:
    if len(reports) == 1:
        alone: dict[str, dict[str, float]] = reports[0][cut]
        return alone
    return {
        name: {
            key: sum(report[cut][name][key] for report in reports) / len(reports) for key in part
        }
        for name, part in reports[0][cut].items()
    }
