"""The engine with trials that are formulas instead of networks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from hexsearch.config.section import build
from hexsearch.config.study import StudyConfig
from hexsearch.ledger.events import StudyOpened
from hexsearch.ledger.history import TrialHistory
from hexsearch.ledger.ledger import Ledger
from hexsearch.ledger.report import ReportSummary
from hexsearch.search.engine import Engine, EngineSetup, Job
from hexsearch.search.space_parsing import build_space

OPENED: list[Ledger] = []  # closed after each test by conftest.py


def study_config(**sections: Any) -> StudyConfig:
    """A small space with a choice and a float, three rungs, batches of 64."""
    raw: dict[str, Any] = {
        "question": "?",
        "trial": {"trunk": "tiny", "batch_size": 64},
        "search": {
            "value_head": {"choice": ["512->1", "512->32->1"]},
            "optimiser.learning_rate": {"float": [1e-3, 1e-1], "log": True},
        },
        "scheduler": {"name": "asha", "grace_period": 64, "max_t": 1728, "reduction_factor": 3},
        "searcher": {"name": "tpe", "startup_trials": 4},
        "run": {"trials": 12},
        **sections,
    }
    return build(StudyConfig, raw, "")


def curve(trial: TrialHistory, positions: int) -> ReportSummary:
    """A learning curve whose end depends on the learning rate."""
    rate = trial.values.get("optimiser.learning_rate", 0.01)
    loss = 0.15 + abs(rate - 0.01) + 10.0 / positions
    return report(positions, loss)


def report(positions: int, value_loss: float) -> ReportSummary:
    """What a worker would send."""
    return ReportSummary.from_json(report_json(positions, value_loss))


def revalued(given: ReportSummary, value_loss: float) -> ReportSummary:
    """The same report with another value loss."""
    overall = replace(given.metrics.overall, value_loss=value_loss)
    return replace(given, metrics=replace(given.metrics, overall=overall))


def report_json(positions: int, value_loss: float) -> dict[str, Any]:
    """The same as it stands in a ledger."""
    part = {"value_loss": value_loss, "accuracy": 0.7, "positions": 10}
    return {
        "positions_seen": positions,
        "parameters": 1000,
        **part,
        "value_loss_se": 0.004,
        "policy_loss": 4.5,
        "train_value_loss": value_loss,
        "train_policy_loss": 4.5,
        "auxiliary_losses": {},
        "train_auxiliary_losses": {},
        "stages": {name: dict(part) for name in ("early", "middle", "late", "final")},
        "to_end": {"0-5": dict(part)},
        "verdict": "healthy",
        "evidence": "",
        "timings": {"train_s": positions / 1000, "evaluate_s": 0.0, "positions_per_s": 1000.0},
    }


def make_engine(
    path: Path,
    config: StudyConfig,
    clock: Callable[[], float] = lambda: 0.0,
    **options: Any,
) -> Engine:
    """An engine over a ledger, new or old."""
    return engine_over(opened(path, config, clock), config, **options)


def engine_over(ledger: Ledger, config: StudyConfig, **options: Any) -> Engine:
    """An engine over an open ledger; options are those of EngineSetup."""
    setup = EngineSetup(config, build_space(config), config.run.trials, **options)
    return Engine(setup, ledger).begin()


def opened(path: Path, config: StudyConfig, clock: Callable[[], float] = lambda: 0.0) -> Ledger:
    """A ledger, new or old, that begins with the opening of a study; closed after the test."""
    ledger = Ledger(path, clock=clock)
    OPENED.append(ledger)
    if not len(ledger):
        plain = config.model_dump(mode="json", by_alias=True, exclude_none=True)
        ledger.append(StudyOpened(trials=config.run.trials, config=plain))
    return ledger


def next_trial(engine: Engine) -> TrialHistory | Literal["wait", "finished"]:
    """The trial of the next job, where a job is one trial."""
    job = engine.next_job()
    if not isinstance(job, Job):
        return job
    (trial,) = job.trials
    return trial


def run_serially(
    engine: Engine, reports: Callable[[TrialHistory, int], ReportSummary] = curve
) -> None:
    """One worker: each job from what the ledger holds to its end."""
    while isinstance(job := engine.next_job(), Job):
        engine.start(job.name)
        seen = min(trial.positions_seen for trial in job.trials)
        points = engine.schedules.points(job.trials[0].phase)
        if job.trials[0].phase == "confirm":
            points = points[-1:]
        for point in points:
            if point > seen:
                heard = {trial.trial: reports(trial, point) for trial in job.trials}
                if engine.hear(job.name, heard) == "stop":
                    break
        engine.release(job.name)
