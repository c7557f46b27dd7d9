"""Explains why the learning rates of some steps are not those of the configured schedule."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np

from hexsearch.config.optimiser import OptimiserConfig
from hexsearch.doctor.hypotheses.table import Hypothesis

_SHARE = "compute the rate from the share of the budget that has been used"
_CLOSE = 0.005  # largest difference, as a share of the highest rate
_MOST_STAIRS = 100  # stretches of a training with one rate each
_SCHEDULES = ("one_cycle", "cosine", "constant")


def wanted_rate(config: OptimiserConfig, progress: float) -> float:
    """The rate after a share of the budget, by the documents and not by the code of training.

    A warm-up (from 1/25 of the peak in one-cycle, from 0 otherwise), then half a period of a
    cosine down to 4e-6 of the peak (one-cycle) or 0, or the peak itself.
    """
    peak, is_cycle = config.learning_rate, config.schedule == "one_cycle"
    start = peak / 25 if is_cycle else 0.0
    if progress < config.warmup:
        risen = progress / config.warmup
        share = (1.0 - math.cos(math.pi * risen)) / 2 if is_cycle else risen
        return start + (peak - start) * share
    if config.schedule == "constant":
        return peak
    end = start * 1e-4
    left = min((progress - config.warmup) / (1.0 - config.warmup), 1.0)
    return end + (peak - end) * (1.0 + math.cos(math.pi * left)) / 2


def explain_rates(
    config: OptimiserConfig, rates: Sequence[float], progress: Sequence[float]
) -> Hypothesis:
    """The first explanation that gives the rates; otherwise one that says that none does.

    Args:
        rates: learning rate of the first parameter group in each step.
        progress: share of the budget that was used before each step.
    """
    wanted = [wanted_rate(config, at) for at in progress]
    factors = [rate / asked for rate, asked in zip(rates, wanted, strict=True) if asked > 0]
    if factors and max(factors) - min(factors) < 1e-3 * max(factors):
        cause = f"the learning rate is {factors[0]:.3g} times the configured one"
        return Hypothesis("factor", cause, "set the configured rate without another factor")
    follows = len(factors) == len(rates) and min(factors, default=0.0) > 0
    more = [b / a for a, b in pairwise(factors)] if follows else []
    if len(more) > 1 and max(more) - min(more) < 1e-3 * max(more):
        cause = (
            f"the learning rate is multiplied by {more[0]:.3g} more at every step, on top of the "
            "schedule: a second scheduler is stepped at each batch"
        )
        return Hypothesis("twice", cause, _SHARE)
    low, high = min(rates), max(rates)
    for words, expected in (
        (f"is held above {low:.3g} (a floor)", [max(rate, low) for rate in wanted]),
        (f"is held below {high:.3g} (a cap)", [min(rate, high) for rate in wanted]),
    ):
        apart = max(abs(a - b) for a, b in zip(rates, expected, strict=True))
        if apart < _CLOSE * max(*rates, 1e-12) and len(set(rates)) > 1:
            return Hypothesis("bound", f"the learning rate {words}", _SHARE)
    for hypothesis, expected in _candidates(config, wanted, progress, rates):
        gap = max(abs(a - b) for a, b in zip(rates, expected, strict=True))
        if gap < _CLOSE * max(*rates, 1e-12):
            return hypothesis
    steady = [b / a for a, b in pairwise(rates) if a > 0]
    if len(steady) > 1 and max(steady) - min(steady) < 1e-3 * max(steady) and steady[0] != 1.0:
        how = "grows" if steady[0] > 1 else "decays"
        cause = (
            f"the learning rate is multiplied by {steady[0]:.3g} in every step: it {how} too fast, "
            "and does not depend on the budget"
        )
        return Hypothesis("geometric", cause, _SHARE)
    if stairs := _stairs(config, rates, progress):
        return Hypothesis("stairs", stairs, "set the rate anew before each step")
    highest = int(np.argmax(rates))
    lowest = highest + int(np.argmin(rates[highest:]))
    low, risen = rates[lowest], max(rates[lowest:])
    if low < 0.02 * high and risen > 0.5 * high:
        cause = (
            f"the learning rate falls to {low:.2g} after {progress[lowest]:.0%} of the budget and "
            "rises again: the period of the schedule is wrong"
        )
        return Hypothesis("period", cause, _SHARE)
    cause = "the learning rate does not follow the share of the budget that has been used"
    return Hypothesis("unknown", cause, _SHARE)


def _stairs(config: OptimiserConfig, rates: Sequence[float], progress: Sequence[float]) -> str:
    """In words, that the schedule is asked at a few points of the budget only; else empty."""
    for parts in range(2, _MOST_STAIRS + 1):
        for words, place in (("beginning", math.floor), ("middle", _middle), ("end", math.ceil)):
            made = [wanted_rate(config, place(at * parts + 1e-9) / parts) for at in progress]
            apart = max(abs(a - b) for a, b in zip(rates, made, strict=True))
            if apart < _CLOSE * max(*rates, 1e-12):
                return (
                    f"the learning rate is a staircase: the schedule is stepped {parts} times in a "
                    f"training (once an epoch or a report) and not at each step, and has the rate "
                    f"of the {words} of each stretch all along it"
                )
    return ""


def _middle(place: float) -> float:
    return math.floor(place) + 0.5


def _candidates(
    config: OptimiserConfig,
    wanted: list[float],
    progress: Sequence[float],
    rates: Sequence[float],
) -> Iterator[tuple[Hypothesis, list[float]]]:
    for name in _SCHEDULES:
        other = config.model_copy(update={"schedule": name})
        cause = f"the learning rate follows schedule {name}, not {config.schedule}"
        yield Hypothesis(name, cause, _SHARE), [wanted_rate(other, at) for at in progress]
        bare = other.model_copy(update={"warmup": 0.0})
        cause = "the warm-up is left out: the learning rate is highest in the first step"
        yield (
            Hypothesis(f"{name}, bare", cause, _SHARE),
            [wanted_rate(bare, at) for at in progress],
        )
    cause = "the learning rate is that of the step before: the schedule is one step late"
    yield Hypothesis("late", cause, _SHARE), [wanted[0], *wanted[:-1]]
    if len(wanted) > 1:
        cause = "the learning rate is that of the next step: the schedule is one step early"
        next_rate = wanted_rate(config, 2 * progress[-1] - progress[-2])
        yield Hypothesis("early", cause, _SHARE), [*wanted[1:], next_rate]
    cause = (
        "the learning rate compounds: in each step the rate of the step before is multiplied by "
        "the schedule's factor, in place of the configured rate"
    )
    steps = [rates[0], *(rate / config.learning_rate for rate in wanted[1:])]
    yield Hypothesis("compounds", cause, _SHARE), np.cumprod(steps).tolist()
    cause = "the schedule runs backwards, from its end to its start"
    backwards = [wanted_rate(config, 1.0 - at) for at in progress]
    yield Hypothesis("reversed", cause, _SHARE), backwards
    for words, warmup in (("a hundredth of", config.warmup / 100), ("twice", 2 * config.warmup)):
        other = config.model_copy(update={"warmup": min(warmup, 0.99)})
        cause = (
            f"the warm-up takes {words} the configured share: {other.warmup:.2%} of the budget, "
            f"not {config.warmup:.2%} (a share that is read as percent, for instance)"
        )
        made = [wanted_rate(other, at) for at in progress]
        yield Hypothesis("warm-up", cause, "take the warm-up as a share of the budget"), made
    yield from _other_warm_ups(config, wanted, progress)
    yield from _other_falls(config, wanted, progress)
    for speed in _speeds(config, rates, progress):
        if abs(np.log(speed)) < 0.05:
            continue
        how = "too fast" if speed > 1 else "too slowly"
        cause = (
            f"the schedule runs {how} by a factor of about {max(speed, 1 / speed):.3g}: progress "
            "is counted in another unit, or over another budget"
        )
        yield Hypothesis("speed", cause, _SHARE), _at_speed(config, speed, progress)


def _other_warm_ups(
    config: OptimiserConfig, wanted: list[float], progress: Sequence[float]
) -> Iterator[tuple[Hypothesis, list[float]]]:
    """Rates whose warm-up falls in place of rising, and ones that fall as fast as they rose."""
    peak, bottom = config.learning_rate, wanted_rate(config, 0.0)
    falling = [
        peak + bottom - rate if at < config.warmup else rate
        for at, rate in zip(progress, wanted, strict=True)
    ]
    cause = (
        "the warm-up is upside down: the learning rate falls from its peak to its start (arguments "
        "that are exchanged) in place of rising"
    )
    yield Hypothesis("falling warm-up", cause, _SHARE), falling
    cause = "the warm-up is left out: the learning rate is at its peak from the first step on"
    at_peak = [peak if at < config.warmup else r for at, r in zip(progress, wanted, strict=True)]
    yield Hypothesis("no warm-up", cause, _SHARE), at_peak
    if not 0 < config.warmup < 1:
        return
    faster = (1.0 - config.warmup) / config.warmup
    made = [
        rate
        if at < config.warmup
        else wanted_rate(config, min(config.warmup + (at - config.warmup) * faster, 1.0))
        for at, rate in zip(progress, wanted, strict=True)
    ]
    cause = (
        "after the warm-up the learning rate falls within as short a time as the warm-up took (the "
        "share of the fall is divided by the warm-up and not by what is left), and stays at its end"
    )
    yield Hypothesis("short fall", cause, _SHARE), made


def _other_falls(
    config: OptimiserConfig, wanted: list[float], progress: Sequence[float]
) -> Iterator[tuple[Hypothesis, list[float]]]:
    """Rates whose warm-up is right and that fall by another formula afterwards."""
    peak, start = config.learning_rate, wanted_rate(config, 0.0)
    left = [max(at - config.warmup, 0.0) / (1.0 - config.warmup) for at in progress]
    without = [
        start + (peak - start) * (1 - math.cos(at / config.warmup)) / 2
        if at < config.warmup
        else peak * (1 + math.cos(min(share, 1.0))) / 2
        for at, share in zip(progress, left, strict=True)
    ]
    cause = (
        "the cosine is taken of the share itself and not of pi times it, so the learning rate "
        "hardly rises in the warm-up and hardly falls afterwards"
    )
    yield Hypothesis("without pi", cause, _SHARE), without
    for words, fall in (
        ("by the cosine of its share, without pi, so it hardly falls", lambda x: math.cos(x)),
        ("by a quarter of a period of the cosine", lambda x: 2 * math.cos(math.pi * x / 2) - 1),
        ("in a straight line", lambda x: 1 - 2 * x),
        ("by the square of what is left", lambda x: 2 * (1 - x) ** 2 - 1),
        ("by the root of what is left", lambda x: 2 * (1 - x) ** 0.5 - 1),
        ("not at all", lambda x: 1.0),
    ):
        made = [
            rate if at < config.warmup else peak * (1.0 + fall(min(share, 1.0))) / 2
            for at, rate, share in zip(progress, wanted, left, strict=True)
        ]
        cause = f"after the warm-up the learning rate falls {words}, and not by schedule "
        yield Hypothesis("fall", f"{cause}{config.schedule}", _SHARE), made


def _at_speed(config: OptimiserConfig, speed: float, progress: Sequence[float]) -> list[float]:
    return [wanted_rate(config, min(speed * at, 1.0)) for at in progress]


def _speeds(
    config: OptimiserConfig, rates: Sequence[float], progress: Sequence[float]
) -> list[float]:
    """Speeds of the schedule that fit best, the best one first: on a grid, then on a finer one."""

    def gap(speed: float) -> float:
        made = _at_speed(config, speed, progress)
        return max(abs(a - b) for a, b in zip(rates, made, strict=True))

    coarse = sorted(np.exp(np.linspace(-9.0, 9.0, 361)).tolist(), key=gap)[:3]
    finer = np.exp(np.linspace(-0.05, 0.05, 101))
    return sorted((each * float(f) for each in coarse for f in finer), key=gap)[:1]
