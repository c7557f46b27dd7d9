"""Checks what changes weights beside the optimiser, and into what."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import torch
from torch import Tensor

from hexsearch.doctor.findings import Finding, in_words
from hexsearch.doctor.hypotheses.general.fits import short_sum
from hexsearch.doctor.hypotheses.optimisation.averages import average_after
from hexsearch.doctor.recorded import Flat, WatchedStep
from hexsearch.doctor.watching import WatchedTrial

_OTHER = 0.1  # difference from the average, as a share of the change
_EXPLAINS = 0.98  # share of the variance of a change that a sum must explain


def outside_findings(trial: WatchedTrial, stepped: list[WatchedStep]) -> Iterator[Finding]:
    """Weights must not change but by the optimiser, in a step and between two of them."""
    for number, (last, step) in enumerate(pairwise(stepped), start=2):
        changed = [p for p, old in last.late.items() if not torch.equal(old, step.before[p])]
        if changed:
            parts = {part: (last.late[part], step.before[part]) for part in changed}
            gap = max(float((new - old).norm() / old.norm()) for old, new in parts.values())
            yield Finding.error(
                "steps",
                f"in step {number} the weights of {', '.join(map(in_words, changed))} change by "
                f"{gap:.2%} before the formula of the optimiser begins",
                _by_hand(*(torch.cat(each) for each in zip(*parts.values(), strict=True))),
                "let only the optimiser change weights, and let it decay them: look for mul_(), "
                "copy_() and a step() of your own",
            )
            return
    for number, step in enumerate(stepped):
        changed = [
            part
            for part, weights in step.late.items()
            if not torch.equal(weights, step.after[part])
        ]
        if not changed:
            continue
        undone = all(torch.equal(step.late[part], step.before[part]) for part in changed)
        gap = max(
            float((step.late[p] - step.after[p]).norm() / step.after[p].norm()) for p in changed
        )
        yield Finding.error(
            "steps",
            f"between step {number + 1} and the next one the weights of "
            f"{', '.join(map(in_words, changed))} change by {gap:.2%}",
            "every step is undone: the old weights are put back"
            if undone
            else "something else than the optimiser changes the weights between steps"
            + (_written_back(trial, stepped[: number + 1]) or _what_they_become(trial, step)),
            "let only the optimiser change weights: look for load_state_dict(), copy_() and "
            "in-place operations on parameters",
        )
        return


def _by_hand(old: Tensor, new: Tensor) -> str:
    """In words, what is done to weights before the optimiser's formula."""
    changed = (old != new) & (old.abs() > 1e-6)
    factor = float((new[changed] / old[changed]).median()) if changed.any() else 1.0
    if factor != 1.0 and torch.allclose(new[changed], factor * old[changed], rtol=1e-4):
        return (
            f"weights are multiplied by {factor:.4g} in each step, beside the optimiser's formula: "
            "a weight decay by hand that is not multiplied by the learning rate, so it is far "
            "stronger than the configured one"
            if factor < 1
            else f"weights are multiplied by {factor:.4g} in each step, beside the optimiser's "
            "formula: they grow"
        )
    return "something else than the optimiser's formula changes the weights in each step"


def _written_back(trial: WatchedTrial, steps: list[WatchedStep]) -> str:
    """In words, that weights are replaced by their average; empty if they are not."""
    if not trial.config.optimiser.ema_half_life:
        return ""
    average, step = average_after(trial, steps), steps[-1]
    for part, late in step.late.items():
        changed = float((late - step.after[part]).norm())
        if changed and float((late - average[part]).norm()) > _OTHER * changed:
            return ""
    return ": their average (EMA) is written back into the network that is trained"


def _what_they_become(trial: WatchedTrial, step: WatchedStep) -> str:
    """In words, of which known weights the change is made up; empty if of none."""
    parts = [part for part in step.late if part in trial.initial_weights]

    def joined(weights: Flat) -> Tensor:
        return torch.cat([weights[part] for part in parts])

    after = joined(step.after)
    fit = short_sum(
        (joined(step.late) - after).numpy(),
        {
            "the step that was taken": (after - joined(step.before)).numpy(),
            "the way back to the initial weights": (joined(trial.initial_weights) - after).numpy(),
            "the weights themselves": after.numpy(),
            "the gradient": joined(step.given).numpy(),
        },
    )
    if fit.share > _EXPLAINS:
        return f": they change by {fit}"
    how = _element_by_element(after, joined(step.late), len(list(trial.network.parameters())))
    return f": {how}" if how else ""


def _element_by_element(after: Tensor, late: Tensor, tensors: int) -> str:
    """In words, what each number of the weights becomes; empty if that is not known.

    Args:
        tensors: how many tensors the weights are.
    """
    for kind, name in ((torch.float16, "float16"), (torch.bfloat16, "bfloat16")):
        if torch.equal(after.to(kind).float(), late):
            return f"they are rounded to {name}, which swallows small steps"
    bound = float(late.abs().max())
    if bound < float(after.abs().max()) and torch.equal(after.clamp(-bound, bound), late):
        return f"they are cut off at {bound:.3g}"
    factors = (late / after)[after.abs() > 1e-6]
    if len(factors) and len(torch.unique((factors * 1e3).round())) <= tensors + 1:
        return (
            "each tensor is multiplied by a factor of its own "
            f"({float(factors.min()):.3g} to {float(factors.max()):.3g}): weights are normalised, "
            "or their norms limited"
        )
    return ""
