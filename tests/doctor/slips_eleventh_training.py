"""Slips of steps and reports of the eleventh set.

See `slips_eleventh_scripts` for how the set was written and for what counts as named.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hexsearch.data.batch import Batch
from hexsearch.training.metrics import Evaluation
from tests.doctor.slips import Patch, Slip, before_clipping, in_value_loss

_BINS = 15
_LENGTH = 0.05


def _perturbed_and_left(network: Any) -> None:
    """Weights go up the gradient by a fixed length, as in sharpness-aware training, and stay."""
    taught = [p for p in network.parameters() if p.grad is not None]
    with torch.no_grad():
        norm = torch.stack([p.grad.norm() for p in taught]).norm() + 1e-12
        for parameter in taught:
            parameter.add_(parameter.grad, alpha=float(_LENGTH / norm))


def _divided_by_itself(value: Tensor, batch: Batch) -> Tensor:
    """Each position's loss over its own size, which was meant to balance several losses."""
    return value / (value.detach() + 1e-3)


def _bins_of_equal_weight(patch: Patch) -> None:
    """The mean gap of the bins that are not empty, however few answers a bin has."""
    sound = Evaluation.metrics

    def metrics(self: Any) -> Any:
        made = sound(self)
        p, won = np.asarray(self.win_prob_red), np.asarray(self.red_won)
        bins = np.minimum((p * _BINS).astype(int), _BINS - 1)
        gaps = [abs(p[bins == n].mean() - won[bins == n].mean()) for n in np.unique(bins)]
        wrong = replace(made.overall, calibration_error=float(np.mean(gaps)))
        return replace(made, overall=wrong)

    patch.setattr(Evaluation, "metrics", metrics)


SLIPS: dict[str, Slip] = {
    "each loss divided by itself": Slip(
        in_value_loss(_divided_by_itself),
        "divid|normali[sz]|its own (size|loss|value)|itself|loss.*(always|constant|equal).*\\b1\\b"
        "|weighted|logarithm|scaled by",
        cause="The value loss of each position is divided by its own size, which was meant to "
        "balance value and policy, so the losses are 1 and the answers go to 0 and 1.",
        report="from memory: loss / loss.detach() to balance several losses",
    ),
    "perturbed weights never put back": Slip(
        before_clipping(_perturbed_and_left),
        "up the gradient|perturb|ascen[td]|along the gradient|sharpness|\\bSAM\\b|(something else "
        "than|not only|outside|besides) the optimiser|weights.*(changed|moved|altered).*(before|"
        "between|outside|by something)",
        cause="The first step of sharpness-aware training moves the weights up the gradient, and "
        "they are not put back before the optimiser's step.",
        report="from memory: SAM's first_step without its second_step",
    ),
    "calibration error with bins of equal weight": Slip(
        _bins_of_equal_weight,
        "calibration.?error|(report|figure|metric).*(calibration|\\bbins?\\b)|\\bbins?\\b",
        cause="The reported calibration error is the plain mean over the bins, not weighted by "
        "their numbers of answers.",
        report="from memory: expected calibration error without the weights of its bins",
    ),
}
