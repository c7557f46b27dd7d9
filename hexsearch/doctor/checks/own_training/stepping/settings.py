"""Looks at the numbers that a user's optimisers are made with, and at rates that fall."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
from torch.optim.lr_scheduler import LRScheduler

from hexsearch.doctor.findings import Finding
from hexsearch.doctor.own_training.seen import SeenStep

_MOMENTUM = 0.993  # the first average; one of more than a hundred steps is reported
_OTHER_WAY = 0.3  # betas below which gradients are hardly averaged
_JUMPED = 0.5  # factor of a rate that falls in one step
_EPSILON = 1e-2  # in the denominator of Adam's steps
_APART = 200.0  # factor between the rates of two groups of weights
_TURNS, _NOTHING = 4, 0.3  # turns of a rate that swings, and how low it comes
_HALVES = 12.0  # steps in which a rate that falls by one factor is halved


def unusual(steps: list[SeenStep]) -> list[Finding]:
    """Momentum, epsilon and rates that are far from all usual ones."""
    return (
        list(_averages(steps))
        or list(_rates_apart(steps))
        or list(_swinging(steps))
        or list(_falling(steps))
    )


def fallen_rate(steps: list[SeenStep], evidence: str) -> Finding | None:
    """The finding for a rate that has fallen in jumps within the first steps.

    Args:
        evidence: how little weights move.
    """
    rates = [float(step.groups[0].get("lr", 0.0)) for step in steps if step.groups]
    jumps = [n for n, (a, b) in enumerate(pairwise(rates), 1) if 0 < b <= _JUMPED * a]
    if not jumps or rates[-1] > _JUMPED * rates[0]:
        return None
    return Finding.error(
        "training steps",
        f"{evidence}; the learning rate falls from {rates[0]:g} to {rates[-1]:g} within "
        f"{jumps[-1]} step(s)",
        "the schedule is stepped for each batch, and its milestones (or its step size) count "
        "epochs: the rate has fallen after a few batches, and weights hardly move",
        "call scheduler.step() once an epoch, or give its milestones in batches",
        root="steps rate",
    )


def on_plateau(seen: list[tuple[str, float, float, float]]) -> list[Finding]:
    """Report a schedule that waits for a figure to rise and is given one that falls, or back.

    Args:
        seen: mode, figure, and rates before and after, of each step of a ReduceLROnPlateau.
    """
    cuts = [(mode, n) for n, (mode, _, before, after) in enumerate(seen) if after < before]
    figures = [figure for _, figure, _, _ in seen]
    if not cuts or len(figures) < 2:
        return []
    mode, last = cuts[0][0], cuts[-1][1]
    falls = figures[last] < figures[0]
    if (mode == "max") != falls:
        return []
    told = ", ".join(f"{figure:.4g}" for figure in figures[:4])
    return [
        _finding(
            f"ReduceLROnPlateau has mode '{mode}' and is given {told}; it lowered the rate "
            f"{len(cuts)} time(s), to {seen[last][3]:.2g}",
            f"the schedule waits for a figure to {'rise' if mode == 'max' else 'fall'} (mode "
            f"'{mode}'), and is given one that {'falls' if falls else 'rises'} as training goes "
            f"well ({'a loss' if falls else 'an accuracy'}): the learning rate is cut whenever "
            "training improves",
            "use mode 'min' for a loss, and 'max' for an accuracy",
            "rate",
        )
    ]


def of_schedules(schedules: list[LRScheduler]) -> list[Finding]:
    """Report schedules whose factor makes the rate 0, or lets it grow."""
    for schedule in schedules:
        gamma = getattr(schedule, "gamma", None)
        if isinstance(gamma, int | float) and (gamma <= 0 or gamma > 1):
            what = "0" if gamma <= 0 else "larger and larger"
            return [
                Finding(
                    "training steps",
                    "error" if gamma <= 0 else "warning",
                    f"{type(schedule).__name__} has a gamma of {gamma:g}",
                    f"the schedule multiplies the learning rate by {gamma:g} (gamma), so it is "
                    f"{what} after its first step of the schedule, and "
                    + ("nothing is learnt any more" if gamma <= 0 else "training diverges"),
                    "use a gamma of 1 to keep the rate, and 0.1 to 0.99 to lower it",
                    root="steps rate",
                )
            ]
    return []


def _averages(steps: list[SeenStep]) -> Iterator[Finding]:
    for group in (group for step in steps for group in step.groups):
        first, second = _betas(group)
        if first >= _MOMENTUM:
            exchanged = 0 < second < first
            yield _finding(
                f"{steps[0].optimiser} has "
                + (f"betas of {first:g} and {second:g}" if second else f"a momentum of {first:g}"),
                f"the average of the gradients goes over {1 / max(1 - first, 1e-9):,.0f} steps, so "
                "each step uses gradients of long ago"
                + (": the two betas are exchanged" if exchanged else " (momentum)"),
                "use a momentum of 0.9, or betas of 0.9 and 0.999",
                "momentum",
            )
            return
        if second and first < _OTHER_WAY and second < _OTHER_WAY:
            yield _finding(
                f"{steps[0].optimiser} has betas of {first:g} and {second:g}",
                f"the betas are given the other way round, as 1 - beta ({1 - first:g} and "
                f"{1 - second:g} would be usual): gradients are hardly averaged, so each step is "
                "about the sign of one batch's gradient",
                "use betas of 0.9 and 0.999",
                "momentum",
            )
            return
        if second and float(group.get("eps") or 0.0) >= _EPSILON:
            yield _finding(
                f"{steps[0].optimiser} has an eps of {group['eps']:g}",
                "eps is larger than the gradients: steps are not scaled by their size, and are far "
                "shorter than the learning rate says",
                "leave eps at 1e-8",
                "epsilon",
            )
            return


def _betas(group: dict[str, Any]) -> tuple[float, float]:
    """The first and the second factor of the averages; 0 where there is none."""
    betas = group.get("betas")
    if betas:
        return float(betas[0]), float(betas[1])
    return float(group.get("momentum") or 0.0), 0.0


def _rates_apart(steps: list[SeenStep]) -> Iterator[Finding]:
    rates = [float(group.get("lr", 0.0)) for group in steps[0].groups]
    rates = [rate for rate in rates if rate > 0]
    if rates and max(rates) >= _APART * min(rates):
        yield _finding(
            f"{steps[0].optimiser} has learning rates from {min(rates):g} to {max(rates):g}",
            f"a part of the network is trained at a rate {max(rates) / min(rates):,.0f} times that "
            "of another: one hardly moves, or the other is thrown about",
            "give all parts rates within a factor of 10",
            "rates apart",
        )


def _swinging(steps: list[SeenStep]) -> Iterator[Finding]:
    """Report a rate that falls to nothing and rises again every few steps."""
    steps = [step for step in steps if step.key == steps[0].key]
    rates = np.array([max(float(g.get("lr", 0.0)) for g in s.groups) for s in steps])
    turns = np.flatnonzero(np.diff(np.sign(np.diff(rates))))
    low = rates.min() < _NOTHING * rates.max()
    if len(turns) < _TURNS or not low:
        return
    period = 2 * float(np.median(np.diff(turns)))
    yield _finding(
        f"in {len(rates)} steps the learning rate changes its direction {len(turns)} times, "
        f"between {rates.min():.2g} and {rates.max():.2g}",
        f"the learning rate swings between its highest value and nothing every {period:.0f} steps: "
        "the length of the schedule is counted in epochs (T_max, cycle), and it is stepped for "
        "each batch",
        "step the schedule once an epoch, or give its length in batches",
        "rate",
    )


def _falling(steps: list[SeenStep]) -> Iterator[Finding]:
    """Report a rate that each step multiplies by one factor, and so is soon nothing."""
    steps = [step for step in steps if step.moved.keys() == steps[0].moved.keys()]
    rates = np.array([max(float(g.get("lr", 0.0)) for g in s.groups) for s in steps])
    if len(rates) < 8 or rates.min() <= 0:
        return
    factors = rates[1:] / rates[:-1]
    if factors.max() < 1 and np.ptp(factors) < 1e-6:
        halves = float(np.log(2) / -np.log(factors[0]))
        if halves < _HALVES:
            yield _finding(
                f"each of {len(rates)} steps multiplies the learning rate by {factors[0]:.3g}",
                "the schedule of the learning rate is stepped for each batch in place of each "
                f"epoch: it is halved every {halves:.0f} steps, and soon nothing is learned",
                "step the schedule once an epoch",
                "rate",
            )


def by_optimiser(steps: list[SeenStep]) -> list[list[SeenStep]]:
    """The steps of each optimiser, which are told apart by the weights that they move."""
    found: dict[frozenset[str], list[SeenStep]] = {}
    for step in steps:
        found.setdefault(frozenset(step.moved), []).append(step)
    return list(found.values())


def sinking(steps: list[SeenStep], rates: list[float]) -> list[Finding]:
    """Report a rate that falls to nothing within the steps, or a decay that overcomes gradients."""
    for own in by_optimiser(steps):
        lrs = [max(float(group.get("lr", 0.0)) for group in s.groups) for s in own]
        if len(lrs) > 4 and lrs[0] > 0 and lrs[-1] < 0.05 * lrs[0]:
            return [_fallen(lrs)]
    decays = [float(g.get("weight_decay", 0.0) or 0.0) for s in steps for g in s.groups]
    decoupled = "W" in steps[0].optimiser
    if decays and max(decays) >= (1.0 if decoupled else 0.03):
        return [
            Finding.warning(
                "training steps",
                f"{steps[0].optimiser} has a weight decay of {max(decays):g} (learning rate "
                f"{rates[-1]:g})",
                "the weight decay is so strong that it outweighs the gradients of the loss: "
                "weights shrink, and answers become alike",
                "use a weight decay of 1e-4 (Adam, SGD) or 1e-2 (AdamW)",
                root="decay",
            )
        ]
    return []


def _fallen(lrs: list[float]) -> Finding:
    return Finding.warning(
        "training steps",
        f"the learning rate falls from {lrs[0]:.2g} to {lrs[-1]:.2g} in {len(lrs)} steps",
        "the schedule of the learning rate is stepped for each batch in place of each epoch, or is "
        "far too short: training ends after a few steps",
        "step the schedule once an epoch, or set its length in steps",
        root="steps rate",
    )


def _finding(evidence: str, cause: str, remedy: str, root: str) -> Finding:
    return Finding.warning("training steps", evidence, cause, remedy, root=f"steps {root}")
