"""Explains why the optimiser's steps are not those of its formula.

The gradients at the optimiser and the weights before and after each step are recorded. So each step
can be computed again by the textbook formula, and by variants of it with one thing wrong.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from hexsearch.config.trial import TrialConfig
from hexsearch.doctor.hypotheses.optimisation.directions import explain_directions
from hexsearch.doctor.hypotheses.optimisation.lengths import explain_lengths, moved, slices
from hexsearch.doctor.hypotheses.table import Hypothesis
from hexsearch.doctor.recorded import Flat, WatchedStep
from hexsearch.doctor.watching import WatchedTrial

_CLOSE = 0.02  # relative difference that rounding may cause
_ROUNDING = 1e-7  # rounding error of a weight, relative to it
SECOND_BETA = "the second beta of AdamW is"  # which no setting names
_AS_CONFIGURED = "build the optimiser as configured, and do not change its state between steps"


@dataclass(frozen=True)
class Rule:
    """The formula of AdamW or SGD, possibly with one thing wrong.

    Attributes:
        name: `adamw` or `sgd`.
        first, second: decay rates of the first and second moment (beta1, beta2); momentum of SGD.
        epsilon: added to the root of the second moment.
        bias: whether the bias of the moments is corrected.
        keeps: whether the moments are kept from step to step.
        decay: factor on the weight decay.
        decay_everywhere: weight decay of the weights that should have none.
        coupled: whether weight decay is added to the gradient (L2 penalty).
        unscaled: whether weight decay is not multiplied by the learning rate.
        nesterov: whether momentum is Nesterov's.
    """

    name: str
    first: float
    second: float
    epsilon: float = 1e-8
    bias: bool = True
    keeps: bool = True
    decay: float = 1.0
    decay_everywhere: float = 0.0
    coupled: bool = False
    unscaled: bool = False
    nesterov: bool = True


@dataclass(frozen=True)
class Steps:
    """Recorded steps of all W weights.

    Attributes:
        gradients, before, after, rates: for each step, [W] gradients, weights before and after
            the step, and learning rates.
        decay: [W] weight decay.
        parts: where the weights of each part of the network are.
        first, second: [W] moments of the optimiser before the first of these steps.
        taken: number of steps before.
    """

    gradients: list[Tensor]
    before: list[Tensor]
    after: list[Tensor]
    rates: list[Tensor]
    decay: Tensor
    parts: Mapping[str, slice]
    first: Tensor
    second: Tensor
    taken: int


def recorded_steps(trial: WatchedTrial, steps: Sequence[WatchedStep]) -> Steps | None:
    """The recorded steps of a trial; None if a weight is in no parameter group."""
    groups = trial.optimiser.param_groups
    number = {id(p): n for n, group in enumerate(groups) for p in group["params"]}
    of_weight, decay = [], []
    owners = list(steps[0].given)
    for owner in owners:
        for parameter in trial.network.parts()[owner].parameters():
            if not parameter.requires_grad:
                continue
            if id(parameter) not in number:
                return None
            group = number[id(parameter)]
            of_weight.append(torch.full((parameter.numel(),), group))
            decay.append(torch.full((parameter.numel(),), float(groups[group]["weight_decay"])))
    index = torch.cat(of_weight)

    def vector(part: Flat) -> Tensor:
        return torch.cat([part[owner] for owner in owners]).double()

    def moment(*names: str) -> Tensor:
        kept = [trial.moments[name] for name in names if name in trial.moments]
        return vector(kept[0]) if kept else torch.zeros(len(index), dtype=torch.float64)

    return Steps(
        [vector(step.given) for step in steps],
        [vector(step.before) for step in steps],
        [vector(step.after) for step in steps],
        [torch.tensor(step.rates, dtype=torch.float64)[index] for step in steps],
        torch.cat(decay).double(),
        slices({owner: len(steps[0].given[owner]) for owner in owners}),
        moment("exp_avg", "momentum_buffer"),
        moment("exp_avg_sq"),
        round(steps[0].progress * trial.max_positions / max(trial.config.batch_size, 1)),
    )


def own_rule(config: TrialConfig) -> Rule | None:
    """The rule of the configured optimiser; None if it is neither AdamW nor SGD."""
    momentum = config.optimiser.momentum
    if config.optimiser.name == "adamw":
        return Rule("adamw", momentum, 0.999)
    if config.optimiser.name == "sgd":
        return Rule("sgd", momentum, 0.0, nesterov=momentum > 0, coupled=True)
    return None


def gap_of(rule: Rule, steps: Steps) -> float:
    """Largest relative difference, beyond rounding, of a recorded step and that of the rule."""
    worst = 0.0
    for number, change in enumerate(_changes(rule, steps)):
        real = steps.after[number] - steps.before[number]
        rounding = _ROUNDING * float(steps.before[number].norm())
        gap = max(float((real - change).norm()) - rounding, 0.0)
        size = max(float(change.norm()), float(real.norm()))
        if size > 20 * rounding:
            worst = max(worst, gap / size)
    return worst


def explain_steps(rule: Rule, steps: Steps) -> Hypothesis | None:
    """The first variant of the rule that gives the steps; None if there is none."""
    for cause, other in _variants(rule):
        if gap_of(other, steps) < _CLOSE:
            return Hypothesis(cause, cause, _AS_CONFIGURED)
    betas = (rule.first, rule.second) if rule.name == "adamw" else None
    changes = list(_changes(rule, steps))
    explained = explain_lengths(changes, moved(steps.before, steps.after), steps.parts, betas)
    if explained is not None:
        return explained
    return explain_directions(
        rule.name, steps.gradients, steps.before, steps.after, steps.rates, steps.decay
    )


def _changes(rule: Rule, steps: Steps) -> Iterator[Tensor]:
    """[W] for each step: what the rule adds to the weights."""
    zero = torch.zeros_like(steps.gradients[0])
    first, second = (steps.first, steps.second) if rule.keeps else (zero, zero)
    for number, plain in enumerate(steps.gradients):
        rate, weights = steps.rates[number], steps.before[number]
        decay = rule.decay * steps.decay + rule.decay_everywhere * (steps.decay == 0)
        gradient = plain + decay * weights if rule.coupled else plain
        count = steps.taken + number + 1 if rule.keeps else 1
        if not rule.keeps:
            first, second = zero, zero
        if rule.name == "sgd":
            begun = number + steps.taken > 0 and rule.keeps
            first = rule.first * first + gradient if begun else gradient
            change = -rate * (gradient + rule.first * first if rule.nesterov else first)
        else:
            first = rule.first * first + (1 - rule.first) * gradient
            second = rule.second * second + (1 - rule.second) * gradient.square()
            mean, size = first, second
            if rule.bias:
                mean, size = first / (1 - rule.first**count), second / (1 - rule.second**count)
            change = -rate * mean / (size.sqrt() + rule.epsilon)
        if not rule.coupled:
            change = change - (decay if rule.unscaled else rate * decay) * weights
        yield change


def _variants(rule: Rule) -> Iterator[tuple[str, Rule]]:
    """Rules with one thing wrong, each after its cause."""
    yield (
        "the moments of the optimiser are lost after every step: its state is reset or built anew",
        replace(rule, keeps=False),
    )
    yield "momentum is left out: each step follows its own gradient only", replace(rule, first=0.0)
    yield "weight decay is not applied: weights never shrink", replace(rule, decay=0.0)
    yield (
        "weight decay is applied to the weights instead of the gradient"
        if rule.coupled
        else "weight decay is applied to the gradient (L2 penalty) instead of the weights",
        replace(rule, coupled=not rule.coupled),
    )
    yield "weight decay has the wrong sign: weights grow", replace(rule, decay=-1.0)
    cause = "weight decay is not multiplied by the learning rate: it is far too strong"
    yield cause, replace(rule, unscaled=True, coupled=False)
    for decay in (1e-4, 1e-3, 0.01, 0.05, 0.1, 1.0):
        cause = "weight decay is applied to biases and norms as well"
        yield cause, replace(rule, decay_everywhere=decay)
    if rule.name == "adamw":
        yield from _of_adam(rule)
    else:
        yield "momentum is plain, not Nesterov's", replace(rule, nesterov=False)
        yield "the optimiser is AdamW, not SGD", Rule("adamw", rule.first or 0.9, 0.999)
    for first in (0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.999, 0.9999):
        yield f"the momentum is {first:g}, not {rule.first:g}", replace(rule, first=first)


def _of_adam(rule: Rule) -> Iterator[tuple[str, Rule]]:
    cause = "the two moments of AdamW are exchanged: its betas are in the wrong order"
    yield cause, replace(rule, first=rule.second, second=rule.first)
    yield "the bias of AdamW's moments is not corrected", replace(rule, bias=False)
    cause = "the optimiser is SGD, not AdamW: steps are as small as the gradients"
    yield cause, Rule("sgd", rule.first, 0.0, nesterov=False)
    cause = "the optimiser is plain SGD, not AdamW: steps are as small as the gradients"
    yield cause, Rule("sgd", 0.0, 0.0, nesterov=False)
    cause = "the second beta of AdamW is 0: each number is divided by the size of its own gradient"
    yield cause, replace(rule, second=0.0)
    for second in (0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.9999):
        yield f"{SECOND_BETA} {second:g}, not 0.999", replace(rule, second=second)
    for epsilon in (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1.0):
        yield (
            f"epsilon of AdamW is {epsilon:g}: small gradients hardly move their weights (steps "
            "are scaled)",
            replace(rule, epsilon=epsilon),
        )
