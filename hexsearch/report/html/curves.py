"""Learning curves of a study. If there are many, a selection is drawn."""

from __future__ import annotations

from dataclasses import dataclass

from hexsearch.leaderboard.cells import STAGE_NAMES
from hexsearch.leaderboard.rows import variant_name
from hexsearch.ledger.history import TrialHistory
from hexsearch.ledger.report import Baseline, MetricsSummary, ReportSummary
from hexsearch.report.html.study import Study
from hexsearch.report.html.thinning import evenly

_CURVES, _POINTS = 120, 60  # at most


@dataclass(frozen=True)
class Curve:
    """The learning curve of one trial.

    Attributes:
        seconds: seconds of training at each report.
        losses: `overall` or a stage -> value loss at each report.
        leader: index of its row among the first eight rows; None for others.
    """

    trial: str
    name: str
    status: str
    leader: int | None
    positions: list[int]
    seconds: list[float]
    losses: dict[str, list[float | None]]


@dataclass(frozen=True)
class Level:
    """Value losses of a baseline, overall and by stage."""

    name: str
    losses: dict[str, float | None]


@dataclass(frozen=True)
class Curves:
    """All curves that are drawn.

    Attributes:
        rungs: positions at which trials were compared.
        note: note on curves that were left out, or an empty text.
    """

    curves: list[Curve]
    rungs: list[int]
    baselines: list[Level]
    note: str


def learning_curves(study: Study) -> Curves:
    """The curves of the leaders, and of an even selection of the others."""
    leaders = {
        row.trial_ids[0]: place
        for place, row in enumerate([row for row in study.board.rows if row.rank is not None][:8])
    }
    reported = [trial for trial in study.trials.values() if trial.curve]
    others = evenly([t for t in reported if t.trial not in leaders], _CURVES - len(leaders))
    chosen = {trial.trial: trial for trial in reported if trial.trial in leaders}
    chosen |= {trial.trial: trial for trial in others}
    reports: dict[str, list[ReportSummary]] = {name: [] for name in chosen}
    for event in study.reports:
        if event.trial in chosen:
            reports[event.trial].append(event.report)
    curves = [_curve(trial, reports[name], leaders.get(name)) for name, trial in chosen.items()]
    hidden = len(reported) - len(curves)
    return Curves(
        curves=sorted(curves, key=lambda curve: curve.trial),
        rungs=sorted(study.history.rungs),
        baselines=[_level(baseline) for baseline in study.board.baselines],
        note=f"{len(curves)} of {len(reported):,} curves are drawn: the leaders and an even "
        "selection of the others." if hidden else "",
    )  # fmt: skip


def losses_of(metrics: MetricsSummary) -> dict[str, float | None]:
    """Value loss overall and by stage; None where a stage has no positions."""
    found: dict[str, float | None] = {"overall": metrics.overall.value_loss}
    for stage in STAGE_NAMES:
        part = metrics.stages.get(stage)
        found[stage] = None if part is None else part.value_loss
    return found


def _curve(trial: TrialHistory, reports: list[ReportSummary], leader: int | None) -> Curve:
    reports = evenly(reports, _POINTS)
    losses = [losses_of(report.metrics) for report in reports]
    return Curve(
        trial=trial.trial,
        name=variant_name(trial),
        status=trial.status,
        leader=leader,
        positions=[report.positions_seen for report in reports],
        seconds=[report.timings.train_s for report in reports],
        losses={name: [point[name] for point in losses] for name in ("overall", *STAGE_NAMES)},
    )


def _level(baseline: Baseline) -> Level:
    return Level(baseline.name, losses_of(baseline.metrics))
