"""Losses of a read-out with something beside a usual loss: a penalty, its own answer, a weight."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from hexsearch.doctor.hypotheses.general.fits import short_sum
from hexsearch.model.readout import Readout

_GRID = torch.linspace(-5.0, 5.0, 101, dtype=torch.float64)
_EXACT = 1e-3  # largest residual, in standard deviations of the loss
_OWN = "the entropy of the answer"


def explain_mixture(readout: Readout) -> tuple[str, str] | None:
    """Cause and remedy if the loss is a usual one with terms that do not belong to it."""
    raw, target = torch.cat([_GRID, _GRID]), torch.cat([0 * _GRID, 0 * _GRID + 1])
    with torch.no_grad():
        found = readout.loss(raw, target)
    if found.shape != raw.shape or not bool(found.isfinite().all()):
        return None
    p = raw.sigmoid()
    entropy = torch.nn.functional.binary_cross_entropy_with_logits(raw, target, reduction="none")
    own = -(
        p * torch.nn.functional.logsigmoid(raw) + (1 - p) * torch.nn.functional.logsigmoid(-raw)
    )
    bases = {
        "the cross-entropy": entropy,
        "the squared error": (p - target).square(),
    }
    for name, base in bases.items():
        if weighted := _by_own_answer(found, base, name):
            return weighted
    terms = {
        **bases,
        _OWN: own,
        "the squared output": raw.square(),
        "the size of the output": raw.abs(),
        "(p - 1/2) squared": (p - 0.5).square(),
    }
    fit = short_sum(found.numpy(), {name: term.numpy() for name, term in terms.items()}, _EXACT)
    extra = [name for name in fit.terms if name not in bases]
    if fit.left > _EXACT or not extra or len(extra) == len(fit.terms):
        return None
    share = fit.terms.get(_OWN, 0.0)
    first = fit.terms.get("the cross-entropy", 0.0)
    if extra == [_OWN] and abs(share + first - 1.0) < 0.01 and 0 < share:
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
