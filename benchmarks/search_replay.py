"""One replay of a searcher with learning curves on a virtual clock, and its regret over time."""

from __future__ import annotations

import heapq
import math
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import optuna
from learning_curves import Configuration, Curve, chosen_dimensions, drawn, key, recorded, synthetic
from search_packages import PACKAGED
from search_peers import Clock, OptunaPruned, Ours, Promotion, Random, RayAsha, Searcher

HERE = Path(__file__).parent / "curves"
BUDGETS = (0.10, 0.25, 0.50, 1.00)
PARTS = {  # our engine with another scheduler and searcher
    "ours": ("evidence", "forecast"),
    "told": ("evidence", "forecast"),
    "ours, random": ("evidence", "random"),
    "ours, tpe": ("evidence", "tpe"),
    "asha": ("asha", "tpe"),
    "asha, random": ("asha", "random"),
}
Fate = Literal["untried", "cut", "running", "ended"]


@dataclass(frozen=True)
class Replayed:
    """A replay of one searcher with one seed.

    Attributes:
        regrets: regret at each budget.
        best: fate of the best configuration of the space.
    """

    set: str
    workers: int
    searcher: str
    seed: int
    regrets: tuple[float, ...]
    best: Fate

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, raw: dict[str, Any]) -> Replayed:
        return cls(**{**raw, "regrets": tuple(raw["regrets"])})


def replay(
    searcher: Searcher,
    curves: dict[str, Curve],
    workers: int,
    times: Sequence[float],
    clock: Clock,
) -> tuple[list[float], Fate]:
    """Regret at each time, from the best of the most advanced reports, and the best one's fate.

    Before the first report the regret is that of a random configuration.
    """
    whole = max(c[-1][0] for c in curves.values())
    # A failed training counts as a network that answers 50% on every position.
    finals = {k: c[-1][1] if c[-1][0] == whole else 0.25 for k, c in curves.items()}
    best, held = min(finals.values()), (0, 0.0, "")
    any_one = float(np.mean(list(finals.values()))) - best
    truly_best = min(finals, key=lambda k: finals[k])
    fate: Fate = "untried"
    regrets: list[float] = []
    heap: list[tuple[float, int, str, str, int, float]] = []
    serial = 0
    while True:
        while len(heap) < workers and (asked := searcher.ask()) is not None:
            name, k = asked[0], key(asked[1])
            if k == truly_best and fate != "ended":
                fate = "running"
            step = sum(positions <= asked[2] for positions, _, _ in curves[k])
            began = clock.now - (curves[k][step - 1][2] if step else 0.0)
            heapq.heappush(heap, (began + curves[k][step][2], serial, name, k, step, began))
            serial += 1
        following = heap[0][0] if heap else math.inf
        while len(regrets) < len(times) and times[len(regrets)] < following:
            regrets.append(finals[held[2]] - best if held[2] else any_one)
        if len(regrets) == len(times) or not heap:
            return regrets + regrets[-1:] * (len(times) - len(regrets)), fate
        clock.now, order, name, k, step, began = heapq.heappop(heap)
        positions, loss, _ = curves[k][step]
        held = max(held, (positions, -loss, k)) if held[2] else (positions, -loss, k)
        last = step + 1 == len(curves[k])
        stops = searcher.report(name, positions, loss, last)
        if not stops and not last:
            heapq.heappush(heap, (began + curves[k][step + 1][2], order, name, k, step + 1, began))
        elif k == truly_best and fate != "ended":
            fate = "ended" if last else "cut"


def budgets_of(curves: Sequence[Curve], workers: int) -> list[float]:
    """Virtual seconds of each budget."""
    total = 40 * float(np.mean([curve[-1][2] for curve in curves]))
    return [share * total / workers for share in BUDGETS]


@cache
def curves_of(name: str, version: int) -> tuple[list[Configuration], dict[str, Curve]]:
    """The configurations, and the curves of a set by configuration; drawn ones in versions."""
    configurations, curves = recorded(HERE / "wolve-13x13.jsonl")
    if name == "synthetic":
        curves = synthetic(configurations, 1 + version)
    elif name != "recorded":
        curves = drawn(name, configurations, 1 + version)
    return configurations, {key(c): x for c, x in zip(configurations, curves, strict=True)}


def run(name: str, seed: int, workers: int, set_name: str) -> Replayed:
    """Replay one searcher."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    configurations, curves = curves_of(set_name, 0 if set_name == "recorded" else seed % 3)
    dimensions = chosen_dimensions(configurations)
    times = budgets_of(list(curves.values()), workers)
    if name == "told":  # each budget is a separate study
        found = [
            replay(Ours(seed, workers, clock, time, *PARTS[name]), curves, workers, [time], clock)
            for time in times
            for clock in [Clock()]
        ]
        regrets, fate = [at for (at,), _ in found], found[-1][1]
    else:
        clock = Clock()
        with tempfile.TemporaryDirectory() as folder:
            others: dict[str, Callable[[], Searcher]] = {
                "random": lambda: Random(seed, configurations),
                "promotion": lambda: Promotion(seed, configurations, 3_456),
                "promotion, early": lambda: Promotion(seed, configurations),
                "halving": lambda: OptunaPruned(seed, dimensions, "halving"),
                "hyperband": lambda: OptunaPruned(seed, dimensions, "hyperband"),
                "wilcoxon": lambda: OptunaPruned(seed, dimensions, "wilcoxon"),
                "ray": lambda: RayAsha(seed, dimensions),
                "ray random": lambda: RayAsha(seed, dimensions, configurations),
            }
            searcher: Searcher
            if name in PARTS:
                searcher = Ours(seed, workers, clock, math.inf, *PARTS[name])
            elif name in PACKAGED:
                searcher = PACKAGED[name](seed, dimensions, Path(folder))
            else:
                searcher = others[name]()
            regrets, fate = replay(searcher, curves, workers, times, clock)
    return Replayed(set_name, workers, name, seed, tuple(round(r, 7) for r in regrets), fate)
