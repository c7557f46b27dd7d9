"""What a report must leave as it was: the state of the training, and its schedule."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import torch

from hexsearch.doctor.findings import Finding
from hexsearch.doctor.hypotheses.optimisation.rates import wanted_rate
from hexsearch.doctor.watching import WatchedTrial

_MAY_CHANGE = ("running_", "num_batches_tracked", "/losses/", "seconds")  # by a report
_OFF = 0.01  # of the highest rate


def numbers_of(trial: WatchedTrial) -> dict[str, Any]:
    """All tensors and plain values of a trial's state, by their places in it."""
    return deepcopy(dict(_numbers(trial.state())))


def begun_anew(trial: WatchedTrial, before: int) -> Iterator[Finding]:
    """Report a schedule whose rates fit before the first report and not after it.

    Args:
        before: steps before the first report.
    """
    config = trial.config.optimiser
    found = [step.rates[0] if step.rates else 0.0 for step in trial.steps]
    wanted = [wanted_rate(config, step.progress) for step in trial.steps]
    fits = [abs(a - b) <= _OFF * max(wanted) for a, b in zip(found, wanted, strict=True)]
    again = [abs(a - b) <= _OFF * max(wanted) for a, b in zip(found[before:], wanted, strict=False)]
    if all(fits[:before]) and not any(fits[before + 1 :]) and all(again):
        yield Finding.error(
            "schedule",
            f"after the first report the learning rates are {_told(found[before:])}; by the share "
            f"of the budget they are {_told(wanted[before:])}",
            "the schedule begins anew after each report (its progress is counted from the last "
            "one): the learning rate warms up again and again, and never falls to its end",
            "compute the rate from the share of the whole budget that has been used",
            root="schedule",
        )


def _told(rates: list[float]) -> str:
    return ", ".join(f"{rate:.3g}" for rate in rates)


def _is_averaged(trial: WatchedTrial) -> bool:
    """Whether the trained weights are the averaged ones."""
    if not trial.config.optimiser.ema_half_life:
        return False
    pairs = zip(trial.network.parameters(), trial.answering.parameters(), strict=True)
    return all(torch.equal(one, other) for one, other in pairs)


def _numbers(state: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """All tensors and plain values of a state, by their places in it."""
    if isinstance(state, dict):
        for key, each in state.items():
            yield from _numbers(each, f"{name}/{key}")
    elif isinstance(state, list | tuple):
        for key, each in enumerate(state):
            yield from _numbers(each, f"{name}/{key}")
    else:
        yield name, state


def changed_by_report(before: dict[str, Any], after: dict[str, Any]) -> dict[str, bool]:
    """What a report may not change and has changed; True for a state of the optimiser."""
    found = {}
    for name, old in before.items():
        if any(part in name for part in _MAY_CHANGE):
            continue
        new = after.get(name)
        if isinstance(old, torch.Tensor) and isinstance(new, torch.Tensor):
            same = torch.equal(old, new)
        else:
            same = bool(old == new)
        if not same:
            found[name] = "optim" in name
    return found


def not_left_alone(trial: WatchedTrial, changed: dict[str, bool]) -> Finding:
    """The finding for a report that changes parts of a trial's state."""
    beside = [is_moment for name, is_moment in changed.items() if "param_groups" not in name]
    return Finding.error(
        "figures of reports",
        f"a report changes {len(changed)} parts of the state, such as {next(iter(changed))}",
        "the optimiser is reset, or built anew, at each report: its moments (momentum) are lost"
        if beside and all(beside)
        else "after each report training goes on from the averaged weights (EMA), which are copied "
        "into the network that is trained: reports change the training"
        if _is_averaged(trial)
        else "a report changes the training: weights, moments, settings or counts are others after "
        "it, so the result depends on how often reports are made",
        "let a report read the state of the trial, and change nothing but the statistics of norms",
        root="continued",
    )
