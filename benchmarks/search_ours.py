"""Our engine as a searcher that `search_quality.py` replays, without Ray and without a disk."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from curve_sets import CurveSet
from learning_curves import key
from search_peers import TRIALS, Asked, Clock

from hexsearch.config.section import build
from hexsearch.config.study import StudyConfig
from hexsearch.leaderboard.promising import most_promising
from hexsearch.ledger.events import Event, StudyOpened
from hexsearch.ledger.ledger import Ledger
from hexsearch.ledger.report import ReportSummary
from hexsearch.search.engine import Engine, EngineSetup, Job
from hexsearch.search.space import SearchSpace
from hexsearch.search.space_parsing import build_space, load_space


def _example() -> ReportSummary:
    part = {"value_loss": 0.25, "accuracy": 0.5, "positions": 1}
    stages = {stage: dict(part) for stage in ("early", "middle", "late", "final")}
    timings = dict.fromkeys(("train_s", "evaluate_s", "positions_per_s"), 1.0)
    losses = dict.fromkeys(("policy_loss", "train_value_loss", "train_policy_loss"), 0.0)
    return ReportSummary.from_json(
        {
            **part, **losses, "positions_seen": 0, "parameters": 1, "value_loss_se": 0.0,
            "stages": stages, "to_end": {"0-5": dict(part)}, "verdict": "healthy",
            "auxiliary_losses": {}, "train_auxiliary_losses": {}, "evidence": "",
            "timings": timings,
        }
    )  # fmt: skip


_REPORT = _example()


class MemoryLedger(Ledger):
    """A ledger in memory only, since a replay is not resumed."""

    def __init__(self, clock: Clock) -> None:
        self._virtual, self._count = clock, 0
        self._events: list[Event] = []

    def __iter__(self) -> Iterator[Event]:
        return iter(self._events)

    def append(self, event: Event) -> Event:
        self._count += 1
        self._events.append(event.written(self._virtual.now))
        return self._events[-1]


@cache
def _space(path: Path, scheduler: str, searcher: str) -> tuple[StudyConfig, SearchSpace]:
    given, _ = load_space(path)
    raw = given.model_dump(mode="json", by_alias=True, exclude_unset=True)
    raw["run"] = {"trials": TRIALS}
    raw["scheduler"]["name"], raw["searcher"] = scheduler, {"name": searcher}
    if scheduler == "evidence":  # it finds its first rung itself, as it does by default
        raw["scheduler"]["grace_period"] = "auto"
    config = build(StudyConfig, raw, "")
    return config, build_space(config)


class Ours:
    """Our engine without Ray and without a disk.

    Args:
        curves: the set that is replayed, for its space and its losses of each game.
        budget: virtual seconds, if the engine knows its budget.
        scheduler, searcher: their names in a study.
    """

    def __init__(
        self,
        seed: int,
        workers: int,
        clock: Clock,
        curves: CurveSet,
        budget: float = math.inf,
        scheduler: str = "evidence",
        searcher: str = "forecast",
    ) -> None:
        config, space = _space(curves.space, scheduler, searcher)
        seeded = config.model_copy(update={"run": config.run.model_copy(update={"seed": seed})})
        self._curves = curves
        self.ledger, self.values = MemoryLedger(clock), dict[str, dict[str, Any]]()
        setup = EngineSetup(
            seeded,
            space,
            TRIALS,
            slots=lambda: workers,
            seconds_left=lambda: budget - clock.now,
            paired=lambda first, second, positions: curves.paired(
                self.values[first], self.values[second], positions
            ),
        )
        plain = seeded.model_dump(mode="json", by_alias=True)
        self.ledger.append(StudyOpened(trials=TRIALS, config=plain))
        self.engine = Engine(setup, self.ledger)

    @property
    def named(self) -> str | None:
        """The configuration that a leaderboard calls most promising."""
        found = most_promising(self.engine.history)
        return None if found is None else key(self.values[found.trial])

    def ask(self) -> Asked | None:
        job = self.engine.next_job()
        if not isinstance(job, Job):
            return None
        (trial,) = job.trials
        self.engine.start(trial.trial)
        self.values[trial.trial] = dict(trial.values)
        return trial.trial, dict(trial.values), trial.positions_seen

    def report(self, name: str, positions: int, loss: float, last: bool) -> bool:
        error = self._curves.error(self.values[name], positions)
        overall = replace(_REPORT.metrics.overall, value_loss=loss, value_loss_se=error)
        metrics = replace(_REPORT.metrics, overall=overall)
        report = replace(_REPORT, positions_seen=positions, metrics=metrics)
        stop = self.engine.report(name, report) == "stop"
        if last and not stop:
            self.engine.fail(name, "the recorded trial broke here")
        if stop or last:
            self.engine.release(name)
        return stop
