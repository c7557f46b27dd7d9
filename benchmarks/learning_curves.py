"""Learning curves for replays: recorded curves, and random curves of other kinds."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from hexsearch.search.space import Dimension

LEVELS = (1_152, 3_456, 5_184, 10_368, 15_552, 20_736, 25_920, 31_104)  # of the recorded curves
Curve = list[tuple[int, float, float]]  # positions seen, value loss, seconds
Configuration = dict[str, Any]


def key(values: Configuration) -> str:
    return json.dumps(values, sort_keys=True)


def recorded(path: Path) -> tuple[list[Configuration], list[Curve]]:
    """The recorded configurations and their curves."""
    lines = [json.loads(line) for line in path.read_text().splitlines()[1:]]
    return [x["values"] for x in lines], [[tuple(p) for p in x["curve"]] for x in lines]


def chosen_dimensions(configurations: list[Configuration]) -> tuple[Dimension, ...]:
    """The dimensions of recorded configurations, each with the choices that occur."""
    return tuple(
        Dimension(name, "choice", tuple(sorted({values[name] for values in configurations})))
        for name in configurations[0]
    )


def synthetic(configurations: list[Configuration], seed: int) -> list[Curve]:
    """Power laws with little noise, whose ends, rates and speeds are sums of effects."""
    rng = np.random.default_rng(seed)
    effects: dict[tuple[str, str], Any] = {}
    curves = []
    for values in configurations:
        drawn = [
            effects.setdefault((name, str(value)), rng.normal(size=3))
            for name, value in values.items()
        ]
        end, rate, pace = np.sum(drawn, 0) / math.sqrt(len(drawn)) + 0.3 * rng.normal(size=3)
        end += 0.5 * rate
        seconds = 20 * 2.0 ** float(np.clip(pace, -1, 1)) / LEVELS[-1]
        curve = []
        for step, positions in enumerate(LEVELS):
            share = 1 - (positions / LEVELS[-1]) ** (0.5 * 2 ** (rate / 2))
            loss = 0.2 + 0.02 * end + 0.05 * share + 0.002 * rng.normal()
            curve.append((positions, float(loss), 1.0 + positions * seconds + 0.5 * step))
        curves.append(curve)
    return curves


def drawn(family: str, configurations: list[Configuration], seed: int) -> list[Curve]:
    """Random curves of one kind for the recorded configurations.

    Ends, rates, speeds and starts are sums of effects of the settings and of a random part for
    each configuration. `crossing`: early order is nearly the reverse of the last one. `noisy`:
    evaluations have an error of 0.004. `late`: nothing happens before a trial's own start.
    `overfitting`: some get worse again. `power`: power laws. `mixed`: the curriculum decides
    which of the others it is.
    """
    rng = np.random.default_rng([seed, sum(map(ord, family))])
    effects: dict[tuple[str, str], Any] = {}
    curves = []
    for values in configurations:
        parts = [
            effects.setdefault((name, str(value)), rng.normal(size=4))
            for name, value in values.items()
        ]
        traits = np.sum(parts, 0) / math.sqrt(len(parts)) + 0.3 * rng.normal(size=4)
        kind = family
        if family == "mixed":
            kind = "crossing" if values["curriculum"] == "all" else "late"
        seconds = 20 * 2.0 ** float(np.clip(traits[2], -1, 1)) / LEVELS[-1]
        curve = []
        for step, positions in enumerate(LEVELS):
            loss, error = _loss(kind, positions / LEVELS[-1], *traits)
            at = 1.0 + positions * seconds + 0.5 * step
            curve.append((positions, float(loss + error * rng.normal()), at))
        curves.append(curve)
    return curves


def _loss(
    kind: str, share: float, end: float, rate: float, pace: float, start: float
) -> tuple[float, float]:
    """Value loss after a share of the training, and the error of an evaluation."""
    loss, falling = 0.2 + 0.02 * end, 1 - share ** (0.5 * 2 ** (rate / 2))
    if kind == "crossing":
        return loss + 0.06 * 2**rate * (1 - share) ** 1.5 - 0.04 * end * (1 - share), 0.001
    if kind == "noisy":
        return loss + 0.05 * falling, 0.004
    if kind == "late":
        begins = 0.15 + 0.7 / (1 + math.exp(-start))
        done = max(0.0, (share - begins) / (1 - begins))
        return 0.25 - (0.25 - loss) * done**0.7, 0.0005
    if kind == "overfitting":
        return loss + 0.05 * falling + 0.03 * max(0.0, start) * max(0.0, share - 0.4), 0.001
    return loss + 0.02 * 2**rate * (share**-0.4 - 1), 0.001
