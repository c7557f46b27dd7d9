"""Where a number first ceases to be finite: everything after it is a consequence."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from hexsearch.doctor.watching import WatchedStep, WatchedTrial


def in_order(step: WatchedStep) -> Iterator[tuple[str, Tensor, str, str]]:
    """Each place: its numbers, and the cause and the remedy if it is the first that breaks."""
    yield (
        "numbers on the planes",
        step.planes,
        "the planes hold numbers that are not finite before the network sees them",
        "look at what divides or normalises the planes",
    )
    yield (
        "labels",
        step.batch.outcome if step.targets is None else step.targets.float(),
        "labels are not finite before the loss sees them",
        "look at what turns the winner into a label",
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
        "compute the loss from the raw output by a stable formula, as "
        "binary_cross_entropy_with_logits does",
    )
    yield (
        "policy losses",
        torch.tensor([step.policy]),
        "the policy loss is not finite though the logits are: a logarithm of 0, or a mask that "
        "leaves no cell",
        "take log_softmax of the logits, and mask with a large negative number",
    )
    for name, gradient in (("value", step.value_gradient), ("policy", step.policy_gradient)):
        for numbers in gradient.values():
            yield (
                f"gradients of the {name} loss",
                numbers,
                f"the {name} loss is finite and its gradient is not: the slope of a root at 0, or "
                "of a branch that is not taken",
                "add a small number under roots, and choose before a branch is computed",
            )
    for numbers in step.after.values():
        yield (
            "weights after the step",
            numbers,
            "the optimiser's step makes weights that are not finite: the learning rate is far too "
            "high, or a gradient overflows",
            "lower optimiser.learning_rate",
        )


def is_finite(trial: WatchedTrial) -> bool:
    """Whether everything that was recorded can be compared."""
    return all(
        bool(torch.isfinite(numbers).all())
        for step in [*trial.steps, *trial.asked]
        for _, numbers, _, _ in in_order(step)
    )
