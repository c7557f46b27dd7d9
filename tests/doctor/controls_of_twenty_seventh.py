"""Unusual but sound pipelines beside the twenty-seventh set, which must raise no error."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from hexsearch.data import dataset as dataset_module
from hexsearch.data import position_set as position_set_module
from hexsearch.model.network import Network
from hexsearch.model.readout import Bce
from hexsearch.training import step as step_module
from hexsearch.training.optimisation import optimiser as optimiser_module
from tests.doctor.slips import Slip, in_network, patched


def _in_double(_: Any) -> Any:
    def loss(self: Any, raw: Tensor, target: Tensor) -> Tensor:
        logit, wanted = raw.double(), target.double()
        each = -(
            wanted * functional.logsigmoid(logit) + (1.0 - wanted) * functional.logsigmoid(-logit)
        )
        return each.to(raw.dtype)

    return loss


def _each_alone(sound: Any) -> Any:
    def groups(network: Any, config: Any) -> list[dict[str, Any]]:
        return [
            {**group, "params": [parameter]}
            for group in sound(network, config)
            for parameter in group["params"]
        ]

    return groups


def _only_rows_with_a_move(_: Any) -> Any:
    def loss(logits: Tensor, target: Tensor, has_move: Tensor) -> Tensor:
        rows = torch.nonzero(has_move).flatten()
        if not len(rows):
            return logits.float().sum() * 0.0
        chosen = logits.float()[rows].log_softmax(dim=1)
        return -chosen.gather(1, target[rows, None]).mean()

    return loss


def _other_salt(sound: Any) -> Any:
    def split(archive: Any, split: Any, validation: float, test: float, salt: str) -> Any:
        return sound(archive, split, validation, test, f"{salt}, another")

    return split


def _shuffled_by_numpy(_: Any) -> Any:
    """A permutation of numpy's for each pass, drawn from seed and pass."""

    def walk(size: int, seed: int, cursor: int, count: int) -> Any:
        samples = np.arange(cursor, cursor + count, dtype=np.int64)
        passes, places = np.divmod(samples, size)
        found = np.empty(count, dtype=np.int64)
        for number in np.unique(passes).tolist():
            order = np.random.default_rng([seed, number]).permutation(size)
            found[passes == number] = order[places[passes == number]]
        return found

    return walk


def _orthogonal(network: Network) -> None:
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        for module in network.trunk.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.orthogonal_(module.weight, gain=2**0.5)


CONTROLS: dict[str, Slip] = {
    "cross-entropy in float64": Slip(
        patched(Bce, "loss", _in_double),
        "$^",
        cause="Sound: the cross-entropy is computed in float64, from the logarithms of both "
        "sigmoids, and returned in float32.",
    ),
    "a group for each tensor": Slip(
        patched(optimiser_module, "parameter_groups", _each_alone),
        "$^",
        cause="Sound: every tensor is a parameter group of its own, with the settings of the group "
        "that it would be in.",
    ),
    "policy loss of the rows with a move": Slip(
        patched(step_module, "policy_loss", _only_rows_with_a_move),
        "$^",
        cause="Sound: rows without a move are taken out before the policy's cross-entropy, in "
        "place of being masked in its mean.",
    ),
    "another salt": Slip(
        patched(dataset_module, "split_games", _other_salt),
        "$^",
        cause="Sound: the split is drawn with another salt, for all three parts alike.",
    ),
    "order by numpy's permutations": Slip(
        patched(position_set_module, "without_replacement", _shuffled_by_numpy),
        "$^",
        cause="Sound: the order of a pass is a permutation by numpy, drawn from the seed and the "
        "number of the pass.",
    ),
    "orthogonal initial weights": Slip(
        in_network(_orthogonal),
        "$^",
        cause="Sound: convolutions of the trunk begin orthogonal with a gain of the square root of "
        "2 (Saxe et al.), in place of normal weights.",
    ),
}
