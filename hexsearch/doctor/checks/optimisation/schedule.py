"""Checks the learning rates of the first steps."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from hexsearch.config.optimiser import OptimiserConfig
from hexsearch.doctor.findings import Finding, in_words
from hexsearch.doctor.hypotheses.optimisation.rates import explain_rates, wanted_rate
from hexsearch.doctor.recorded import WatchedStep
from hexsearch.doctor.watching import WatchedTrial
from hexsearch.training.optimisation import schedule

_POINTS = 200  # of the budget at which the schedule is asked


def schedule_findings(trial: WatchedTrial, stepped: list[WatchedStep]) -> Iterator[Finding]:
    """Compare the rates of the first group with the schedule, then those of the other groups."""
    config = trial.config.optimiser
    rates = [step.rates[0] for step in stepped]
    progress = [step.progress for step in stepped]
    wanted = [wanted_rate(config, at) for at in progress]
    asked = [schedule.learning_rate(config, at) for at in progress]
    if max(rates, default=0.0) == 0.0 and max(asked, default=0.0) == 0.0:
        yield from _whole_budget(config)
        return
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
            "the schedule is built but never stepped, or its progress begins again at each report",
            "set the rate before each step, by the share of the budget that has been used",
        )
    elif factors := list(_factors(trial, stepped)):
        yield from factors
    elif formula := list(_whole_budget(config)):
        yield from formula
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


def _factors(trial: WatchedTrial, stepped: list[WatchedStep]) -> Iterator[Finding]:
    """Report optimiser.value_lr_factor where it is given to other groups than the value head's."""
    config, groups = trial.config.optimiser, trial.optimiser.param_groups
    factor = config.value_lr_factor
    step = max(stepped, key=lambda each: wanted_rate(config, each.progress))
    if factor == 1.0 or len(step.rates) != len(groups):
        return
    wanted = wanted_rate(config, step.progress)
    is_value = [group.get("owner") == "value_head" for group in groups]
    found = [abs(rate / wanted / factor - 1) < 0.01 for rate in step.rates]
    usual = [abs(rate / wanted - 1) < 0.01 for rate in step.rates]
    if not all(a or b for a, b in zip(found, usual, strict=True)) or found == is_value:
        return
    given = sorted(
        {in_words(str(g.get("owner"))) for g, has in zip(groups, found, strict=True) if has}
    )
    yield Finding.error(
        "schedule",
        f"of {len(groups)} parameter groups {sum(found)} have {factor:g} times the rate of the "
        f"schedule, and {sum(usual)} have the rate itself",
        f"optimiser.value_lr_factor ({factor:g}) "
        + (
            f"multiplies the learning rate of the {' and the '.join(given)}, and it is for the "
            "value head alone"
            if given
            else "has no effect: the value head has the learning rate of the others"
        ),
        "multiply the rate of the value head's groups by value_lr_factor, and no other",
        root="schedule",
    )


def _whole_budget(config: OptimiserConfig) -> Iterator[Finding]:
    """Compare the schedule's own formula with that of the documents, over the whole budget."""
    progress = [n / _POINTS for n in range(_POINTS + 1)]
    rates = [schedule.learning_rate(config, at) for at in progress]
    wanted = [wanted_rate(config, at) for at in progress]
    gaps = [abs(a - b) for a, b in zip(rates, wanted, strict=True)]
    if max(gaps) <= 0.01 * max(wanted):
        return
    best, worst = explain_rates(config, rates, progress), gaps.index(max(gaps))
    yield Finding.error(
        "schedule",
        f"after {progress[worst]:.0%} of the budget the learning rate will be {rates[worst]:.2g}; "
        f"by schedule {config.schedule} it is {wanted[worst]:.2g}",
        best.cause,
        best.remedy,
        root="schedule",
    )


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
    rows = zip(groups, step.rates, factors, other, strict=True)
    for number, (group, rate, factor, is_other) in enumerate(rows):
        if is_other:
            owner = in_words(str(group.get("owner", "other weights")))
            if other == flat:
                owner = "norms and biases"
            yield Finding.error(
                "schedule",
                f"the learning rate of the {owner} is {rate:.3g}, but the schedule gives "
                f"{base * factor:.3g}",
                f"the learning rate of the {owner} "
                + (
                    _course([s.rates[number] for s in stepped], [s.rates[0] for s in stepped])
                    or f"is {rate / max(base * factor, 1e-12):.3g} times the configured one"
                ),
                "set the rate of every group to that of the schedule times the group's factor",
                root="movement" if rate == 0.0 else "",
            )
            return


def _course(rates: list[float], first: list[float]) -> str:
    """In words, how the rates of a group change beside those of the first group; "" if alike."""
    moves = max(first) - min(first) > 0.01 * max(first)
    if moves and max(rates) - min(rates) < 1e-6 * max(rates):
        return (
            f"stays at {rates[0]:.3g} in all steps: the schedule sets the rate of the first "
            "parameter group only"
        )
    ratios = [a / b for a, b in zip(rates, first, strict=True) if b > 0]
    more = [b / a for a, b in pairwise(ratios) if a > 0]
    if len(more) > 1 and max(more) - min(more) < 1e-3 * max(more) and abs(more[0] - 1) > 0.01:
        return (
            f"is multiplied by {more[0]:.3g} once more in every step (the factor of its group is "
            "applied again and again), so it soon vanishes or explodes"
        )
    return ""
