"""Edits of a trained network under which its answers may be right again.

Each is one thing that goes wrong when weights are brought over from another library, loaded into
another architecture, or run by other code than in training. An edit undoes it for the length of a
`with` block, so that what it is worth can be measured on games.
"""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn

from hexsearch.doctor.hypotheses.edits.edit import Edit
from hexsearch.doctor.hypotheses.edits.functions import function_edits
from hexsearch.doctor.hypotheses.edits.modules import module_edits
from hexsearch.doctor.hypotheses.edits.norms import norm_edits
from hexsearch.doctor.hypotheses.edits.orders import order_edits
from hexsearch.doctor.hypotheses.edits.outputs import output_edits
from hexsearch.doctor.hypotheses.edits.parts import part_edits
from hexsearch.doctor.hypotheses.edits.siblings import sibling_edits
from hexsearch.doctor.hypotheses.edits.weights import weight_edits


def all_edits(network: nn.Module, size: int) -> Iterator[Edit]:
    """All edits that this network admits, for a board of this size."""
    yield from order_edits(network, size)
    yield from weight_edits(network, size)
    yield from norm_edits(network)
    yield from part_edits(network)
    yield from sibling_edits(network)
    yield from module_edits(network)
    yield from function_edits()
    yield from output_edits(network)
