"""Checks that steps of Muon go along the gradients of their own matrices."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor

from hexsearch.doctor.findings import Finding, in_words
from hexsearch.doctor.hypotheses.optimisation.updates import Rule, gap_of, recorded_steps
from hexsearch.doctor.recorded import WatchedStep, by_tensor
from hexsearch.doctor.watching import WatchedTrial

_LEAST_RANK = 4  # of a matrix whose step is looked at
_ALONG, _RESTORED = 0.3, 0.6  # share of the usual cosine: of a wrong step, and of one explained
_OTHER = 0.1  # relative difference to steps of AdamW that are not those
_SECOND = 0.999  # the second beta of AdamW beside Muon
_ORDERS = {
    "in another order of its columns (height, width, channel for the weights, and channel, height, "
    "width for the gradient: the memory format)": (0, 2, 3, 1),
    "with the columns of the weights in the gradient's other order": (0, 3, 1, 2),
    "with inputs and outputs exchanged": (1, 0, 2, 3),
}


def muon_findings(trial: WatchedTrial) -> Iterator[Finding]:
    """Compare the first step of each kernel that moves it with its gradients up to then.

    Muon steps along the orthogonal factor U V' of a gradient U S V' (Jordan et al., 2024), whose
    inner product with the gradient is the sum of its singular values.
    """
    given = [each for each in trial.steps if each.given]
    last = next((n for n, each in enumerate(given) if max(each.rates, default=0.0) > 0), None)
    if last is None or trial.steps[0].progress:
        return
    step, earlier = given[last], given[: last + 1]
    momentum = trial.config.optimiser.momentum
    parts = trial.network.parts()
    # With Nesterov's momentum, up to a factor; at first the rate may be 0.
    along = by_tensor(step.given, parts)
    for number, each in enumerate(earlier):
        for name, gradient in by_tensor(each.given, parts).items():
            along[name] = along[name] + momentum ** (last - number + 1) * gradient
    before, after = by_tensor(step.before, parts), by_tensor(step.after, parts)
    kernels = [
        (name, own, before[name] - after[name])
        for name, own in along.items()
        if own.ndim == 4 and min(len(own), own[0].numel()) >= _LEAST_RANK
    ]
    astray = [
        (name, own, taken)
        for name, own, taken in kernels
        if float(own.norm()) > 0 and float(taken.norm()) > 0 and _along(own, taken) < _ALONG
    ]
    if not astray or 2 * len(astray) < len(kernels):
        return
    name, own, taken = astray[0]
    orders = {
        words: _along(own.flatten(1), taken.permute(order).flatten(1))
        for words, order in _ORDERS.items()
        if taken.permute(order).flatten(1).shape == own.flatten(1).shape
    }
    best = max(orders, key=lambda words: orders[words], default="")
    told = f" {best}" if best and orders[best] > _RESTORED else ""
    yield Finding.error(
        "steps",
        f"in step {last + 1} {len(astray)} of {len(kernels)} kernels, such as {name}, move along "
        f"their gradient by {_along(own, taken):.0%} of what its orthogonal factor gives",
        "Muon's steps do not go along the gradients of their own weights: it gets the gradient of "
        f"a kernel{told or ' of another place or order'}, so its steps move the wrong entries",
        "give Muon gradient and weights as matrices with the same order of rows and columns",
        root="updates",
    )


def head_findings(trial: WatchedTrial, stepped: list[WatchedStep]) -> Iterator[Finding]:
    """Compare the steps of everything but the trunk with those of AdamW, which takes them."""
    steps = recorded_steps(trial, stepped)
    if steps is None or steps.taken:
        return
    for part, where in steps.parts.items():
        if part == "trunk":
            continue
        own = replace(
            steps,
            gradients=[each[where] for each in steps.gradients],
            before=[each[where] for each in steps.before],
            after=[each[where] for each in steps.after],
            rates=[each[where] for each in steps.rates],
            decay=steps.decay[where],
            parts={part: slice(0, where.stop - where.start)},
            first=steps.first[where],
            second=steps.second[where],
        )
        gap = gap_of(Rule("adamw", trial.config.optimiser.momentum, _SECOND), own)
        if gap > _OTHER:
            yield Finding.error(
                "steps",
                f"{len(stepped)} steps of the {in_words(part)} differ from those of AdamW for the "
                f"same gradients and rates by up to {gap:.0%} of their length",
                f"the {in_words(part)} does not take the steps of AdamW: Muon steps its matrices, "
                "too (it is for the matrices of the trunk alone, not for output layers), or AdamW "
                "has other settings",
                "give Muon the matrices of the trunk, and everything else to AdamW",
                root="updates",
            )
            return


def _along(gradient: Tensor, move: Tensor) -> float:
    """Cosine of two matrices, as a share of that of a gradient and its orthogonal factor."""
    flat, other = gradient.double().flatten(1), move.double().flatten(1)
    singular = torch.linalg.svdvals(flat)
    usual = float(singular.sum() / (singular.norm() * len(singular) ** 0.5))
    cosine = float((flat * other).sum() / (flat.norm() * other.norm()).clamp(min=1e-30))
    return cosine / max(usual, 1e-12)
