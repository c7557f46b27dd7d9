"""Rows of a leaderboard, from reports: a row is a variant with its seeds, or a single trial."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from hexsearch.config.section import as_yaml
from hexsearch.ledger.history import TrialHistory
from hexsearch.ledger.report import ReportSummary, SliceSummary
from hexsearch.training.metrics import SliceMetrics

CONTROL = "negative control"
_STATUS_ORDER = ("completed", "running", "waiting", "stopped", "paused", "pruned", "failed")
_SHORT = {
    "learning_rate": "lr",
    "weight_decay": "wd",
    "batch_size": "batch",
    "ema_half_life": "ema",
    "squeeze_excitation": "SE",
    "global_pooling_every": "pooling",
    "label_smoothing": "smoothing",
    "winning_chain": "chain",
}


@dataclass(frozen=True)
class Failure:
    """Why a trial failed, with the last lines of its worker's output."""

    trial: str
    reason: str
    log: str


@dataclass(frozen=True)
class Row:
    """One variant, or one trial. Figures are means over its runs with most positions seen.

    Attributes:
        rank: 1 for the first; tied rows share a rank. None for failures and negative controls.
        seeds: number of seeds of the variant.
        completed, pruned, failed: number of its trials with this status.
        value_loss: Brier score on validation games at `positions_seen`, on the leaderboard's stage
            if it has one.
        value_loss_low, value_loss_high: its 95% interval over games and future seeds.
        difference: measured value loss minus the leader's, paired by game and seed. It and the
            following figures are None for rows that were not compared.
        difference_low, difference_high: 95% interval of the true difference. It allows for the
            selection of the leader, and so lies lower.
        p_adjusted: p-value of the difference, adjusted by Holm's method over all compared rows.
        group: 0 for the leader and rows tied with it, 1 for the next best row and those tied with
            that one, and so on.
        expected_value_loss: expected value loss on the same games with fresh seeds, with an
            allowance for selection.
        probability_best: probability that no other row is truly better.
        elo: Elo of its best network in the phase `match`, 0 on average.
        elo_low, elo_high: its 95% interval.
        milliseconds_per_move: time for a move in the phase `match`.
        values: setting -> value, for the settings that the study searched.
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
        """Whether it is the leader or tied with it; None if it was not compared."""
        return None if self.group is None else self.group == 0

    @property
    def strength_per_millisecond(self) -> float | None:
        """Bradley-Terry strength, 1 for a player of average Elo, per millisecond of a move."""
        if self.elo is None or not self.milliseconds_per_move:
            return None
        return float(10.0 ** (self.elo / 400.0) / self.milliseconds_per_move)

    @property
    def is_ranked(self) -> bool:
        """Whether it can be ranked."""
        return self.value_loss is not None and self.status not in ("failed", CONTROL)


@dataclass(frozen=True)
class Entry:
    """A row with its trials.

    Attributes:
        runs: its trials with most positions seen. The row is made from their last reports.
    """

    row: Row
    runs: tuple[TrialHistory, ...]

    @property
    def value_loss_se(self) -> float | None:
        """Mean standard error of a run's value loss over games; None if unknown."""
        return mean(report.metrics.overall.value_loss_se for report in last_reports(self.runs))


def make_entry(trials: Sequence[TrialHistory], stage: str | None = None) -> Entry:
    """The row of a variant's trials, before it is ranked and compared."""
    not_failed = [trial for trial in trials if trial.status != "failed"] or trials
    furthest = max(not_failed, key=lambda trial: (trial.positions_seen, -trial.number))
    seen = furthest.positions_seen
    runs = tuple(trial for trial in not_failed if seen and trial.positions_seen == seen)
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
    """The mean of figures; None if one of them is None or nan."""
    values = list(figures)
    numbers = [float(figure) for figure in values if figure is not None and figure == figure]
    return sum(numbers) / len(numbers) if numbers and len(numbers) == len(values) else None


def variant_name(trial: TrialHistory) -> str:
    """The head, then every other searched value: `512->64->1 bce lr=0.004`.

    A value that is text, such as a read-out's name, is written without the setting's name. What is
    switched off (false or 0) is left out, and what is switched on is written by its name alone. The
    stages of a trunk are written as `k3 24x2 48x2/2`: a first kernel of 3, then 24 and 48 channels
    with 2 blocks each, the second stage with a stride of 2.
    """
    parts = [trial.head]
    for name, value in trial.values.items():
        if name == "value_head" or not (value or isinstance(value, str)):
            continue
        setting = name.rpartition(".")[2]
        parts.append(_text(value) if name == "trunk" else _named(setting, value))
    return " ".join(parts)


def _named(setting: str, value: Any) -> str:
    """Such as `SE`, for what is switched on, `mish` or `lr=0.004`."""
    if isinstance(value, str):
        return _text(value)
    short = _SHORT.get(setting, setting)
    return short if value is True else f"{short}={_text(value)}"


def _with_figures(row: Row, reports: Sequence[ReportSummary], stage: str | None) -> Row:
    stages = _mean_slices([report.metrics.stages for report in reports])
    overall = [report.metrics.overall for report in reports]
    part = None if stage is None else stages.get(stage)
    whole = stage is None  # log loss and calibration are not stored for single stages
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
    """A figure over all positions, or on the stage by which rows are ranked."""
    if whole:
        return mean(figure(metrics) for metrics in overall)
    return None if part is None else figure(part)


def _mean_slices(reports: Sequence[Mapping[str, SliceSummary]]) -> Mapping[str, SliceSummary]:
    """The mean of each slice. All runs of a study are evaluated on the same positions."""
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
        stages = [value.get(name) for name in ("channels", "blocks", "strides")]
        if all(isinstance(stage, list | tuple) for stage in stages):
            return _stages(value, *stages)  # type: ignore[arg-type]
        return "(" + ",".join(f"{key}:{_text(inner)}" for key, inner in value.items()) + ")"
    return as_yaml(value)


def _stages(trunk: Mapping[str, Any], *stages: Sequence[int]) -> str:
    """A trunk that is not a preset."""
    parts = [f"k{trunk['stem_kernel']}"] if "stem_kernel" in trunk else []
    for channels, blocks, stride in zip(*stages, strict=False):
        parts.append(f"{channels}x{blocks}" + (f"/{stride}" if stride != 1 else ""))
    known = ("stem_kernel", "channels", "blocks", "strides")
    rest = {key: value for key, value in trunk.items() if key not in known}
    parts += [_named(key, value) for key, value in rest.items() if value or isinstance(value, str)]
    return " ".join(parts)
