"""Checks of what a network keeps from one call to the next: buffers, and a cache."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn

from hexsearch.doctor.checks.network.encoders import random_boards
from hexsearch.doctor.checks.network.rows import CLOSE
from hexsearch.doctor.findings import Finding
from hexsearch.doctor.foreign import ForeignNetwork
from hexsearch.doctor.hypotheses.general.norm_statistics import copied
from hexsearch.doctor.networks import ExaminedNetwork

_ALONE = 8  # positions of a call


def call_findings(examined: ExaminedNetwork, planes: Tensor) -> Iterator[Finding]:
    """A call must neither change the answers of the one before nor give them to another position.

    Args:
        planes: [P, C, N, N] of some positions.
    """
    found = list(_overwritten(examined, planes))
    yield from found
    if not found and isinstance(examined, ForeignNetwork):
        yield from _kept_by_stones(examined)


def _overwritten(examined: ExaminedNetwork, planes: Tensor) -> Iterator[Finding]:
    """Report answers that the next call writes over."""
    answers = examined.respond(planes[:_ALONE])
    before = [answer.clone() for answer in answers]
    examined.respond(planes[_ALONE : 2 * _ALONE])
    gaps = [float((a - b).abs().max()) for a, b in zip(answers, before, strict=True)]
    if max(gaps) > 0:
        yield Finding.error(
            "modes",
            f"after a second call, for {_ALONE} other positions, the answers that the first call "
            f"had returned are others, by up to {max(gaps):.2g}",
            "the network returns its own buffers (views of memory that it uses again): the next "
            "call, or the next part of a batch, writes over the answers of the one before",
            "return copies: policy.clone(), value.clone()",
            root="buffers",
        )


def _kept_by_stones(foreign: ForeignNetwork) -> Iterator[Finding]:
    """Report answers that are kept for the stones alone, whoever is to move.

    Copies of the network are asked, about boards that nobody has asked about before.
    """
    if not isinstance(foreign.model, nn.Module):
        return
    first, second = copied(foreign.model), copied(foreign.model)
    if first is None or second is None:
        return
    boards = [board for board, _ in random_boards(foreign.size)]
    blue, red = (
        torch.from_numpy(np.stack([foreign.encoded(board, side) for board in boards])).float()
        for side in (-1, 1)
    )
    asked, other = (ForeignNetwork(n, foreign.encoder, foreign.size) for n in (first, second))
    of_blue, of_red = asked.respond(blue)[1], other.respond(red)[1]
    if float((of_blue - of_red).abs().max()) > CLOSE and torch.equal(
        asked.respond(red)[1], of_blue
    ):
        yield Finding.error(
            "modes",
            f"a copy of the network gives {len(boards)} boards with Red to move the values that it "
            "gave them before with Blue to move; one that was not asked before gives others",
            "answers are kept (cached) under a key of the stones alone: a board that is asked "
            "about again for the other side to move gets the answer of the first one",
            "make the side to move part of the key",
            root="repeated",
        )
