"""Finds the first numbers of training that are not finite; all later ones follow from them."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from hexsearch.doctor.findings import Finding
from hexsearch.doctor.hypotheses.finite import in_order
from hexsearch.doctor.pipeline import ExaminedPipeline, needed


def check_finite(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Look at planes, labels, outputs, losses, gradients and weights, in order of computation."""
    trial = needed(pipeline.watched)
    for number, step in enumerate([*trial.steps, *trial.asked], start=1):
        for place, numbers, cause, remedy in in_order(step):
            broken = ~torch.isfinite(numbers)
            if broken.any():
                yield Finding.error(
                    "finite numbers",
                    f"batch {number}: of the {place}, {int(broken.sum()):,} of {broken.numel():,} "
                    "numbers are not finite; everything that is computed before them is",
                    cause,
                    remedy,
                    root="not finite",
                )
                return
