"""Searchers that `search_quality.py` replays: ours, and others with usual settings.

Each proposes trials, gets their reports, and decides whether a trial stops there. A trial that is
proposed again continues from the positions that it has seen.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Protocol

import optuna
from curve_sets import CurveSet
from learning_curves import LEVELS, Configuration, key

from hexsearch.config.section import build
from hexsearch.config.study import StudyConfig
from hexsearch.leaderboard.promising import most_promising
from hexsearch.ledger.events import Event, StudyOpened
from hexsearch.ledger.ledger import Ledger
from hexsearch.ledger.report import ReportSummary
from hexsearch.search.engine import Engine, EngineSetup, Job
from hexsearch.search.space import Dimension, SearchSpace
from hexsearch.search.space_parsing import build_space, load_space

TRIALS, FIRST, FACTOR = 120, 1_152, 3
RUNGS = (1_152, 3_456, 10_368, 31_104)
Asked = tuple[str, dict[str, Any], int]  # name, values, positions seen


@dataclass
class Clock:
    """A clock of virtual seconds."""

    now: float = 0.0


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


class Searcher(Protocol):
    def ask(self) -> Asked | None: ...
    def report(self, name: str, positions: int, loss: float, last: bool) -> bool: ...


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


class Random:
    """Random draws without repeats, each trained to its end."""

    def __init__(self, configurations: list[Configuration]) -> None:
        self.queue = [(str(i), values, 0) for i, values in enumerate(configurations)]

    def ask(self) -> Asked | None:
        return self.queue.pop(0) if self.queue else None

    def report(self, name: str, positions: int, loss: float, last: bool) -> bool:
        return last


class Promotion(Random):
    """Random draws; ASHA as published: paused at a rung, promoted while in the best third."""

    def __init__(self, configurations: list[Configuration], first: int = FIRST) -> None:
        super().__init__(configurations)
        self.rungs = [level for level in (FIRST, 3_456, 10_368) if level >= first]
        self.at: dict[int, dict[str, float]] = {rung: {} for rung in self.rungs}
        self.promoted: dict[int, set[str]] = {rung: set() for rung in self.rungs}
        self.values: dict[str, dict[str, Any]] = {}

    def ask(self) -> Asked | None:
        for rung in reversed(self.rungs):
            ranked = sorted(self.at[rung], key=lambda name: self.at[rung][name])
            for name in ranked[: len(ranked) // FACTOR]:
                if name not in self.promoted[rung]:
                    self.promoted[rung].add(name)
                    return name, self.values[name], rung
        fresh = super().ask()
        if fresh is not None:
            self.values[fresh[0]] = fresh[1]
        return fresh

    def report(self, name: str, positions: int, loss: float, last: bool) -> bool:
        if positions in self.at and not last:
            self.at[positions][name] = loss
            return True
        return last


def distributions(dimensions: Sequence[Dimension]) -> dict[str, Any]:
    """The dimensions of a space without conditions, in Optuna's terms."""
    made: dict[str, Any] = {}
    for each in dimensions:
        if each.kind == "choice":
            made[each.name] = optuna.distributions.CategoricalDistribution(each.choices)
        elif each.kind == "float":
            made[each.name] = optuna.distributions.FloatDistribution(
                each.low, each.high, log=each.log
            )
        else:
            made[each.name] = optuna.distributions.IntDistribution(
                int(each.low), int(each.high), log=each.log, step=each.step
            )
    return made


class OptunaPruned:
    """Optuna's TPE with one of its pruners, which see each report; their rungs are the common ones.

    The Wilcoxon pruner is meant for values of the same instances, such as games. A trial's losses
    on the games are one report here, so that its steps are the reports: it cuts a trial that was
    behind the best ended one at nearly all of them, at the fourth report at the earliest.
    """

    def __init__(self, seed: int, dimensions: Sequence[Dimension], pruner: str) -> None:
        self.space = distributions(dimensions)
        pruners: dict[str, Callable[[], optuna.pruners.BasePruner]] = {
            "halving": lambda: optuna.pruners.SuccessiveHalvingPruner(FIRST, FACTOR),
            "hyperband": lambda: optuna.pruners.HyperbandPruner(FIRST, LEVELS[-1], FACTOR),
            "wilcoxon": lambda: optuna.pruners.WilcoxonPruner(),
        }
        self.study = optuna.create_study(
            study_name=f"{pruner}-{seed}",  # Hyperband draws its brackets from the name
            sampler=optuna.samplers.TPESampler(seed=seed),
            pruner=pruners[pruner](),
        )
        self.live: dict[str, optuna.Trial] = {}

    def ask(self) -> Asked | None:
        if len(self.study.get_trials(deepcopy=False)) >= TRIALS:
            return None
        trial = self.study.ask(self.space)
        self.live[str(trial.number)] = trial
        return str(trial.number), dict(trial.params), 0

    def report(self, name: str, positions: int, loss: float, last: bool) -> bool:
        trial = self.live[name]
        trial.report(loss, positions)
        if last:
            failed = positions < LEVELS[-1]
            state = optuna.trial.TrialState.FAIL if failed else None
            self.study.tell(trial, None if failed else loss, state)
        elif trial.should_prune():
            self.study.tell(trial, state=optuna.trial.TrialState.PRUNED)
            return True
        return last


class RayAsha:
    """Ray's ASHA, with Ray's OptunaSearch or random draws without repeats."""

    def __init__(
        self,
        seed: int,
        dimensions: Sequence[Dimension],
        draws: list[Configuration] | None = None,
    ) -> None:
        from ray.tune.schedulers import ASHAScheduler
        from ray.tune.search.optuna import OptunaSearch

        self.random = Random(draws) if draws is not None else None
        self.search = OptunaSearch(distributions(dimensions), metric="loss", mode="min", seed=seed)
        self.asha = ASHAScheduler("positions", "loss", "min", LEVELS[-1], FIRST, FACTOR)
        self.live: dict[str, Any] = {}

    def ask(self) -> Asked | None:
        name = str(len(self.live))
        if len(self.live) >= TRIALS:
            return None
        if self.random is not None:
            drawn = self.random.ask()
            values = drawn[1] if drawn else None
        else:
            values = self.search.suggest(name)
        if values is None:
            return None
        self.live[name] = SimpleNamespace(trial_id=name, config=values)
        self.asha.on_trial_add(None, self.live[name])
        return name, dict(values), 0

    def report(self, name: str, positions: int, loss: float, last: bool) -> bool:
        result = {"positions": positions, "training_iteration": positions, "loss": loss}
        if last and positions < LEVELS[-1]:  # it has failed
            self.asha.on_trial_error(None, self.live[name])
            if self.random is None:
                self.search.on_trial_complete(name, error=True)
            return True
        if self.random is None:
            self.search.on_trial_result(name, result)
        stop = last or self.asha.on_trial_result(None, self.live[name], result) == "STOP"
        if stop:
            self.asha.on_trial_complete(None, self.live[name], result)
            if self.random is None:
                self.search.on_trial_complete(name, result)
        return stop
