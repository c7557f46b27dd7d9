"""Listed slips in the losses of training: means, focal factors and masks of the policy."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from torch import Tensor

from hexsearch.data.batch import Batch
from hexsearch.training import step as step_module
from hexsearch.training.step import Stepper
from tests.doctor.listed.places import all_of, occupied_cells
from tests.doctor.slips import Inject, Slip, patched
from tests.doctor.test_kinds_of_pipelines import entropy, with_loss


def _by_nonzero(sound: Any) -> Any:
    def backward(self: Stepper, batch: Batch, look: bool) -> None:
        counted = (batch.weight != 0).sum().clamp(min=1)
        sound(self, replace(batch, weight=batch.weight * (len(batch) / counted)), look)

    return backward


def _focal(_: Any, raw: Tensor, target: Tensor) -> Tensor:
    chance = raw.sigmoid()
    right = chance * target + (1.0 - chance) * (1.0 - target)
    return right**2 * entropy(raw, target)


def _transposed_mask() -> Inject:
    """Policy logits are masked by the stones of a board whose rows and columns are exchanged."""
    shown: list[Tensor] = []

    def kept(sound: Any) -> Any:
        def forward(self: Stepper, batch: Batch, watched: bool) -> Any:
            shown[:] = [batch.planes]
            try:
                return sound(self, batch, watched)
            finally:
                shown.clear()

        return forward

    def masked(sound: Any) -> Any:
        def loss(logits: Tensor, target: Tensor, has_move: Tensor) -> Any:
            if shown:
                stones = occupied_cells(shown[0], math.isqrt(logits.shape[1]))
                logits = logits.float().masked_fill(stones.transpose(1, 2).flatten(1), -1e4)
            return sound(logits, target, has_move)

        return loss

    return all_of(patched(Stepper, "_forward", kept), patched(step_module, "policy_loss", masked))


SLIPS: dict[str, Slip] = {
    "mean over positions with a weight": Slip(
        patched(Stepper, "_backward", _by_nonzero),
        "value loss is divided by the number of positions whose weight is not 0",
        {"curriculum": {"stage_weights": {"early": 0.0, "middle": 0.0}}},
        cause="The value loss is divided by the number of positions of the batch whose weight is "
        "not 0, and not by the number of all.",
    ),
    "focal factor of the wrong class": Slip(
        with_loss(_focal),
        "a focal loss of power 2 that is turned around",
        cause="The value loss has a focal factor of the wrong class, so easy positions weigh more.",
    ),
    "mask of moves transposed in training": Slip(
        _transposed_mask(),
        "the mask of legal moves is transposed",
        cause="In training, policy logits are masked by the occupied cells of the transposed "
        "board.",
    ),
}
