"""Learning curves that searchers replay: recorded ones, and drawn ones of another kind."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

LEVELS = (1_152, 3_456, 5_184, 10_368, 15_552, 20_736, 25_920, 31_104)  # of the recorded curves
Curve = list[tuple[int, float, float]]  # positions seen, value loss, seconds
Configuration = dict[str, Any]


def key(values: Configuration) -> str:
    return json.dumps(values, sort_keys=True)


def recorded(path: Path) -> tuple[list[Configuration], list[Curve]]:
    """Configurations and their curves."""
    lines = [json.loads(line) for line in path.read_text().splitlines()[1:]]
    return [x["values"] for x in lines], [[tuple(p) for p in x["curve"]] for x in lines]


def synthetic(configurations: list[Configuration], seed: int) -> list[Curve]:
    """Power laws whose ends, rates and speeds are sums of effects, with little noise."""
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
