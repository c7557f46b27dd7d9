"""One replay of a searcher with learning curves on a virtual clock, and its regret over time."""

from __future__ import annotations

import heapq
import math
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import optuna
from curve_sets import CurveSet, curve_set
from learning_curves import Curve, key
from search_packages import PACKAGED
from search_peers import (
    TRIALS,
    Clock,
    OptunaPruned,
    Ours,
    Promotion,
    Random,
    RayAsha,
    Searcher,
)

BUDGETS = (0.10, 0.25, 0.50, 0.75, 1.00)
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
        best: fate of the best configuration of the space, if that is known.
        best_tried: fate of the best of the configurations that the searcher has tried.
    """

    set: str
    workers: int
    searcher: str
    seed: int
    regrets: tuple[float, ...]
    best: Fate
    best_tried: Fate

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, raw: dict[str, Any]) -> Replayed:
        return cls(**{**raw, "regrets": tuple(raw["regrets"])})


def replay(
    searcher: Searcher, curves: CurveSet, workers: int, times: Sequence[float], clock: Clock
) -> tuple[list[float], Fate, Fate]:
    """Regret at each time, from the best of the most advanced reports, and the fates of Replayed.

    Before the first report the regret is that of a random configuration.
    """
    seen: dict[str, Curve] = {}
    truths: dict[str, float] = {}
    fates: dict[str, Fate] = {}
    held = (0, 0.0, "")
    regrets: list[float] = []
    heap: list[tuple[float, int, str, str, int, float]] = []
    serial = 0
    while True:
        while len(heap) < workers and (asked := searcher.ask()) is not None:
            name, k = asked[0], key(asked[1])
            if k not in seen:
                seen[k], truths[k] = curves.curve(asked[1]), curves.truth(asked[1])
            if fates.get(k) != "ended":
                fates[k] = "running"
            step = sum(positions <= asked[2] for positions, _, _ in seen[k])
            began = clock.now - (seen[k][step - 1][2] if step else 0.0)
            heapq.heappush(heap, (began + seen[k][step][2], serial, name, k, step, began))
            serial += 1
        following = heap[0][0] if heap else math.inf
        while len(regrets) < len(times) and times[len(regrets)] < following:
            found = truths[held[2]] if held[2] else curves.typical
            regrets.append(found - curves.least)
        if len(regrets) == len(times) or not heap:
            return regrets + regrets[-1:] * (len(times) - len(regrets)), *ends(
                fates, truths, curves
            )
        clock.now, order, name, k, step, began = heapq.heappop(heap)
        positions, loss, _ = seen[k][step]
        held = max(held, (positions, -loss, k)) if held[2] else (positions, -loss, k)
        last = step + 1 == len(seen[k])
        stops = searcher.report(name, positions, loss, last)
        if not stops and not last:
            heapq.heappush(heap, (began + seen[k][step + 1][2], order, name, k, step + 1, began))
        elif fates[k] != "ended":
            fates[k] = "ended" if last else "cut"


def ends(fates: dict[str, Fate], truths: dict[str, float], curves: CurveSet) -> tuple[Fate, Fate]:
    """Fate of the best configuration of the space, and of the best one that was tried."""
    best = min(truths, key=lambda k: truths[k])
    return fates[best] if truths[best] <= curves.least else "untried", fates[best]


def budgets_of(curves: CurveSet, workers: int) -> list[float]:
    """Virtual seconds of each budget."""
    return [share * 40 * curves.seconds / workers for share in BUDGETS]


def run(name: str, seed: int, workers: int, set_name: str) -> Replayed:
    """Replay one searcher."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    curves = curve_set(set_name, seed)
    configurations, dimensions = curves.draws(seed, TRIALS), curves.dimensions
    times = budgets_of(curves, workers)
    if name == "told":  # each budget is a separate study
        found = [
            replay(
                Ours(seed, workers, clock, curves, time, *PARTS[name]),
                curves,
                workers,
                [time],
                clock,
            )
            for time in times
            for clock in [Clock()]
        ]
        regrets, fates = [at for (at,), *_ in found], list(found[-1][1:])
    else:
        clock = Clock()
        with tempfile.TemporaryDirectory() as folder:
            others: dict[str, Callable[[], Searcher]] = {
                "random": lambda: Random(configurations),
                "promotion": lambda: Promotion(configurations, 3_456),
                "promotion, early": lambda: Promotion(configurations),
                "halving": lambda: OptunaPruned(seed, dimensions, "halving"),
                "hyperband": lambda: OptunaPruned(seed, dimensions, "hyperband"),
                "wilcoxon": lambda: OptunaPruned(seed, dimensions, "wilcoxon"),
                "ray": lambda: RayAsha(seed, dimensions),
                "ray random": lambda: RayAsha(seed, dimensions, configurations),
            }
            searcher: Searcher
            if name in PARTS:
                searcher = Ours(seed, workers, clock, curves, math.inf, *PARTS[name])
            elif name in PACKAGED:
                searcher = PACKAGED[name](seed, dimensions, Path(folder))
            else:
                searcher = others[name]()
            regrets, *fates = replay(searcher, curves, workers, times, clock)
    rounded = tuple(round(regret, 7) for regret in regrets)
    return Replayed(set_name, workers, name, seed, rounded, *fates)
