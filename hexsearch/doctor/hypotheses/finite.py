"""The recorded numbers of a step in order of computation, to find the first that is not finite."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from hexsearch.doctor.recorded import WatchedStep
from hexsearch.doctor.watching import WatchedTrial


def in_order(step: WatchedStep) -> Iterator[tuple[str, Tensor, str, str]]:
    """Each kind of numbers: its name, the numbers, and the cause and remedy if it is the first."""
    yield (
        "numbers on the planes",
        step.planes,
        "the planes hold numbers that are not finite before the network sees them",
        "look for divisions and normalisations in the encoder",
    )
    yield (
        "labels",
        step.batch.outcome if step.targets is None else step.targets.float(),
        "labels are not finite before the loss sees them",
        "look at the code that makes labels of winners",
    )
    yield (
        "raw values",
        step.raw.float(),
        "the network's value is not finite for finite planes: a logarithm, a root or a division in "
        "the value head, or weights that are not finite",
        "look at the value head's forward() and at the initial weights",
    )
    yield (
        "policy logits",
        step.policy_logits.float(),
        "the network's policy is not finite for finite planes",
        "look at the policy head's forward() and at the initial weights",
    )
    yield (
        "value losses",
        step.value,
        "the value loss is not finite though outputs and labels are: a logarithm of 0, a division "
        "or a root in the read-out's loss",
        "compute the loss from the raw output by a stable formula, such as that of "
        "binary_cross_entropy_with_logits",
    )
    yield (
        "policy losses",
        torch.tensor([step.policy]),
        "the policy loss is not finite though the logits are: a logarithm of 0, or a mask that "
        "leaves no cell",
        "use log_softmax of the logits, and mask with a large negative number",
    )
    for name, gradient in (("value", step.value_gradient), ("policy", step.policy_gradient)):
        for numbers in gradient.values():
            yield (
                f"gradients of the {name} loss",
                numbers,
                f"the {name} loss is finite but its gradient is not: a root has an infinite slope "
                "at 0, or a branch that torch.where() discards has one",
                "add a small number under roots, and replace bad inputs before a branch is "
                "computed",
            )
    for numbers in step.after.values():
        yield (
            "weights after the step",
            numbers,
            "the optimiser's step gives weights that are not finite: the learning rate is far too "
            "high, or a gradient overflows",
            "lower optimiser.learning_rate",
        )


def is_finite(trial: WatchedTrial) -> bool:
    """Whether all recorded numbers are finite."""
    return all(
        bool(torch.isfinite(numbers).all())
        for step in [*trial.steps, *trial.asked]
        for _, numbers, _, _ in in_order(step)
    )
