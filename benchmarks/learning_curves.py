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
Errors = list[float]  # of the evaluation at each report of a curve
Configuration = dict[str, Any]
_SMALL = 0.002  # error of an evaluation of `synthetic`


def key(values: Configuration) -> str:
    return json.dumps(values, sort_keys=True)


def recorded(path: Path) -> tuple[list[Configuration], list[Curve]]:
    """The recorded configurations and their curves."""
    lines = [json.loads(line) for line in path.read_text().splitlines()[1:]]
    return [x["values"] for x in lines], [[tuple(p) for p in x["curve"]] for x in lines]


def chosen_dimensions(configurations: list[Configuration]) -> tuple[Dimension, ...]:
    """The dimensions of recorded configurations, each with the choices that occur."""
    dimensions = []
    for name in configurations[0]:
        choices = {json.dumps(values[name]): values[name] for values in configurations}
        is_plain = not isinstance(configurations[0][name], dict)
        ordered = sorted(choices, key=choices.__getitem__ if is_plain else None)
        dimensions.append(Dimension(name, "choice", tuple(choices[each] for each in ordered)))
    return tuple(dimensions)


def synthetic(configurations: list[Configuration], seed: int) -> tuple[list[Curve], list[Errors]]:
    """Power laws with little noise, whose ends, rates and speeds are sums of effects."""
    rng = np.random.default_rng(seed)
    effects: dict[tuple[str, str], Any] = {}
    curves, errors = [], list[Errors]()
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
            loss = 0.2 + 0.02 * end + 0.05 * share + _SMALL * rng.normal()
            curve.append((positions, float(loss), 1.0 + positions * seconds + 0.5 * step))
        curves.append(curve)
        errors.append([_SMALL] * len(curve))
    return curves, errors


def drawn(
    family: str, configurations: list[Configuration], seed: int
) -> tuple[list[Curve], list[Errors]]:
    """Random curves of one kind for the recorded configurations.

    Ends, rates, speeds and starts are sums of effects of the settings and of a random part for
    each configuration. `crossing`: early order is nearly the reverse of the last one. `noisy`:
    evaluations have an error of 0.004. `late`: nothing happens before a trial's own start.
    `overfitting`: some get worse again. `power`: power laws. `mixed`: the curriculum decides
    which of the others it is. `heldout`: see `_unsteady`.
    """
    rng = np.random.default_rng([seed, sum(map(ord, family))])
    effects: dict[tuple[str, str], Any] = {}
    curves, errors = [], list[Errors]()
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
        curve, known = [], Errors()
        for step, positions in enumerate(LEVELS):
            share = positions / LEVELS[-1]
            if family == "heldout":
                loss, error = _unsteady(values, share, *traits)
            else:
                loss, error = _loss(kind, share, *traits)
            at = 1.0 + positions * seconds + 0.5 * step
            curve.append((positions, float(loss + error * rng.normal()), at))
            known.append(error)
        curves.append(curve)
        errors.append(known)
    return curves, errors


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


def _unsteady(
    values: Configuration, share: float, end: float, rate: float, pace: float, start: float
) -> tuple[float, float]:
    """Value loss after a share of the training that is not steady, and the error of an evaluation.

    With the perspective `absolute`, the loss stands still and then drops steeply, twice: a network
    learns one thing at once, for example connections to an edge. With the curriculum `last_k`, the
    learning rate restarts after 30% and 65% of the training, and the loss is high after each
    restart (SGDR, Loshchilov and Hutter, 2017). All others are power laws, and their exponents
    differ by a factor of 20. A third of the configurations with the highest learning rate, and 3%
    of the others, diverge at a moment of their own and answer about 50% from then on. The error of
    an evaluation is 0.0004 to 0.004, different for each configuration.
    """
    loss, error = 0.2 + 0.02 * end, 0.0013 * 3.0 ** float(np.clip(pace, -1, 1))
    first = 1 / (1 + math.exp(-start))  # uniform to a good part
    diverges = 0.33 if values["optimiser.learning_rate"] > 0.01 else 0.03
    if (1000 * end) % 1 < diverges and share > 0.05 + 0.9 * ((1000 * rate) % 1):
        return 0.252, 0.002
    if values["encoder.perspective"] == "absolute":
        drops = (0.02 + 0.4 * first, 0.25 + 0.6 / (1 + math.exp(-rate)))
        done = sum(1 / (1 + math.exp((at - share) / 0.01)) for at in drops) / 2
        return loss + (0.25 - min(loss, 0.245)) * (1 - done) + 0.004 * (1 - share), error
    if values["curriculum"] == "last_k":
        begun = max(at for at in (0.0, 0.3, 0.65) if at < share)
        length = {0.0: 0.3, 0.3: 0.35, 0.65: 0.35}[begun]
        warm = 0.5 + 0.5 * math.cos(math.pi * (share - begun) / length)
        return loss + 0.04 * (1 - share**0.3) + (0.005 + 0.02 * first) * warm, error
    return loss + 0.06 * (1 - share ** (0.05 * 20.0**first)), error
