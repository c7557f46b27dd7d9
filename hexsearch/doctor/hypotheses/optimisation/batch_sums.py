"""Gradients of a batch that are made up of its parts, or averaged over another number of rows."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from hexsearch.config.trial import TrialConfig
from hexsearch.doctor.hypotheses.table import Hypothesis
from hexsearch.doctor.recorded import Flat, WatchedStep

CLOSE = 0.02  # relative difference that rounding and the order of sums may cause
_SAME = 0.01  # relative difference of equal gradients


def joined(parts: Flat, owners: Sequence[str]) -> Tensor:
    """The numbers of several parts as one vector."""
    return torch.cat([parts[owner] for owner in owners])


def fits_of(given: Tensor, sources: list[Tensor]) -> tuple[list[float], bool]:
    """Coefficients of the sources that fit a gradient best, and whether the fit is close."""
    matrix = torch.stack(sources, dim=1).double()
    solved = torch.linalg.lstsq(matrix, given.double()[:, None], driver="gelsd").solution
    residual = given.double() - (matrix @ solved)[:, 0]
    close = float(residual.norm()) < CLOSE * max(float(given.norm()), 1e-12)
    return [float(each) for each in solved[:, 0]], close


def by_count(
    steps: Sequence[WatchedStep], config: TrialConfig, owners: Sequence[str]
) -> Hypothesis | None:
    """A value loss that is divided by another number than that of the positions in the batch."""
    factors = []
    for step in steps:
        sources = [joined(step.value_gradient, owners), joined(step.policy_gradient, owners)]
        if not all(float(source.norm()) > 0 for source in sources):
            return None
        (value, policy), fits = fits_of(joined(step.given, owners), sources)
        if not fits or value * policy <= 0:
            return None
        factors.append(value / policy * config.policy_head.weight / config.value_weight)
    found, size = torch.tensor(factors), torch.tensor([float(len(s.batch)) for s in steps])
    for words, counts in (
        (
            "the number of positions whose weight is not 0",
            [(s.batch.weight != 0).sum() for s in steps],
        ),
        ("the sum of the weights in the batch", [s.batch.weight.sum() for s in steps]),
        ("the number of positions with a next move", [s.batch.has_move.sum() for s in steps]),
        (
            "nothing (it is summed over the batch, and not averaged)",
            [torch.ones(()) for _ in steps],
        ),
    ):
        expected = size / torch.stack(counts).clamp(min=1).float()
        varies = float((expected - 1).abs().max()) > 2 * CLOSE
        if varies and torch.allclose(found.float(), expected, rtol=CLOSE):
            changes = len(set(expected.tolist())) > 1
            return Hypothesis(
                "count",
                f"the value loss is divided by {words}, not by the number of all positions "
                + (
                    "in the batch, so its weight changes from batch to batch"
                    if changes
                    else f"in the batch: beside the policy loss it weighs {found[0]:.3g} times "
                    "what is configured"
                ),
                "divide by the number of positions; weights have a mean of 1 over the stream",
            )
    return None


def clipped_parts(
    step: WatchedStep, config: TrialConfig, owners: Sequence[str]
) -> Hypothesis | None:
    """Gradients of micro-batches that are clipped one by one, or summed and not averaged."""
    given, limit = joined(step.given, owners), config.optimiser.clip
    parts = [joined(part, owners) for part in step.parts]

    def clipped(gradient: Tensor) -> Tensor:
        return gradient * min(1.0, limit / max(float(gradient.norm()), 1e-12))

    for factor, scaled in ((1.0, ""), (float(len(parts)), ", and added up without an average")):
        apart, running = torch.zeros_like(given), torch.zeros_like(given)
        for part in parts:
            apart = apart + clipped(factor * part)
            running = clipped(running + factor * part)
        for made in (apart, clipped(apart), running):
            if float((given - made).norm()) < _SAME * float(given.norm()):
                return Hypothesis(
                    "parts clip",
                    f"gradients are clipped after each micro-batch{scaled}: the sum is not that of "
                    "the batch, and its direction depends on how the batch is cut",
                    "average over the micro-batches, and clip once before the step",
                )
    return None
