"""Unusual but sound pipelines of a blind set, which must raise no error."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from hexsearch.data import position_set as position_set_module
from hexsearch.data.batches import BatchBuilder
from hexsearch.model import trunk as trunk_module
from hexsearch.model.pooling import MeanPooling
from hexsearch.training import evaluation as evaluation_module
from hexsearch.training import step as step_module
from tests.doctor.slips import Patch, Slip, in_optimiser, patched


def _with_torch(_: Any) -> Any:
    def post_init(self: Any) -> None:
        object.__setattr__(self, "backend", "torch")

    return post_init


def _not_fused(optimiser: Any) -> None:
    for group in optimiser.param_groups:
        group["fused"], group["foreach"] = False, False


def _fan_in(_: Any) -> Any:
    def initialise(trunk: nn.Module) -> None:
        for module in trunk.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_uniform_(module.weight, mode="fan_in", nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    return initialise


def _by_gather(patch: Patch) -> None:
    def loss(logits: Tensor, target: Tensor, has_move: Tensor) -> Tensor:
        chosen = functional.log_softmax(logits.float(), dim=1).gather(1, target[:, None])[:, 0]
        mask = has_move.to(chosen.dtype)
        return -(chosen * mask).sum() / mask.sum().clamp(min=1.0)

    for module in (step_module, evaluation_module):
        patch.setattr(module, "policy_loss", loss)


def _adaptive(_: Any) -> Any:
    def forward(self: Any, features_BCHW: Tensor) -> Tensor:
        return functional.adaptive_avg_pool2d(features_BCHW, 1).flatten(1)

    return forward


@lru_cache(maxsize=8)
def _shuffled(size: int, seed: int, number: int) -> NDArray[np.int64]:
    order = np.random.default_rng([seed & 0xFFFFFFFFFFFFFFFF, number]).permutation(size)
    return order.astype(np.int64)


def _permutations(_: Any) -> Any:
    def without_replacement(size: int, seed: int, cursor: int, count: int) -> NDArray[np.int64]:
        drawn = np.empty(count, dtype=np.int64)
        done = 0
        while done < count:
            number, offset = divmod(cursor + done, size)
            some = min(count - done, size - offset)
            drawn[done : done + some] = _shuffled(size, seed, number)[offset : offset + some]
            done += some
        return drawn

    return without_replacement


CONTROLS: dict[str, Slip] = {
    "planes built by torch": Slip(
        patched(BatchBuilder, "__post_init__", _with_torch),
        "$^",
        cause="Sound: planes are built by torch also on the CPU, bit for bit the same.",
    ),
    "optimiser in a plain loop": Slip(
        in_optimiser(_not_fused),
        "$^",
        cause="Sound: the optimiser updates one parameter after the other, without a fused kernel.",
    ),
    "uniform weights by inputs": Slip(
        patched(trunk_module, "_initialise", _fan_in),
        "$^",
        cause="Sound: kernels begin with He's uniform distribution, scaled by their inputs.",
    ),
    "policy loss by gather": Slip(
        _by_gather,
        "$^",
        cause="Sound: the policy loss is written as the negative log-softmax at the next move.",
    ),
    "adaptive average pooling": Slip(
        patched(MeanPooling, "forward", _adaptive),
        "$^",
        cause="Sound: the mean of each channel is computed by adaptive_avg_pool2d.",
    ),
    "order by numpy's permutations": Slip(
        patched(position_set_module, "without_replacement", _permutations),
        "$^",
        cause="Sound: each pass is drawn in the order of a permutation of numpy, seeded by the "
        "trial and the pass.",
    ),
}
