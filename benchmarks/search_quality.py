"""Regret against virtual time of searchers that replay the same learning curves.

`python benchmarks/search_quality.py --seeds 50`: ours, random search without pruning, Optuna's
TPE with its own successive halving, and Ray's OptunaSearch with Ray's ASHA, on a virtual clock
that counts the CPU seconds of the recorded reports (`record_curves.py`). A budget is a share of
the time that 40 whole trainings take, divided by the workers. Regret is the final value loss of
the configuration that has come furthest (the best of those), less the lowest of the space.
There are fewer trials than configurations, so that ours models the space instead of listing it.

Ours is told the budget, as by `--time-budget`, so each budget is a replay of its own; `untold` is
ours without it. The other searchers have no such option. `--synthetic SEED` draws curves of
another kind for the same configurations: their first rung tells nearly who will end well (rank
correlation 0.95, of the recorded ones 0), and speeds differ up to threefold.
"""

from __future__ import annotations

import argparse
import heapq
import math
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Protocol

import numpy as np
import optuna
from learning_curves import Configuration, Curve, key, recorded, synthetic
from ray.tune.schedulers import ASHAScheduler
from ray.tune.search.optuna import OptunaSearch
from scipy.stats import ttest_1samp

from hexsearch.ledger.events import StudyOpened
from hexsearch.ledger.ledger import Ledger
from hexsearch.search.engine import Engine, EngineSetup, Job
from hexsearch.search.space_parsing import load_space
from hexsearch.statistics.intervals import holm

HERE = Path(__file__).parent / "curves"
MEMORY = Path("/dev/shm")  # a virtual ledger need not reach a disk
TRIALS, BUDGETS, WORKERS = 120, (0.10, 0.25, 0.50, 1.00), (1, 4, 16, 64)
SEARCHERS = ("ours", "untold", "random", "optuna", "ray")


@dataclass
class Clock:
    """Virtual seconds."""

    now: float = 0.0


class Searcher(Protocol):
    def ask(self) -> tuple[str, dict[str, Any]] | None: ...
    def report(self, name: str, positions: int, loss: float, last: bool) -> bool: ...


class Ours:
    """The engine without Ray; `budget` in virtual seconds, if it is told."""

    def __init__(
        self, seed: int, workers: int, folder: Path, clock: Clock, budget: float = math.inf
    ) -> None:
        config, space = load_space(HERE / "space.yaml")
        config = config.model_copy(
            update={"run": config.run.model_copy(update={"seed": seed, "trials": TRIALS})}
        )
        self.ledger = Ledger(folder / "ledger.jsonl", clock=lambda: clock.now)
        self.ledger.append(StudyOpened(trials=TRIALS))
        setup = EngineSetup(
            config,
            space,
            TRIALS,
            slots=lambda: workers,
            seconds_left=lambda: budget - clock.now,
        )
        self.engine = Engine(setup, self.ledger)

    def ask(self) -> tuple[str, dict[str, Any]] | None:
        job = self.engine.next_job()
        if not isinstance(job, Job):
            return None
        (trial,) = job.trials
        self.engine.start(trial.trial)
        return trial.trial, dict(trial.values)

    def report(self, name: str, positions: int, loss: float, last: bool) -> bool:
        part = {"value_loss": loss, "accuracy": 0.5, "positions": 1}
        stages = {stage: dict(part) for stage in ("early", "middle", "late", "final")}
        report = {**part, "positions_seen": positions, "parameters": 1, "value_loss_se": 0.0,
                  "stages": stages, "to_end": {"0-5": dict(part)}, "verdict": "healthy",
                  "evidence": "", "timings": {"positions_per_s": 1.0}}  # fmt: skip
        stop = self.engine.report(name, report) == "stop"
        if last and not stop:
            self.engine.fail(name, "the recorded trial broke here")
        if stop or last:
            self.engine.release(name)
        return stop


class Random:
    def __init__(self, seed: int, configurations: list[Configuration]) -> None:
        order = np.random.default_rng(seed).permutation(len(configurations))[:TRIALS]
        self.queue = [(str(i), configurations[i]) for i in order]

    def ask(self) -> tuple[str, dict[str, Any]] | None:
        return self.queue.pop(0) if self.queue else None

    def report(self, name: str, positions: int, loss: float, last: bool) -> bool:
        return last


class OptunaAsha:
    def __init__(self, seed: int, choices: dict[str, list[Any]]) -> None:
        self.space: dict[str, Any] = {
            n: optuna.distributions.CategoricalDistribution(c) for n, c in choices.items()
        }
        self.study = optuna.create_study(
            sampler=optuna.samplers.TPESampler(seed=seed),
            pruner=optuna.pruners.SuccessiveHalvingPruner(min_resource=1152, reduction_factor=3),
        )
        self.live: dict[str, optuna.Trial] = {}

    def ask(self) -> tuple[str, dict[str, Any]] | None:
        if len(self.study.get_trials(deepcopy=False)) >= TRIALS:
            return None
        trial = self.study.ask(self.space)
        self.live[str(trial.number)] = trial
        return str(trial.number), dict(trial.params)

    def report(self, name: str, positions: int, loss: float, last: bool) -> bool:
        trial = self.live[name]
        trial.report(loss, positions)
        if last:
            self.study.tell(trial, loss)
        elif trial.should_prune():
            self.study.tell(trial, state=optuna.trial.TrialState.PRUNED)
            return True
        return last


class RayAsha:
    def __init__(self, seed: int, choices: dict[str, list[Any]]) -> None:
        space = {n: optuna.distributions.CategoricalDistribution(c) for n, c in choices.items()}
        self.search = OptunaSearch(space, metric="loss", mode="min", seed=seed)
        self.asha = ASHAScheduler("positions", "loss", "min", 31_104, 1_152, 3)
        self.live: dict[str, Any] = {}

    def ask(self) -> tuple[str, dict[str, Any]] | None:
        name = str(len(self.live))
        if len(self.live) >= TRIALS or (values := self.search.suggest(name)) is None:
            return None
        self.live[name] = SimpleNamespace(trial_id=name, config=values)
        self.asha.on_trial_add(None, self.live[name])
        return name, dict(values)

    def report(self, name: str, positions: int, loss: float, last: bool) -> bool:
        result = {"positions": positions, "training_iteration": positions, "loss": loss}
        self.search.on_trial_result(name, result)
        stop = last or self.asha.on_trial_result(None, self.live[name], result) == "STOP"
        if stop:
            self.asha.on_trial_complete(None, self.live[name], result)
            self.search.on_trial_complete(name, result)
        return stop


def replay(
    searcher: Searcher,
    curves: dict[str, Curve],
    workers: int,
    times: Sequence[float],
    clock: Clock,
) -> list[float]:
    """Regret of the most advanced, then best, report at each of `times`; nan before the first."""
    whole = max(c[-1][0] for c in curves.values())
    # A training that broke before its end is worth no more than "50%" on every position.
    finals = {k: c[-1][1] if c[-1][0] == whole else 0.25 for k, c in curves.items()}
    best, held = min(finals.values()), (0, 0.0, "")
    regrets: list[float] = []
    heap: list[tuple[float, int, str, str, int, float]] = []
    serial = 0
    while True:
        while len(heap) < workers and (asked := searcher.ask()) is not None:
            name, k = asked[0], key(asked[1])
            heapq.heappush(heap, (clock.now + curves[k][0][2], serial, name, k, 0, clock.now))
            serial += 1
        following = heap[0][0] if heap else math.inf
        while len(regrets) < len(times) and times[len(regrets)] < following:
            regrets.append(finals[held[2]] - best if held[2] else math.nan)
        if len(regrets) == len(times) or not heap:
            return regrets
        clock.now, order, name, k, step, began = heapq.heappop(heap)
        positions, loss, _ = curves[k][step]
        held = max(held, (positions, -loss, k)) if held[2] else (positions, -loss, k)
        last = step + 1 == len(curves[k])
        if not searcher.report(name, positions, loss, last) and not last:
            heapq.heappush(heap, (began + curves[k][step + 1][2], order, name, k, step + 1, began))


def budgets_of(curves: Sequence[Curve], workers: int) -> list[float]:
    """Virtual seconds of each budget."""
    total = 40 * float(np.mean([curve[-1][2] for curve in curves]))
    return [share * total / workers for share in BUDGETS]


def regrets_of(
    seed: int, workers: int, configurations: list[Configuration], curves: list[Curve]
) -> dict[str, list[float]]:
    """Each searcher's regret at each budget."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    by_key = {key(c): curve for c, curve in zip(configurations, curves, strict=True)}
    choices = {n: sorted({c[n] for c in configurations}) for n in configurations[0]}
    times = budgets_of(curves, workers)

    def ours(until: Sequence[float], budget: float) -> list[float]:
        clock = Clock()
        with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
            searcher = Ours(seed, workers, Path(folder), clock, budget)
            try:
                return replay(searcher, by_key, workers, until, clock)
            finally:
                searcher.ledger.close()

    others: dict[str, Callable[[], Searcher]] = {
        "random": lambda: Random(seed, configurations),
        "optuna": lambda: OptunaAsha(seed, choices),
        "ray": lambda: RayAsha(seed, choices),
    }
    return {
        "ours": [ours([time], time)[0] for time in times],
        "untold": ours(times, math.inf),
        **{n: replay(make(), by_key, workers, times, Clock()) for n, make in others.items()},
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--curves", type=Path, default=HERE / "wolve-13x13.jsonl")
    parser.add_argument("--synthetic", type=int, metavar="SEED", help="draw curves instead")
    parser.add_argument("--seeds", type=int, default=50)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=1)
    args = parser.parse_args()
    configurations, curves = recorded(args.curves)
    if args.synthetic is not None:
        curves = synthetic(configurations, args.synthetic)
    seeds = range(args.first_seed, args.first_seed + args.seeds)
    print("| workers | budget | searcher | regret (95%) | ours minus it (95%) |\n|--|--|--|--|--|")
    compared: dict[str, float] = {}
    with ProcessPoolExecutor(args.processes, get_context("spawn")) as pool:
        for workers in WORKERS:
            one = partial(regrets_of, workers=workers, configurations=configurations, curves=curves)
            compared |= print_rows(workers, list(pool.map(one, seeds)))
    adjusted = holm(np.abs(list(compared.values())))
    worse = [w for (w, p), q in zip(compared.items(), adjusted, strict=True) if p > 0 and q < 0.05]
    print(f"{len(compared)} comparisons with others; ours is worse after Holm's correction in: "
          f"{', '.join(worse) or 'none'}")  # fmt: skip
    return 0


def print_rows(workers: int, runs: list[dict[str, list[float]]]) -> dict[str, float]:
    """Print a row for each budget and searcher.

    Returns:
        p-values of ours against each other searcher, negative where ours has less regret.
    """
    table = {name: np.array([run[name] for run in runs]) for name in SEARCHERS}
    draws = np.random.default_rng(0).integers(len(runs), size=(2000, len(runs)))
    compared = {}
    for column, budget in enumerate(BUDGETS):
        for name, regrets in table.items():
            regret, apart = regrets[:, column], (table["ours"] - regrets)[:, column]
            low, high = np.quantile(regret[draws].mean(1), [0.025, 0.975])
            least, most = np.quantile(apart[draws].mean(1), [0.025, 0.975])
            word = "better" if most < 0 else "worse" if least > 0 else "tied"
            said = f"{regret.mean():.5f} ({low:.5f}..{high:.5f})"
            difference = f"{word} {apart.mean():+.5f} ({least:+.5f}..{most:+.5f})"
            print(f"| {workers} | {budget:.0%} | {name} | {said} | {difference} |", flush=True)
            if name not in ("ours", "untold") and apart.any():
                p = float(ttest_1samp(apart, 0.0).pvalue)
                compared[f"{workers} workers {budget:.0%} {name}"] = math.copysign(p, apart.mean())
    return compared


if __name__ == "__main__":
    raise SystemExit(main())
