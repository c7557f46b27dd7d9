"""Looks at whether the processor has instructions for the number format of the training."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from hexsearch.doctor.findings import Finding
from hexsearch.doctor.pipeline import ExaminedPipeline
from hexsearch.training.execution import emulates_bfloat16


def check_precision(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Report bfloat16 on a processor that emulates it."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    formats = {config.precision for config in pipeline.configs}
    if pipeline.loaded is None and "bfloat16" in formats and emulates_bfloat16(device):
        yield Finding.warning(
            "precision",
            "the number format is bfloat16, and this processor has no instructions for it (neither "
            "AVX-512 nor AMX)",
            "each step is computed by emulation, and takes many times as long as in float32 (18 "
            "times, where a convolution was measured); results are sound",
            "write precision: float32, or give --set precision=float32, unless the trials run on "
            "other machines",
        )
