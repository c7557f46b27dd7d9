"""The check of numbers that are not finite: one cause, however much it spoils."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from hexsearch.doctor.findings import Finding
from hexsearch.doctor.hypotheses.finite import in_order
from hexsearch.doctor.pipeline import ExaminedPipeline


def check_finite(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Planes, labels, outputs, losses, gradients and weights, in the order in which they arise."""
    trial = pipeline.watched
    assert trial is not None
    for number, step in enumerate([*trial.steps, *trial.asked], start=1):
        for place, numbers, cause, remedy in in_order(step):
            broken = ~torch.isfinite(numbers)
            if broken.any():
                yield Finding(
                    "finite numbers",
                    "error",
                    f"step {number}: {float(broken.float().mean()):.0%} of the {place} are not "
                    "finite, and everything before them is",
                    cause,
                    remedy,
                    root="not finite",
                )
                return
