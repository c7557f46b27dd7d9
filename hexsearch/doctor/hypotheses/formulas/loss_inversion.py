"""Solves the read-out's loss for the output, and for the target, that it must have been given.

Where the loss of each position is not that of its output and its label, one of the two has been
changed on the way. Both are computed from the loss, and described by what they depend on: an
output that is cut off, squashed or scaled; a target that is discounted, or another number.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hexsearch.data.batch import Batch
from hexsearch.doctor.hypotheses.formulas.fades import faded_labels
from hexsearch.doctor.hypotheses.general.functions import function_of
from hexsearch.doctor.hypotheses.table import Hypothesis
from hexsearch.model.readout import Readout

_FAR = 16.0  # outputs are searched up to this size
_STEPS = 60  # halvings of the interval in which an output or a target is searched
_EXACT = 2e-3  # largest difference of equal outputs and targets
_MOST = 0.9  # share of the positions whose loss can be solved
_BENT = 0.02  # share of the positions that must be beyond the ends of a clamp
_LEAST = 0.02  # raw values below tell nothing of the target of a cross-entropy
_TARGETS = torch.linspace(-1.0, 2.0, 601, dtype=torch.float64)
_ONE_FORMULA = "compute the value loss of each position as readout.loss(raw, outcome)"
Floats = NDArray[np.float64]


def explain_by_inversion(
    found: Tensor, raw: Tensor, batch: Batch, readout: Readout
) -> Hypothesis | None:
    """What was done to the output or to the target before the loss; None if neither explains it.

    Args:
        found: [B] value loss as the trial returned it.
        raw: [B] raw values.
        readout: the read-out whose loss is expected.
    """
    return (
        _of_loss(found, raw, batch, readout)
        or _of_output(found, raw, batch, readout)
        or _of_target(found, raw, batch, readout)
    )


def _of_loss(found: Tensor, raw: Tensor, batch: Batch, readout: Readout) -> Hypothesis | None:
    """A loss that is cut off from above, or has a number inside its logarithm."""
    right, highest = readout.loss(raw, batch.outcome), float(found.max())
    cut = right > highest * (1 + 1e-3)
    if bool(cut.any()) and torch.allclose(found, right.clamp(max=highest), 1e-3, 1e-5):
        return Hypothesis(
            "cut off",
            f"the loss is cut off (clamped) from above at {highest:.3g}, in "
            f"{float(cut.float().mean()):.0%} of these positions: the worst errors get no gradient",
            _ONE_FORMULA,
        )
    p = readout.win_prob(raw).double()
    added = (-found.double()).exp() - torch.where(batch.outcome > 0.5, p, 1.0 - p)
    if float(added.std()) < 1e-5 and float(added.mean()) > 1e-4:
        return Hypothesis(
            "epsilon",
            f"{float(added.mean()):.3g} is added inside the logarithm of the loss (an epsilon that "
            "is too large), so that sure errors cost little",
            _ONE_FORMULA,
        )
    return None


def _of_output(found: Tensor, raw: Tensor, batch: Batch, readout: Readout) -> Hypothesis | None:
    seen = seen_outputs(found.double(), raw.double(), batch.outcome.double(), readout)
    known = torch.isfinite(seen)
    if float(known.double().mean()) < _MOST:
        return None
    own, used = raw.double()[known].numpy(), seen[known].numpy()
    low, high = float(used.min()), float(used.max())
    size = max(1.0, float(np.abs(own).max()))
    if np.abs(np.clip(own, low, high) - used).max() < _EXACT * size:
        beyond = float(((own < low - _EXACT) | (own > high + _EXACT)).mean())
        if beyond > _BENT:
            p = readout.win_prob(torch.tensor([low, high], dtype=torch.float64)).tolist()
            ends = [
                f"{words} {end:.3g} (an answer of {answer:.3g})"
                for words, end, answer, reached in (
                    ("at least", low, p[0], (own < low - _EXACT).any()),
                    ("at most", high, p[1], (own > high + _EXACT).any()),
                )
                if reached
            ]
            return Hypothesis(
                "clamped",
                f"the raw output is clamped (clipped) to {' and '.join(ends)} before the loss: "
                f"beyond it no gradient passes ({beyond:.0%} of these positions), and nothing "
                "teaches surer answers",
                _ONE_FORMULA + ", without a clamp",
            )
        return None
    factor, offset = np.polyfit(own, used, 1) if own.std() > 1e-6 else (1.0, 0.0)
    if own.std() > 1e-6 and np.abs(factor * own + offset - used).max() < _EXACT:
        shifted = "" if abs(offset) < _EXACT else f" and {offset:.3g} is added to it"
        return Hypothesis(
            "temperature",
            f"the raw output is multiplied by {factor:.3g}{shifted} before the loss (a "
            "temperature, or a scale), but not where it is reported",
            _ONE_FORMULA,
        )
    told = function_of(used, own)
    if not told:
        return None
    return Hypothesis(
        "squashed",
        f"the loss sees {told.replace('the right one', 'the raw output')} in place of the raw "
        "output, which is what is reported",
        _ONE_FORMULA,
    )


def _of_target(found: Tensor, raw: Tensor, batch: Batch, readout: Readout) -> Hypothesis | None:
    used = seen_targets(found.double(), raw.double(), batch.outcome.double(), readout)
    known = (torch.isfinite(used) & (raw.abs() > _LEAST)).numpy()
    if known.mean() < _MOST / 2:
        return None
    targets, label = used.numpy()[known], batch.outcome.double().numpy()[known]
    columns = {
        "ply to the end": batch.to_end.numpy()[known],
        "ply from the beginning": batch.ply.numpy()[known],
    }
    told = faded_labels(targets, label, columns, _EXACT)
    if not told:
        own = readout.win_prob(raw.double()).numpy()[known]
        terms = np.stack([label, own, np.ones_like(own)], axis=1)
        shares, *_ = np.linalg.lstsq(terms, targets, rcond=None)
        if np.abs(terms @ shares - targets).max() < _EXACT and abs(shares[1]) > 0.02:
            return Hypothesis(
                "bootstrapped",
                f"the target inside the loss is {shares[0]:.3g} times the label plus "
                f"{shares[1]:.3g} times the network's own answer (a bootstrapped or soft target), "
                "so that its errors teach it less",
                "give the loss the outcome itself",
            )
        return None
    return Hypothesis(
        "faded",
        f"the target is discounted inside the loss: {told}",
        "give the loss the outcome itself, without a discount",
    )


def seen_outputs(found: Tensor, raw: Tensor, target: Tensor, readout: Readout) -> Tensor:
    """[B] the output on the same side of the optimum that has the loss found; nan if none has.

    The loss of a fixed target has one minimum, and rises on both sides of it.
    """
    grid = torch.linspace(-_FAR, _FAR, 1601, dtype=torch.float64)
    seen = torch.full_like(raw, torch.nan)
    for label in torch.unique(target).tolist():
        rows = (target == label).nonzero().flatten()
        with torch.no_grad():
            best = grid[int(readout.loss(grid, torch.full_like(grid, label)).argmin())]
            low = torch.where(raw[rows] < best, torch.full_like(raw[rows], -_FAR), best)
            high = torch.where(raw[rows] < best, best, torch.full_like(raw[rows], _FAR))
            rises = raw[rows] >= best
            for _ in range(_STEPS):
                middle = 0.5 * (low + high)
                above = readout.loss(middle, torch.full_like(middle, label)) > found[rows]
                down = above == rises
                low, high = torch.where(down, low, middle), torch.where(down, middle, high)
            left = (readout.loss(low, torch.full_like(low, label)) - found[rows]).abs()
        solved = left < 1e-6 + 1e-5 * found[rows].abs()
        seen[rows] = torch.where(solved, low, torch.nan)
    return seen


def seen_targets(found: Tensor, raw: Tensor, target: Tensor, readout: Readout) -> Tensor:
    """[B] the target nearest to the label under which the output has the loss; nan if none has."""
    with torch.no_grad():
        losses = torch.stack([readout.loss(raw, torch.full_like(raw, float(t))) for t in _TARGETS])
    gaps = losses - found
    crossing = (gaps[:-1] * gaps[1:] <= 0) & (gaps[:-1] != gaps[1:])
    share = gaps[:-1] / (gaps[:-1] - gaps[1:]).where(crossing, torch.ones_like(gaps[1:]))
    step = _TARGETS[1] - _TARGETS[0]
    places = _TARGETS[:-1, None] + step * share
    far = torch.where(crossing, (places - target).abs(), torch.inf)
    best = far.argmin(dim=0)
    columns = torch.arange(len(raw))
    return torch.where(crossing[best, columns], places[best, columns], torch.nan)
