"""Regret against virtual time of four searchers that replay the same recorded learning curves.

`python benchmarks/search_quality.py --seeds 50`: ours, random search without pruning, Optuna's
TPE with its own successive halving, and Ray's OptunaSearch with Ray's ASHA, on a virtual clock
that counts the CPU seconds of the recorded reports (`record_curves.py`). A budget is a share of
the time that 40 whole trainings take, divided by the workers. Regret is the final value loss of
the configuration that has come furthest (the best of those), less the lowest of the space.
There are fewer trials than configurations, so that ours models the space instead of listing it.
"""

from __future__ import annotations

import argparse
import heapq
import json
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Protocol

import numpy as np
import optuna
from ray.tune.schedulers import ASHAScheduler
from ray.tune.search.optuna import OptunaSearch

from hexsearch.search.engine import Engine
from hexsearch.search.history import TrialHistory
from hexsearch.search.ledger import Ledger
from hexsearch.search.space_parsing import load_space

HERE = Path(__file__).parent / "curves"
TRIALS, BUDGETS, WORKERS = 120, (0.10, 0.25, 0.50, 1.00), (1, 4, 16, 64)
Curve = list[tuple[int, float, float]]


def key(values: dict[str, Any]) -> str:
    return json.dumps(values, sort_keys=True)


class Searcher(Protocol):
    def ask(self) -> tuple[str, dict[str, Any]] | None: ...
    def report(self, name: str, positions: int, loss: float, last: bool) -> bool: ...


class Ours:
    def __init__(self, seed: int, workers: int, folder: Path) -> None:
        config, space = load_space(HERE / "space.yaml")
        config = config.model_copy(
            update={"run": config.run.model_copy(update={"seed": seed, "trials": TRIALS})}
        )
        ledger = Ledger(folder / f"{seed}-{workers}.ledger", clock=lambda: 0.0)
        ledger.append("study", trials=TRIALS, floors=[], warnings=[])
        self.engine = Engine(config, space, ledger, TRIALS, slots=lambda: workers)

    def ask(self) -> tuple[str, dict[str, Any]] | None:
        trial = self.engine.next_trial()
        if not isinstance(trial, TrialHistory):
            return None
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
    def __init__(self, seed: int, configurations: list[dict[str, Any]]) -> None:
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
    searcher: Searcher, curves: dict[str, Curve], workers: int, times: list[float]
) -> list[float]:
    """Regret of the most advanced, then best, report at each of `times`; NaN before the first."""
    # A training that broke before its end is worth no more than "50%" on every position.
    finals = {k: c[-1][1] if c[-1][0] == 31_104 else 0.25 for k, c in curves.items()}
    best, held = min(finals.values()), (0, 0.0, "")
    regrets: list[float] = []
    heap: list[tuple[float, int, str, str, int, float]] = []
    serial, now = 0, 0.0
    while True:
        while len(heap) < workers and (asked := searcher.ask()) is not None:
            name, k = asked[0], key(asked[1])
            heapq.heappush(heap, (now + curves[k][0][2], serial, name, k, 0, now))
            serial += 1
        following = heap[0][0] if heap else float("inf")
        while len(regrets) < len(times) and times[len(regrets)] < following:
            regrets.append(finals[held[2]] - best if held[2] else float("nan"))
        if len(regrets) == len(times) or not heap:
            return regrets
        now, order, name, k, step, began = heapq.heappop(heap)
        positions, loss, _ = curves[k][step]
        held = max(held, (positions, -loss, k)) if held[2] else (positions, -loss, k)
        last = step + 1 == len(curves[k])
        if not searcher.report(name, positions, loss, last) and not last:
            heapq.heappush(heap, (began + curves[k][step + 1][2], order, name, k, step + 1, began))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--curves", type=Path, default=HERE / "wolve-13x13.jsonl")
    parser.add_argument("--seeds", type=int, default=50)
    args = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    lines = [json.loads(line) for line in args.curves.read_text().splitlines()[1:]]
    curves = {key(line["values"]): [tuple(p) for p in line["curve"]] for line in lines}
    configurations = [line["values"] for line in lines]
    choices = {n: sorted({c[n] for c in configurations}) for n in configurations[0]}
    total = 40 * float(np.mean([c[-1][2] for c in curves.values()]))
    rng = np.random.default_rng(0)
    print("| workers | budget | searcher | regret (95%) | ours minus it (95%) |\n|--|--|--|--|--|")
    for workers in WORKERS:
        times = [b * total / workers for b in BUDGETS]
        runs: dict[str, list[list[float]]] = {n: [] for n in ("ours", "random", "optuna", "ray")}
        with tempfile.TemporaryDirectory() as folder:
            for seed in range(args.seeds):
                made: dict[str, Searcher] = {
                    "ours": Ours(seed, workers, Path(folder)),
                    "random": Random(seed, configurations),
                    "optuna": OptunaAsha(seed, choices),
                    "ray": RayAsha(seed, choices),
                }
                for name, searcher in made.items():
                    runs[name].append(replay(searcher, curves, workers, times))
        draws = rng.integers(args.seeds, size=(2000, args.seeds))
        table = {name: np.array(r) for name, r in runs.items()}
        for column, budget in enumerate(BUDGETS):
            for name, regrets in table.items():
                a, d = regrets[:, column], (table["ours"] - regrets)[:, column]
                (al, ah), (dl, dh) = (np.quantile(x[draws].mean(1), [0.025, 0.975]) for x in (a, d))
                word = "better" if dh < 0 else "worse" if dl > 0 else "tied"
                print(f"| {workers} | {budget:.0%} | {name} | {a.mean():.5f} ({al:.5f}..{ah:.5f}) "
                      f"| {word} {d.mean():+.5f} ({dl:+.5f}..{dh:+.5f}) |", flush=True)  # fmt: skip
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
