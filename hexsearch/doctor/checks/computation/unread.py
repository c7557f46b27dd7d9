"""Looks for weights of a user's network that its modules hold and do not use."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn

from hexsearch.doctor.findings import Finding
from hexsearch.doctor.foreign import ForeignNetwork
from hexsearch.doctor.hypotheses.edits.edit import holding
from hexsearch.doctor.networks import take
from hexsearch.doctor.pipeline import SEED, ExaminedPipeline, needed

_POSITIONS = 16
_MANY = 400  # tensors up to which each is tried
_TOLD = 2
_NAMES = ("weight", "bias")  # others may be weights of losses, which a network may hold as well


def check_unread(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Each weight of a module must change answers, if others of the same module do.

    A module none of whose weights does may be a head that is not asked.
    """
    foreign, observed = needed(pipeline.foreign), needed(pipeline.observed)
    network = foreign.model
    if not isinstance(network, nn.Module):
        return
    chosen = np.linspace(0, len(observed.positions) - 1, _POSITIONS).astype(np.int64)
    planes = foreign.planes(take(observed.positions, np.unique(chosen)))
    before = foreign.respond(planes)
    weights = [p for p in network.parameters() if p.is_floating_point() and p.numel() > 1]
    if len(weights) > _MANY or not _are_equal(before, foreign.respond(planes)):
        return
    rng = torch.Generator().manual_seed(SEED)
    read = {id(p): not _are_equal(before, _with(foreign, planes, p, rng)) for p in weights}
    unread: dict[tuple[str, str], list[str]] = defaultdict(list)
    for name, module in network.named_modules():
        own = {
            n: p for n, p in module.named_parameters(recurse=False) if id(p) in read and n in _NAMES
        }
        if not any(read[id(p)] for p in own.values()):
            continue
        for attribute, p in own.items():
            if not read[id(p)] and float(p.detach().std()) > 0:
                unread[type(module).__name__, attribute].append(f"{name}.{attribute}")
    for (kind, attribute), names in unread.items():
        yield Finding.error(
            "weights that are used",
            f"other numbers in `{attribute}` of {len(names)} module(s) {kind} "
            f"({', '.join(names[:_TOLD])}) change no answer to {len(planes)} positions; other "
            "weights of the same modules do",
            f"`{attribute}` of {kind} is trained and not used at inference: the code that calls it "
            "leaves it out (scales of norms that are fixed at 1, a bias that is not added, an "
            "option of the library that the weights come from)",
            "use all weights of the module as in training",
            root="unused",
        )
        return


def _with(
    foreign: ForeignNetwork, planes: Tensor, weight: Tensor, rng: torch.Generator
) -> tuple[Tensor, ...]:
    """Answers with other numbers in one tensor."""
    drawn = torch.randn(weight.shape, generator=rng).to(weight.device, weight.dtype)
    with holding({weight: weight.detach() * 0.5 + drawn}):
        return foreign.respond(planes)


def _are_equal(some: tuple[Tensor, ...], others: tuple[Tensor, ...]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(some, others, strict=True))
