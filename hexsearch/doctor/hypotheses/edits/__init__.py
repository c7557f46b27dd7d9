"""Edits of a trained network under which its answers may be right again.

Each is one thing that goes wrong when weights are brought over from another library, loaded into
another architecture, or run by other code than in training. An edit undoes it for the length of a
`with` block, so that what it is worth can be measured on games.
"""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor, nn

from hexsearch.doctor.hypotheses.edits.activations import activation_edits
from hexsearch.doctor.hypotheses.edits.attention import attention_edits
from hexsearch.doctor.hypotheses.edits.edit import Edit
from hexsearch.doctor.hypotheses.edits.functions import function_edits
from hexsearch.doctor.hypotheses.edits.inner import inner_edits
from hexsearch.doctor.hypotheses.edits.modules import module_edits
from hexsearch.doctor.hypotheses.edits.norms import norm_edits
from hexsearch.doctor.hypotheses.edits.orders import order_edits
from hexsearch.doctor.hypotheses.edits.outputs import output_edits
from hexsearch.doctor.hypotheses.edits.parts import part_edits
from hexsearch.doctor.hypotheses.edits.planes import plane_edits
from hexsearch.doctor.hypotheses.edits.siblings import sibling_edits
from hexsearch.doctor.hypotheses.edits.skips import skip_edits
from hexsearch.doctor.hypotheses.edits.weights import weight_edits


def all_edits(network: nn.Module, planes: Tensor) -> Iterator[Edit]:
    """All edits that a network admits which is given planes [P, C, N, N] like these."""
    size = planes.shape[-1]
    # Where a network inside is right by itself, no edit of its weights is the cause.
    for edits in (
        inner_edits(network, planes),
        plane_edits(network, planes),
        function_edits(),
        attention_edits(),
        order_edits(network, size),
        weight_edits(network, size),
        norm_edits(network, planes),
        part_edits(network),
        sibling_edits(network),
        module_edits(network),
        activation_edits(network, planes),
        skip_edits(network, planes),
        output_edits(network),
    ):
        yield from _possible(edits)


def _possible(edits: Iterator[Edit]) -> Iterator[Edit]:
    """The edits up to one that a user's network breaks.

    A module may only look like one of torch (its weight is a method), and a call of few planes may
    fail.
    """
    try:
        yield from edits
    except Exception:  # whatever it is, it is not what is wrong
        return
