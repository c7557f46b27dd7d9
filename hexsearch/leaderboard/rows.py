"""One row of a leaderboard: a variant with its seeds, or a single trial, as its reports tell."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from hexsearch.ledger.history import TrialHistory
from hexsearch.ledger.report import ReportSummary, SliceSummary
from hexsearch.training.metrics import SliceMetrics

CONTROL = "negative control"
_STATUS_ORDER = ("completed", "running", "waiting", "stopped", "paused", "pruned", "failed")
_SHORT = {"learning_rate": "lr", "weight_decay": "wd", "batch_size": "batch"}


@dataclass(frozen=True)
class Failure:
    """Why a trial failed, with the end of what its worker printed."""

    trial: str
    reason: str
    log: str


@dataclass(frozen=True)
class Row:
    """One variant, or one trial. Figures are means over its runs that came furthest.

    Attributes:
        rank: 1 for the first, equal for rows that cannot be told from the best among them; None
            where there is nothing to rank: failures, negative controls.
        seeds: how many the variant was tried with; completed, pruned and failed count its trials.
        value_loss: Brier score on validation at `positions_seen`, of the board's stage if it has
            one; low and high: its 95% interval over games and future seeds.
        difference: value loss less the leader's, paired by game and seed, as measured; low and
            high: 95% interval of the true one, which allows for the leader's having been picked
            and so lies lower; None, like the rest below, for rows that were not compared.
        p_adjusted: chance of such a difference if there is none, by Holm over all rows compared.
        group: 0 for the leader and rows that cannot be told from it, 1 for the next best and
            those that cannot be told from that one, and so on. tied_with_leader: group 0.
        expected_value_loss: expected on the same games with fresh seeds, luck of the search
            allowed for. probability_best: that no other row is truly better.
        elo: of its best network in the phase `match`, with a 95% interval, 0 on average;
            milliseconds_per_move: there.
        values: setting -> value, of the settings that the study searched.
    """

    name: str
    head: str
    status: str
    reason: str
    trial_ids: tuple[str, ...]
    seeds: int
    completed: int
    pruned: int
    failed: int
    positions_seen: int
    rank: int | None = None
    failures: tuple[Failure, ...] = ()
    value_loss: float | None = None
    value_loss_low: float | None = None
    value_loss_high: float | None = None
    difference: float | None = None
    difference_low: float | None = None
    difference_high: float | None = None
    p_adjusted: float | None = None
    group: int | None = None
    expected_value_loss: float | None = None
    probability_best: float | None = None
    elo: float | None = None
    elo_low: float | None = None
    elo_high: float | None = None
    milliseconds_per_move: float | None = None
    accuracy: float | None = None
    log_loss: float | None = None
    calibration_error: float | None = None
    stages: Mapping[str, SliceSummary] = field(default_factory=dict)
    to_end: Mapping[str, SliceSummary] = field(default_factory=dict)
    parameters: int | None = None
    mflops: float | None = None
    microseconds: float | None = None
    verdict: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)

    @property
    def tied_with_leader(self) -> bool | None:
        """Whether it is the leader or cannot be told from it; None if it was not compared."""
        return None if self.group is None else self.group == 0

    @property
    def is_ranked(self) -> bool:
        """Whether there is something to rank."""
        return self.value_loss is not None and self.status not in ("failed", CONTROL)


@dataclass(frozen=True)
class Entry:
    """A row with the trials behind it.

    Attributes:
        runs: those that came as far as any of them; their last reports make the row.
    """

    row: Row
    runs: tuple[TrialHistory, ...]

    @property
    def value_loss_se(self) -> float | None:
        """Over games, of one run; None if unknown."""
        return mean(report.metrics.overall.value_loss_se for report in last_reports(self.runs))


def make_entry(trials: Sequence[TrialHistory], stage: str | None = None) -> Entry:
    """The row of a variant's trials, not yet ranked or compared."""
    going = [trial for trial in trials if trial.status != "failed"] or trials
    furthest = max(going, key=lambda trial: (trial.positions_seen, -trial.number))
    seen = furthest.positions_seen
    runs = tuple(trial for trial in going if seen and trial.positions_seen == seen)
    status: str = min((trial.status for trial in trials), key=_STATUS_ORDER.index)
    reason = next((trial.reason for trial in trials if trial.status == status), "")
    if furthest.is_control:
        status, reason = CONTROL, "never ranked: its loss and its probability disagree"

    def count(wanted: str) -> int:
        return sum(trial.status == wanted for trial in trials)

    row = Row(
        name=variant_name(furthest),
        head=furthest.head,
        status=status,
        reason=reason,
        trial_ids=tuple(trial.trial for trial in trials),
        seeds=len({trial.replicate for trial in trials}),
        completed=count("completed"),
        pruned=count("pruned") + count("paused"),
        failed=count("failed"),
        positions_seen=seen,
        failures=tuple(
            Failure(trial.trial, trial.reason, trial.log)
            for trial in trials
            if trial.status == "failed"
        ),
        values=furthest.values,
    )
    return Entry(_with_figures(row, last_reports(runs), stage) if runs else row, runs)


def last_reports(runs: Sequence[TrialHistory]) -> list[ReportSummary]:
    """The last report of each run that has one."""
    return [run.last_report for run in runs if run.last_report is not None]


def mean(figures: Iterable[float | None]) -> float | None:
    """Their mean; None where one of them is unknown or nan."""
    known = list(figures)
    numbers = [float(figure) for figure in known if figure is not None and figure == figure]
    return sum(numbers) / len(numbers) if numbers and len(numbers) == len(known) else None


def variant_name(trial: TrialHistory) -> str:
    """The head, then every other searched value: `512->64->1 bce lr=0.004`.

    A value that is text, such as a read-out's or a curriculum's name, speaks for itself.
    """
    parts = [trial.head]
    for name, value in trial.values.items():
        if name != "value_head":
            last = name.rpartition(".")[2]
            text = _text(value)
            parts.append(text if isinstance(value, str) else f"{_SHORT.get(last, last)}={text}")
    return " ".join(parts)


def _with_figures(row: Row, reports: Sequence[ReportSummary], stage: str | None) -> Row:
    stages = _mean_slices([report.metrics.stages for report in reports])
    overall = [report.metrics.overall for report in reports]
    part = None if stage is None else stages.get(stage)
    whole = stage is None  # log loss and calibration are not kept for a stage
    return replace(
        row,
        value_loss=_whole_or_part(overall, part, whole, lambda metrics: metrics.value_loss),
        accuracy=_whole_or_part(overall, part, whole, lambda metrics: metrics.accuracy),
        log_loss=mean(metrics.log_loss for metrics in overall) if whole else None,
        calibration_error=mean(m.calibration_error for m in overall) if whole else None,
        stages=stages,
        to_end=_mean_slices([report.metrics.to_end for report in reports]),
        parameters=reports[0].parameters,
        mflops=mean(report.mflops for report in reports),
        microseconds=mean(report.microseconds for report in reports),
        verdict=next((r.verdict for r in reports if r.verdict != "healthy"), "healthy"),
    )


def _whole_or_part(
    overall: Sequence[SliceMetrics],
    part: SliceSummary | None,
    whole: bool,
    figure: Callable[[SliceMetrics | SliceSummary], float],
) -> float | None:
    """A figure over all positions, or of the stage that rows are ranked by."""
    if whole:
        return mean(figure(metrics) for metrics in overall)
    return None if part is None else figure(part)


def _mean_slices(reports: Sequence[Mapping[str, SliceSummary]]) -> Mapping[str, SliceSummary]:
    """The mean of each slice; all runs of a study are evaluated on the same positions."""
    if len(reports) == 1:
        return reports[0]

    def over_runs(name: str, figure: Callable[[SliceSummary], float]) -> float:
        return sum(figure(report[name]) for report in reports) / len(reports)

    return {
        name: SliceSummary(
            value_loss=over_runs(name, lambda part: part.value_loss),
            accuracy=over_runs(name, lambda part: part.accuracy),
            positions=part.positions,
        )
        for name, part in reports[0].items()
    }


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3g}"
    if isinstance(value, dict):
        return "(" + ",".join(f"{key}:{_text(inner)}" for key, inner in value.items()) + ")"
    return str(value)
