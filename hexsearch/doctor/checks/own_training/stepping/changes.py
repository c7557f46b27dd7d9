"""Looks at what a user's training does to gradients and weights beside the optimiser."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np

from hexsearch.doctor.findings import Finding
from hexsearch.doctor.own_training.gradients import LEFT
from hexsearch.doctor.own_training.seen import SeenStep

_TAKEN, _WHOLE = 0.6, 0.9995  # share of the new weights in an average that is none; in a copy
_AGAIN = 0.3  # share of steps that use the gradients of the step before
_LITTLE = 0.01  # the same where weights are cut off at one number
_MOVED = 0.3  # how far weights move between steps, as a share of what the steps move them


def stepped_again(steps: list[SeenStep]) -> list[Finding]:
    """Steps that use the gradients of the step before once more."""
    again = [s for s in steps[1:] if s.given > 0 and s.sent == 0 and not s.passes]
    if len(again) < _AGAIN * len(steps):
        return []
    told = (
        f"{len(again)} of {len(steps)} steps use the gradients of the step before: nothing was "
        "computed between them"
    )
    if len({step.key for step in steps}) > 1:
        return [
            Finding.error(
                "training steps",
                told,
                "several optimisers hold the same weights, so each gradient is applied by each of "
                "them, and those of one loss by the optimiser of another",
                "give each weight to one optimiser, or step with one optimiser for both losses",
                root="steps again",
            )
        ]
    return [
        Finding.error(
            "training steps",
            told,
            "step() is called several times after each backward(), so each gradient is applied "
            "again at weights that it does not belong to",
            "call step() once after each backward()",
            root="steps again",
        )
    ]


def changed_gradients(odd: list[SeenStep], count: int) -> list[Finding]:
    """What is done to the gradients between backward() and the step.

    Args:
        odd: steps whose gradients are not those that were computed.
        count: of all steps.
    """
    kinds = Counter(s.changed.split(" (")[0].split(" of ")[0] for s in odd if s.changed)
    kind, often = max(kinds.items(), key=lambda pair: pair[1], default=("", 0))
    words = next((s.changed for s in odd if kind and s.changed.startswith(kind)), "")
    cause = (
        "gradients are changed one by one before the step: each is cut off at a limit "
        "(clip_grad_value_), or noise or a penalty is added"
    )
    if often > len(odd) / 2:
        cause = f"gradients are changed before the step: {words}"
    if words == LEFT:
        cause = (
            "the gradients that an optimiser's step has used are not cleared before the next one "
            "of another optimiser, which holds the same weights, so they are applied again"
        )
    # To clip each weight by itself is done on purpose, too.
    severity = Finding.warning if "factor of their own" in cause else Finding.error
    return [
        severity(
            "training steps",
            f"in {len(odd)} of {count} steps gradients are changed between backward() and step()",
            cause,
            "leave gradients as backward() makes them, or clip the norm of all of them together "
            "(clip_grad_norm_), with a limit above its usual size",
            root="steps gradients",
        )
    ]


def clipped_late(steps: list[SeenStep]) -> list[Finding]:
    """Gradients that are clipped when the step has used them already."""
    # Between the steps of several optimisers, gradients of the next one may be clipped.
    late = sum(step.clipped_late and bool(after.passes) for step, after in pairwise(steps))
    if late < len(steps) / 2:
        return []
    return [
        Finding.error(
            "training steps",
            f"after {late} of {len(steps)} steps gradients are clipped, before any new ones are "
            "computed",
            "gradients are clipped after the step that has used them, so the limit on their norm "
            "has no effect: large gradients throw the weights about",
            "call clip_grad_norm_() between backward() and step()",
            root="steps clipped late",
        )
    ]


def averaged(shares: list[float]) -> list[Finding]:
    """Averages of the weights that keep next to nothing of what they were.

    Args:
        shares: of the new weights in each average, after a step.
    """
    shares = [each for each in shares if _TAKEN < each < _WHOLE]
    if not shares:
        return []
    return [
        Finding.error(
            "training steps",
            f"after a step a copy of the network is {1 - max(shares):.2g} of what it was and "
            f"{max(shares):.2g} of the new weights",
            "the moving average of the weights (EMA) averages nothing: its two factors are "
            "exchanged, and it is the network of the last step",
            "keep 0.99 or more of the average, and add the rest of the new weights: "
            "average.lerp_(weight, 1 - decay)",
            root="steps average",
        )
    ]


def moved_by_others(steps: list[SeenStep]) -> list[Finding]:
    """Weights that something else than the optimiser moves between the steps."""
    odd = [s for s in steps[1:] if s.between > _MOVED]
    cut = [s for s in steps[1:] if s.between > _LITTLE and s.bound > 0]
    if len(cut) > 0.8 * len(steps) and len({s.bound for s in cut}) == 1:
        odd = cut
    if len(odd) <= len(steps) / 2:
        return []
    bounds = [s.bound for s in odd]
    severity = Finding.error
    if all(s.back for s in odd):
        cause = (
            "after each step the weights get back the numbers that they had before it (a saved "
            "state that is loaded again and again): nothing is learned"
        )
        remedy = "load saved weights once, before the first batch"
    elif min(bounds) > 0 and max(bounds) - min(bounds) < 1e-6:
        cause = (
            f"weights are cut off at {bounds[0]:.2g} after each step (a clamp, a limit on "
            "weights), the scales of norms with them"
        )
        remedy = "do not clamp weights; use a weight decay"
    else:
        severity = Finding.warning  # a limit on the norm of weights may be on purpose
        cause = (
            "something else than the optimiser changes the weights between its steps: a copy "
            "(an average, a target network, another process) is written back, or they are scaled, "
            "cut off or drawn anew"
        )
        remedy = "change weights by the optimiser alone, and keep averages in a copy"
    return [
        severity(
            "training steps",
            f"before {len(odd)} of {len(steps)} steps the weights are not those that the step "
            f"before has left: they moved by {np.median([s.between for s in odd]):.2g} of what it "
            "had moved them",
            cause,
            remedy,
            root="steps undone",
        )
    ]
