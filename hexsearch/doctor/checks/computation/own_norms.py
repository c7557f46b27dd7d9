"""Looks at norms that a user has written: their running statistics."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from hexsearch.doctor.findings import Finding
from hexsearch.doctor.pipeline import ExaminedPipeline, needed


def check_own_norms(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Running statistics of norms that are no module of torch must not be the initial ones."""
    model = needed(pipeline.foreign).model
    if not isinstance(model, nn.Module):
        return
    norms = {name: each for name, each in model.named_modules() if _statistics(each)}
    initial = [name for name, each in norms.items() if _is_initial(*_statistics(each))]
    if initial and len(initial) == len(norms):
        names = ", ".join(_buffers(norms[initial[0]]))
        yield Finding.error(
            "batch norm",
            f"all {len(norms)} modules with running statistics, such as {initial[0]} ({names}), "
            "have mean 0 and variance 1 in every channel",
            "batch norms that are written by hand never updated their running statistics: they "
            "normalise with the initial mean 0 and variance 1, in training too if they were "
            "called as at inference (training=False), so nothing is normalised",
            "pass training=self.training to the norm, or use nn.BatchNorm2d, and train again",
            root="norms",
        )


def _buffers(module: nn.Module) -> list[str]:
    """Names of the buffers of a mean and a variance; empty if there are none."""
    names = [name for name, _ in module.named_buffers(recurse=False)]
    means = [name for name in names if "mean" in name.lower()]
    variances = [name for name in names if "var" in name.lower()]
    known = isinstance(module, _BatchNorm) or not (len(means) == len(variances) == 1)
    return [] if known else [*means, *variances]


def _statistics(module: nn.Module) -> list[torch.Tensor]:
    found = [module.get_buffer(name) for name in _buffers(module)]
    shapes = {each.shape for each in found}
    # What has no scale of its own may be a fixed normalisation of planes.
    scaled = any(each.shape in shapes for each in module.parameters(recurse=False))
    return found if len(shapes) == 1 and scaled else []


def _is_initial(mean: torch.Tensor, variance: torch.Tensor) -> bool:
    return not bool(mean.any()) and torch.equal(variance, torch.ones_like(variance))
