"""Looks for batch norms that a user's network uses at more than one place."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from hexsearch.doctor.findings import Finding
from hexsearch.doctor.networks import take
from hexsearch.doctor.pipeline import ExaminedPipeline, needed

_POSITIONS = 4


def check_shared_norms(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """In one pass a batch norm with running statistics must be called once."""
    foreign, observed = needed(pipeline.foreign), needed(pipeline.observed)
    if not isinstance(foreign.model, nn.Module):
        return
    modules = dict(foreign.model.named_modules())
    called: Counter[str] = Counter()

    def count(name: str) -> Any:
        return lambda *_: called.update([name])

    handles = [m.register_forward_hook(count(name)) for name, m in modules.items()]
    try:
        positions = take(observed.positions, np.arange(min(_POSITIONS, len(observed.positions))))
        foreign.respond(foreign.planes(positions))
    finally:
        for handle in handles:
            handle.remove()
    shared = [
        name
        for name, module in modules.items()
        if isinstance(module, _BatchNorm)
        and module.track_running_stats
        and called[name] > max(called[_holder(name, called)], 1)
    ]
    if shared:
        yield Finding.warning(
            "shared norms",
            f"{len(shared)} batch norms, such as {shared[0]}, run {called[shared[0]]} times in one "
            f"pass of the module that holds them",
            "one batch norm is used at several places: its running statistics are a mixture of "
            "their inputs and fit none of them, so inference is another function than training",
            "give each place a batch norm of its own (weights may be shared, statistics may not)",
            root="norms",
        )


def _holder(name: str, called: Counter[str]) -> str:
    """The nearest module around another one that is called itself."""
    while name:
        name = name.rpartition(".")[0]
        if called[name]:
            break
    return name
