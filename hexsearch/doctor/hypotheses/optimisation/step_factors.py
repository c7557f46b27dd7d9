"""A factor on the value loss, followed over the steps: constant, or another one in each step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor

from hexsearch.config.trial import TrialConfig
from hexsearch.doctor.hypotheses.table import Hypothesis

_ONE_WEIGHT = (
    "let trial.value_weight be the only weight of the value loss, the same in every step, and take "
    "the other factor out"
)
_ONE_LOSS = (
    "compute the value loss as readout.loss(raw, outcome) alone, and decay weights by the optimiser"
)
_STEADY = 2e-3  # relative difference of a multiple between steps


def factor(found: Tensor, right: Tensor) -> float:
    """The factor of one loss against another [B], by least squares."""
    return float((found * right).sum() / (right * right).sum().clamp(min=1e-12))


def explain_factors(factors: Sequence[float], config: TrialConfig) -> Hypothesis | None:
    """What a factor is that changes, or that a number of the configuration stands for.

    Args:
        factors: of the value loss in consecutive steps.
    """
    if max(factors) - min(factors) > 1e-3 * max(map(abs, factors)):
        told = ", ".join(f"{each:.3g}" for each in factors)
        if any(abs(each) < 1e-6 for each in factors):
            return Hypothesis(
                "left out at times",
                f"the value loss is left out in some steps (its factor is {told} from step to "
                "step): heads are trained in turns, every second step or by a condition",
                _ONE_WEIGHT,
            )
        course = "fades" if list(factors) == sorted(factors, reverse=True) else "changes"
        if list(factors) == sorted(factors):
            course = "grows"
        return Hypothesis(
            "changes",
            f"the weight of the value loss {course} from step to step ({told}): it is annealed, or "
            "taken from the data",
            _ONE_WEIGHT,
        )
    if not config.micro_batch:
        return None
    pieces = -(-config.batch_size // config.micro_batch)
    if pieces > 1 and abs(factors[0] - pieces) < 0.01 * pieces:
        return Hypothesis(
            "by micro-batches",
            f"the value loss is multiplied by {pieces}, the number of micro-batches: each one is "
            "averaged by itself, and their gradients are added and not divided",
            "weigh each micro-batch by its share of the batch",
        )
    return None


def explain_offsets(offsets: Sequence[float], terms: Mapping[str, Sequence[float]]) -> Hypothesis:
    """What an amount is that is added to the value loss of every position of a step.

    Args:
        offsets: the amount in consecutive steps.
        terms: numbers of these steps, one of which it may be a multiple of, by their names.
    """
    for name, numbers in {"1 (a constant)": [1.0] * len(offsets), **terms}.items():
        if not all(numbers):
            continue
        ratios = [offset / number for offset, number in zip(offsets, numbers, strict=True)]
        if max(ratios) - min(ratios) < _STEADY * abs(ratios[0]):
            told = ratios[0]
            return Hypothesis(
                "offset",
                f"{told:.3g} times {name} is added to the value loss of every position (a penalty)",
                _ONE_LOSS,
            )
    told_all = ", ".join(f"{each:.3g}" for each in offsets)
    return Hypothesis(
        "offset",
        f"a number that changes from step to step ({told_all}) is added to the value loss of every "
        "position",
        _ONE_LOSS,
    )
