"""Searchers that `search_quality.py` replays beside ours (`search_ours.py`), with usual settings.

Each proposes trials, gets their reports, and decides whether a trial stops there. A trial that is
proposed again continues from the positions that it has seen.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, Protocol

import optuna
from learning_curves import LEVELS, Configuration

from hexsearch.search.space import Dimension

TRIALS, FIRST, FACTOR = 120, 1_152, 3
RUNGS = (1_152, 3_456, 10_368, 31_104)
Asked = tuple[str, dict[str, Any], int]  # name, values, positions seen


@dataclass
class Clock:
    """A clock of virtual seconds."""

    now: float = 0.0


class Searcher(Protocol):
    def ask(self) -> Asked | None: ...
    def report(self, name: str, positions: int, loss: float, last: bool) -> bool: ...


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
