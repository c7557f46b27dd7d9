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
from search_ours import Ours
from search_packages import COMPARED, PACKAGED
from search_peers import (
    TRIALS,
    Clock,
    OptunaPruned,
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


class Reached:
    """The best configuration at the most positions that some configurations have reached.

    Args:
        least: how many; 1 for the best of the most advanced ones.
    """

    def __init__(self, least: int) -> None:
        self._least = least
        self._losses: dict[int, dict[str, float]] = {}  # positions -> configuration -> lowest loss

    def add(self, positions: int, loss: float, k: str) -> None:
        """Record a report."""
        there = self._losses.setdefault(positions, {})
        there[k] = min(loss, there.get(k, math.inf))

    @property
    def best(self) -> str | None:
        """The best one; the most advanced one while too few have reached the same positions."""
        if not self._losses:
            return None
        compared = [at for at, there in self._losses.items() if len(there) >= self._least]
        there = self._losses[max(compared or self._losses)]
        return min(there, key=lambda k: there[k])


def replay(
    searcher: Searcher,
    curves: CurveSet,
    workers: int,
    times: Sequence[float],
    clock: Clock,
    least: int = 1,
) -> tuple[list[float], Fate, Fate]:
    """Regret of the configuration that a searcher names at each time, and the fates of Replayed.

    Ours names the most promising one, as its leaderboard does. Before the first report the regret
    is that of a random configuration.

    Args:
        least: of a peer, see `Reached`.
    """
    seen: dict[str, Curve] = {}
    truths: dict[str, float] = {}
    fates: dict[str, Fate] = {}
    reached = Reached(least)
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
            named = searcher.named if isinstance(searcher, Ours) else reached.best
            found = truths[named] if named else curves.typical
            regrets.append(found - curves.least)
        if len(regrets) == len(times) or not heap:
            return regrets + regrets[-1:] * (len(times) - len(regrets)), *ends(
                fates, truths, curves
            )
        clock.now, order, name, k, step, began = heapq.heappop(heap)
        positions, loss, _ = seen[k][step]
        reached.add(positions, loss, k)
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
    whole_name, least = name, 3 if name.endswith(COMPARED) else 1
    name = name.removesuffix(COMPARED)
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
            regrets, *fates = replay(searcher, curves, workers, times, clock, least)
    rounded = tuple(round(regret, 7) for regret in regrets)
    return Replayed(set_name, workers, whole_name, seed, rounded, *fates)
