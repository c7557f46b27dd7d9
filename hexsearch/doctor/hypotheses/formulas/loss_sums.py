"""Losses that are sums: usual ones with a penalty, with the network's own answer, or mixed."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from hexsearch.data.batch import Batch
from hexsearch.doctor.hypotheses.general.fits import short_sum
from hexsearch.doctor.hypotheses.loss_formulas import ONE_FORMULA, subsets_of, usual_formulas
from hexsearch.doctor.hypotheses.table import Hypothesis
from hexsearch.model.readout import Readout

OWN_ENTROPY = "the entropy of the answer"
MIXED = "a mixture of proper losses"
_PROPER = ("the cross-entropy of sigmoid(raw)", "the squared error of sigmoid(raw)")
_EXACT = 0.01  # largest residual of a sum of terms, in standard deviations of the loss
_GRID = torch.linspace(-5.0, 5.0, 101, dtype=torch.float64)
_EXACT_ON_GRID = 1e-3  # the same for losses that are asked on a grid


def penalties(raw: Tensor) -> dict[str, Tensor]:
    """What may be added to the loss of raw values [B] whatever the label is, by its name."""
    p = raw.sigmoid().clamp(1e-6, 1 - 1e-6)
    return {
        OWN_ENTROPY: -(p * p.log() + (1 - p) * (1 - p).log()),
        "the squared output": raw.square(),
        "the size of the output": raw.abs(),
        "the output itself": raw,
        "(p - 1/2) squared": (p - 0.5).square(),
    }


def as_a_sum(found: Tensor, raw: Tensor, batch: Batch, readout: Readout) -> Hypothesis | None:
    """The shortest sum of usual losses, penalties and weighted losses that gives the loss [B]."""
    right = readout.loss(raw, batch.outcome)
    terms = {
        "the read-out's loss": right,
        **penalties(raw),
        "1": torch.ones_like(raw),
        **dict(usual_formulas(raw, batch.outcome)),
    }
    for name, mask in subsets_of(batch).items():
        terms[f"the read-out's loss {name}"] = right * torch.from_numpy(mask)
    numbers = {name: each.numpy() for name, each in terms.items()}
    own = numbers.pop("the read-out's loss")
    added = short_sum((found - right).numpy(), numbers)
    fit = short_sum(found.numpy(), {"the read-out's loss": own, **numbers})
    proper = {name: numbers[name] for name in _PROPER} | {"the read-out's loss": own}
    mixed = short_sum(found.numpy(), proper)
    # They are proper for answers of sigmoid(raw), and for no others.
    is_sound = readout.proper and torch.allclose(readout.win_prob(raw), raw.sigmoid(), atol=1e-4)
    if is_sound and mixed.left < _EXACT and mixed.terms and min(mixed.terms.values()) > 0:
        return Hypothesis(
            MIXED,
            f"the loss that is minimised is {mixed}: a mixture of proper losses, which is sound, "
            "and not that of the read-out that is configured",
            "make it a read-out of your own, so that reports name it",
        )
    is_shorter = fit.left < _EXACT and 0 < len(fit.terms) <= len(added.terms)
    if added.left < _EXACT and added.terms and not is_shorter:
        return Hypothesis(
            "penalty",
            f"{added} is added to the value loss of each position (a penalty, a bonus or a weight)",
            "remove it, or add it to the loss of a read-out of your own",
        )
    if fit.left > _EXACT or not fit.terms:
        return None
    return Hypothesis(
        "sum",
        f"the loss that is minimised is {fit}, which is not that of the read-out that gives the "
        "reported answers",
        ONE_FORMULA,
    )


def explain_mixture(readout: Readout) -> tuple[str, str] | None:
    """Cause and remedy if the loss is a usual one with terms that do not belong to it."""
    raw, target = torch.cat([_GRID, _GRID]), torch.cat([0 * _GRID, 0 * _GRID + 1])
    with torch.no_grad():
        found = readout.loss(raw, target)
    if found.shape != raw.shape or not bool(found.isfinite().all()):
        return None
    p = raw.sigmoid()
    entropy = functional.binary_cross_entropy_with_logits(raw, target, reduction="none")
    bases = {"the cross-entropy": entropy, "the squared error": (p - target).square()}
    for name, base in bases.items():
        if weighted := _by_own_answer(found, base, name):
            return weighted
    terms = {name: each.numpy() for name, each in {**bases, **penalties(raw)}.items()}
    fit = short_sum(found.numpy(), terms, _EXACT_ON_GRID)
    extra = [name for name in fit.terms if name not in bases]
    if fit.left > _EXACT_ON_GRID or not extra or len(extra) == len(fit.terms):
        return None
    share = fit.terms.get(OWN_ENTROPY, 0.0)
    first = fit.terms.get("the cross-entropy", 0.0)
    if extra == [OWN_ENTROPY] and abs(share + first - 1.0) < 0.01 and 0 < share:
        return (
            f"{share:.0%} of the target is the network's own answer (bootstrapped, not detached): "
            f"the loss is {fit}, so answers confirm themselves",
            "train on the result alone; to mix in another value use curriculum.search_value",
        )
    return (
        f"the loss is {fit}: a penalty on the answer or the output is added, which holds it near "
        "one half or drives it away"
        if fit.terms[extra[0]] > 0
        else f"the loss is {fit}: sure or unsure answers are rewarded beside being right",
        "leave the penalty out, or add it to the total loss with a small weight and set "
        "proper = False",
    )


def _by_own_answer(found: Tensor, base: Tensor, name: str) -> tuple[str, str] | None:
    """The same if a usual loss is multiplied by a number that depends on the answer alone."""
    factor = (found / base.clamp(min=1e-12)).numpy()
    zero, one = factor[: len(_GRID)], factor[len(_GRID) :]
    inside = np.abs(_GRID.numpy()) < 4.0
    if np.ptp(zero[inside]) < 1e-3 or np.abs(zero - one)[inside].max() > 1e-3 * np.abs(zero).max():
        return None
    middle, end = float(zero[len(_GRID) // 2]), float(zero[inside][-1])
    how = "surer" if abs(end) > abs(middle) else "less sure"
    return (
        f"{name} of each position is multiplied by a number that depends on its own answer "
        f"({middle:.2g} for an answer of 50%, {end:.2g} for one near 1): {how} answers weigh more, "
        "and the network lowers the loss by changing how sure it is",
        "give every position the same weight, or detach the weight from the answer",
    )
