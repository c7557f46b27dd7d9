"""Unusual but sound pipelines beside the twenty-second set, which must raise no alarm."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hexsearch.data import position_set as position_set_module
from hexsearch.model.network import Network
from hexsearch.training import evaluation as evaluation_module
from tests.doctor.listed.places import all_of
from tests.doctor.slips import Slip, in_network, in_optimiser, patched
from tests.doctor.slips_twenty_second_training import in_activations, in_policy_loss


def _first_answers_equal(network: Network) -> None:
    """The last layer of the value head starts at 0, so that the first answers are 0.5."""
    last = [each for each in network.value_head.modules() if isinstance(each, nn.Linear)][-1]
    nn.init.zeros_(last.weight)


def _gathered(_: Any) -> Any:
    """The same cross-entropy by a gather, over the rows that have a move."""

    def loss(logits: Tensor, target: Tensor, has_move: Tensor) -> Tensor:
        numbers = logits.float()
        chosen = numbers.gather(1, target[:, None])[:, 0]
        each = torch.where(has_move, torch.logsumexp(numbers, 1) - chosen, 0.0)
        return each.sum() / has_move.sum().clamp(min=1)

    return loss


@lru_cache(maxsize=8)
def _permutation(size: int, seed: int, number: int) -> NDArray[np.int64]:
    return np.random.default_rng([seed, number]).permutation(size).astype(np.int64)


def by_generator(_: Any) -> Any:
    """Each pass is a permutation of a seeded generator, kept in memory."""

    def order(size: int, seed: int, cursor: int, count: int) -> NDArray[np.int64]:
        found = np.empty(count, dtype=np.int64)
        done = 0
        while done < count:
            number, offset = divmod(cursor + done, size)
            taken = min(count - done, size - offset)
            found[done : done + taken] = _permutation(size, seed, number)[offset : offset + taken]
            done += taken
        return found

    return order


def _faster_moments(optimiser: Any) -> None:
    """The second moments forget faster, as is usual for short trainings."""
    for group in optimiser.param_groups:
        if "betas" in group:
            group["betas"] = (group["betas"][0], 0.99)


_MORE_CALIBRATION = all_of(
    patched(evaluation_module, "_CALIBRATION_BATCHES", lambda _: 8),
    patched(evaluation_module, "_CALIBRATION_BATCH", lambda _: 512),
)

CONTROLS: dict[str, Slip] = {
    "leaky activations": Slip(
        in_activations(lambda _: nn.LeakyReLU(0.05)),
        "$^",
        cause="Activations of the trunk are leaky ReLUs.",
    ),
    "last layer of the value head starts at 0": Slip(
        in_network(_first_answers_equal),
        "$^",
        cause="The weights of the value head's last layer start at 0.",
    ),
    "policy loss by a gather": Slip(
        in_policy_loss(_gathered), "$^", cause="The same loss by logsumexp minus the chosen logit."
    ),
    "permutations of a generator": Slip(
        patched(position_set_module, "without_replacement", by_generator),
        "$^",
        cause="The order of a pass is a permutation of numpy's generator.",
    ),
    "second beta of 0.99": Slip(
        in_optimiser(_faster_moments), "$^", cause="AdamW has a second beta of 0.99."
    ),
    "calibration on more positions": Slip(
        _MORE_CALIBRATION, "$^", cause="Norms are calibrated on 4096 positions in batches of 512."
    ),
}
