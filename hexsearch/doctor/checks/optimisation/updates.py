"""The check of what the optimiser makes of its gradients: each step, computed again."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from hexsearch.doctor.findings import Finding
from hexsearch.doctor.hypotheses.optimisation.updates import (
    explain_steps,
    gap_of,
    own_rule,
    recorded_steps,
)
from hexsearch.doctor.watching import WatchedStep, WatchedTrial

_LARGEST_SHARE = 0.1  # of the positions seen, that a half-life may be
_OFF = 0.03  # relative gap between a step and the formula's


def update_findings(trial: WatchedTrial, stepped: list[WatchedStep]) -> Iterator[Finding]:
    """Steps against the formula of the configured optimiser, with its rates and decay."""
    rule, steps = own_rule(trial.config), recorded_steps(trial, stepped)
    if rule is None or steps is None:
        return
    gap = gap_of(rule, steps)
    if gap > _OFF:
        best = explain_steps(rule, steps)
        yield Finding(
            "steps",
            "error",
            f"computed again from the same gradients and rates, {len(stepped)} steps of "
            f"{trial.config.optimiser.name} depart by up to {gap:.0%} of their length",
            best.cause
            if best
            else "the optimiser's steps are not those of its formula; excluded: lost or exchanged "
            "moments, other decay, other momentum, one factor",
            best.remedy if best else "look at what wraps the optimiser or touches its state",
            root="updates",
        )
        return
    found = list(_decay(trial))
    yield from found or _average(trial, stepped)


def _average(trial: WatchedTrial, stepped: list[WatchedStep]) -> Iterator[Finding]:
    """The averaged weights against the average of the weights after each step."""
    half_life = trial.config.optimiser.ema_half_life
    if not half_life:
        return
    parts = trial.answering.parts()
    initial = iter(trial.initial_answering)
    start = {id(p): next(initial) for p in trial.answering.parameters()}
    seen = 0
    average = {
        owner: torch.cat([start[id(p)].reshape(-1) for p in parts[owner].parameters()])
        for owner in stepped[0].after
    }
    for step in stepped:
        seen += len(step.batch)
        life = min(half_life, _LARGEST_SHARE * seen)
        share = 1.0 - 0.5 ** (len(step.batch) / life)
        average = {o: a.lerp(step.after[o], share) for o, a in average.items()}
    for owner, wanted in average.items():
        own = torch.cat([p.detach().reshape(-1) for p in parts[owner].parameters()])
        moved = float((stepped[-1].after[owner] - stepped[0].before[owner]).norm())
        gap = float((own - wanted).norm())
        if own.shape == wanted.shape and gap > 0.1 * moved + 1e-6 * float(wanted.norm()):
            yield Finding(
                "averaged weights",
                "error",
                f"after {len(stepped)} steps the averaged weights of the "
                f"{owner.replace('_', ' ')} are {gap / max(moved, 1e-12):.0%} of the way that "
                "training went from where their half-life puts them",
                "the average of weights (EMA) that evaluation uses is not the one configured: "
                "another half-life, a part that is left out, or other weights",
                "let the average follow the weights after each step by optimiser.ema_half_life",
            )
            return


def _decay(trial: WatchedTrial) -> Iterator[Finding]:
    """Weight decay of the groups against the configuration's."""
    config = trial.config.optimiser
    for group in trial.optimiser.param_groups:
        own = config.weight_decay
        own *= config.value_decay_factor if group.get("owner") == "value_head" else 1.0
        flat = all(parameter.ndim < 2 for parameter in group["params"])
        found = float(group["weight_decay"])
        if (flat and found == 0.0) or (not flat and found in (own, 0.0)):
            continue
        yield Finding(
            "parameter groups",
            "error",
            f"the {str(group.get('owner', 'first')).replace('_', ' ')}'s group of "
            f"{len(group['params'])} weights has weight decay {found:g}, configured is "
            f"{0.0 if flat else own:g}",
            "weight decay is applied to biases and norms as well"
            if flat
            else f"the weight decay is {found:g}, not the configured {own:g}",
            "build the groups by the configuration: decay on matrices and kernels alone",
            root="parameter groups",
        )
        return
