"""The check of what the optimiser makes of its gradients: each step, computed again."""

from __future__ import annotations

from collections.abc import Iterator

from hexsearch.doctor.findings import Finding
from hexsearch.doctor.hypotheses.updates import explain_steps, gap_of, own_rule, recorded_steps
from hexsearch.doctor.watching import WatchedStep, WatchedTrial

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
    yield from _decay(trial)


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
