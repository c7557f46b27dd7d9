"""Findings on a norm from which on a network computes something else than in training."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise

from torch import nn

from hexsearch.doctor.findings import Finding
from hexsearch.doctor.hypotheses.general.norm_statistics import NormGap, modules_between

_SAME, _APART = 0.35, 0.6  # gaps of a norm that is as in training, and of one that is not
_JUMP = 4.0  # factor by which the gap grows from one norm to the next
# The same where new statistics give better answers. Statistics that lag depart by and by.
_PLACE, _STEP = 0.2, 3.0
_TOLD = 6  # modules between two norms
REMEDY = (
    "encode as in training: compare encode() and what load() returns with the code of the training "
    "run, plane by plane and layer by layer"
)


def located(
    finding: Finding, gaps: list[NormGap], network: nn.Module, run: Callable[[], object]
) -> Finding:
    """A finding on all norms, with the place from which on they depart, if some agree."""
    for before, norm in pairwise(gaps):
        if before.gap < _SAME and norm.gap > max(_PLACE, _STEP * before.gap):
            between = modules_between(network, run, before.name, norm.name)
            told = f" ({', '.join(between[:_TOLD])})" if between else ""
            return replace(
                finding,
                evidence=f"{finding.evidence}; inputs of norms up to {before.name} agree with "
                f"their statistics (within {before.gap:.2f}), and those of {norm.name} differ by "
                f"{norm.gap:.2f}",
                cause=f"behind {before.name}, up to {norm.name}{told}, the network computes "
                "something else than in training (weights that were loaded in another order, "
                "scaled or exchanged, another activation, a part that is left out or sees more "
                "cells), or batch-norm statistics are not those of what the network is given",
                remedy=REMEDY,
                root="computation",
            )
    return finding


def other_computation(gaps: list[NormGap], is_poor: bool) -> Iterator[Finding]:
    """The finding for a norm that gets other inputs although an earlier one gets the same."""
    for before, norm in pairwise(gaps):
        if before.gap < _SAME and norm.gap > max(_APART, _JUMP * before.gap):
            yield Finding(
                "batch norm",
                "error" if is_poor else "warning",
                f"the inputs of the batch norms up to {before.name} agree with their statistics of "
                f"training (within {before.gap:.2f}), and those of {norm.name} differ by "
                f"{norm.gap:.1f}",
                f"between {before.name} and {norm.name} the network computes something else than "
                "in training: another activation, a part that is left out or added, other weights, "
                "or statistics that are not those of its weights",
                REMEDY,
                root="computation",
            )
            return
