"""Checks the learning rates of the first steps."""

from __future__ import annotations

from collections.abc import Iterator

from hexsearch.doctor.findings import Finding, in_words
from hexsearch.doctor.hypotheses.optimisation.rates import explain_rates
from hexsearch.doctor.recorded import WatchedStep
from hexsearch.doctor.watching import WatchedTrial
from hexsearch.training.optimisation.schedule import learning_rate


def schedule_findings(trial: WatchedTrial, stepped: list[WatchedStep]) -> Iterator[Finding]:
    """Compare the rates of the first group with the schedule, then those of the other groups."""
    config = trial.config.optimiser
    rates = [step.rates[0] for step in stepped]
    progress = [step.progress for step in stepped]
    wanted = [learning_rate(config, at) for at in progress]
    if max(rates, default=0.0) == 0.0:
        yield Finding.error(
            "schedule",
            f"the learning rate is 0 in all of {len(rates)} steps",
            "the schedule starts at 0 and is never stepped, or the rate is set to 0",
            "set the rate of every parameter group before each step",
            root="schedule",
        )
    elif len(set(rates)) == 1 and config.schedule != "constant" and len(rates) > 1:
        yield Finding.error(
            "schedule",
            f"the learning rate is {rates[0]:.3g} in all of {len(rates)} steps; by schedule "
            f"{config.schedule} it starts at {wanted[0]:.2g}, its highest value is "
            f"{max(wanted):.2g}, and it ends at {wanted[-1]:.2g}",
            "the schedule is built but never stepped",
            "set the rate before each step, by the share of the budget that has been used",
        )
    elif max(abs(a - b) for a, b in zip(rates, wanted, strict=True)) > 0.01 * max(wanted):
        best = explain_rates(config, rates, progress)
        yield Finding(
            "schedule",
            "error" if best.name == "factor" else "warning",
            f"the learning rates of {len(rates)} steps differ from schedule {config.schedule} by "
            f"up to {max(abs(a - b) for a, b in zip(rates, wanted, strict=True)):.2g}",
            best.cause,
            best.remedy,
        )
    else:
        yield from _of_groups(trial, stepped)


def _of_groups(trial: WatchedTrial, stepped: list[WatchedStep]) -> Iterator[Finding]:
    """Report a group whose rate is not that of the schedule times the factor of the group."""
    groups = trial.optimiser.param_groups
    step = max(stepped, key=lambda each: each.rates[0])
    factors = [float(group.get("factor", 1.0)) for group in groups]
    if len(step.rates) != len(groups) or not factors[0]:
        return
    base = step.rates[0] / factors[0]
    other = [
        abs(rate - base * factor) > 0.01 * base * max(factor, 0.01)
        for rate, factor in zip(step.rates, factors, strict=True)
    ]
    flat = [all(p.ndim < 2 for p in group["params"]) for group in groups]
    for group, rate, factor, is_other in zip(groups, step.rates, factors, other, strict=True):
        if is_other:
            owner = in_words(str(group.get("owner", "other weights")))
            if other == flat:
                owner = "norms and biases"
            yield Finding.error(
                "schedule",
                f"the learning rate of the {owner} is {rate:.3g}, but the schedule gives "
                f"{base * factor:.3g}",
                f"the learning rate of the {owner} is {rate / max(base * factor, 1e-12):.3g} times "
                "the configured one",
                "set the rate of every group to that of the schedule times the group's factor",
                root="movement" if rate == 0.0 else "",
            )
            return
