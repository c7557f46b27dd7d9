"""The check of the learning rates of the first steps."""

from __future__ import annotations

from collections.abc import Iterator

from hexsearch.doctor.findings import Finding
from hexsearch.doctor.hypotheses.optimisation.rates import explain_rates
from hexsearch.doctor.watching import WatchedStep, WatchedTrial
from hexsearch.training.optimisation.schedule import learning_rate


def schedule_findings(trial: WatchedTrial, stepped: list[WatchedStep]) -> Iterator[Finding]:
    """Rates of the first group, and of the others against it."""
    config = trial.config.optimiser
    rates = [step.rates[0] for step in stepped]
    progress = [step.progress for step in stepped]
    wanted = [learning_rate(config, at) for at in progress]
    if max(rates, default=0.0) == 0.0:
        yield Finding(
            "schedule",
            "error",
            f"the learning rate is 0 in all of {len(rates)} steps",
            "the schedule starts at 0 and is never stepped, or the rate is set to 0",
            "set the rate before each step",
        )
    elif len(set(rates)) == 1 and config.schedule != "constant" and len(rates) > 1:
        yield Finding(
            "schedule",
            "error",
            f"the learning rate stays at {rates[0]:.3g} over the whole budget; {config.schedule} "
            f"would go from {wanted[0]:.2g} over {max(wanted):.2g} to {wanted[-1]:.2g}",
            "the schedule is built but never stepped",
            "set the rate before each step from the share of the budget that has been seen",
        )
    elif max(abs(a - b) for a, b in zip(rates, wanted, strict=True)) > 0.01 * max(wanted):
        best = explain_rates(config, rates, progress)
        yield Finding(
            "schedule",
            "error" if best.name == "factor" else "warning",
            f"the rates of {len(rates)} steps depart from schedule {config.schedule} by up to "
            f"{max(abs(a - b) for a, b in zip(rates, wanted, strict=True)):.2g}",
            best.cause,
            best.remedy,
        )
    else:
        yield from _of_groups(trial, stepped)


def _of_groups(trial: WatchedTrial, stepped: list[WatchedStep]) -> Iterator[Finding]:
    """Groups whose rate is not the first one's times their own factor."""
    groups = trial.optimiser.param_groups
    step = max(stepped, key=lambda each: each.rates[0])
    factors = [float(group.get("factor", 1.0)) for group in groups]
    if len(step.rates) != len(groups) or not factors[0]:
        return
    base = step.rates[0] / factors[0]
    for group, rate, factor in zip(groups, step.rates, factors, strict=True):
        if abs(rate - base * factor) > 0.01 * base * max(factor, 0.01):
            yield Finding(
                "schedule",
                "error",
                f"the {str(group.get('owner', 'other')).replace('_', ' ')} has a learning rate of "
                f"{rate:.3g} where the schedule gives {base * factor:.3g}",
                f"the learning rate of the {str(group.get('owner', '')).replace('_', ' ')} is "
                f"{rate / max(base * factor, 1e-12):.3g} times the configured one",
                "set the rate of every group: the scheduled one times its factor",
                root="movement" if rate == 0.0 else "",
            )
            return
