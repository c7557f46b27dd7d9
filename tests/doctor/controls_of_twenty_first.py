"""Unusual but sound pipelines beside the twenty-first set, which must raise no alarm."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from hexsearch.data import batches as batches_module
from hexsearch.data.batch import Batch
from hexsearch.model.network import Network
from hexsearch.model.readout import Bce
from hexsearch.training.evaluation import Evaluator
from hexsearch.training.optimisation import owner as owner_module
from tests.doctor.slips import Patch, Slip, before_clipping, in_network
from tests.doctor.slips_twenty_first_reports import half_turned


def _orthogonal(network: Network) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        for module in network.trunk.modules():
            if isinstance(module, nn.Conv2d) and bool(module.weight.any()):
                nn.init.orthogonal_(module.weight, math.sqrt(2.0))


def softplus_bce(patch: Patch) -> None:
    def loss(self: Any, raw: Tensor, target: Tensor) -> Tensor:
        return functional.softplus(raw) - target * raw

    patch.setattr(Bce, "loss", loss)


def _turned_too(patch: Patch) -> None:
    """The mean of the raw answers for a board and the turned board, position by position."""
    sound = Evaluator._answer

    def answer(self: Any, network: Any, batch: Batch) -> Any:
        raws, policy = sound(self, network, batch)
        turned, other = sound(self, network, half_turned(batch))
        policy = torch.log(0.5 * (policy.softmax(1) + other.flip(1).softmax(1)) + 1e-30)
        return [0.5 * (a + b) for a, b in zip(raws, turned, strict=True)], policy

    patch.setattr(Evaluator, "_answer", answer)


def _centralised(network: Any) -> None:
    """Gradient centralisation (Yong et al., arXiv:2004.01461)."""
    for parameter in network.parameters():
        gradient = parameter.grad
        if gradient is not None and gradient.ndim == 4:
            gradient.sub_(gradient.mean(dim=(1, 2, 3), keepdim=True))


def _antithetic(patch: Patch) -> None:
    """Two samples that follow each other have opposite half turns; each is still a fair coin."""
    sound = batches_module.keyed_bits  # type: ignore[attr-defined]

    def bits(seed: int, *keys: Any) -> Any:
        own = sound(seed, *keys)
        if len(keys) != 2 or keys[0] != batches_module._TURN_AND_SWAP:
            return own
        samples = np.asarray(keys[1])
        pair = sound(seed, keys[0] + 1000, samples // 2) & np.uint64(1)
        turn = pair ^ (samples & 1).astype(np.uint64)
        return (own & ~np.uint64(1)) | turn

    patch.setattr(batches_module, "keyed_bits", bits)


def _linear_decay(patch: Patch) -> None:
    """Warm-up as configured, then a straight line to zero."""

    def set_rates(optimiser: Any, config: Any, progress: float) -> None:
        if progress < config.warmup:
            rate = config.learning_rate * (0.04 + 0.96 * progress / config.warmup)
        else:
            rate = config.learning_rate * max(1.0 - progress, 0.0) / (1.0 - config.warmup)
        for group in optimiser.param_groups:
            group["lr"] = rate * group["factor"]

    patch.setattr(owner_module, "set_learning_rate", set_rates)


CONTROLS: dict[str, Slip] = {
    "orthogonal initialisation": Slip(
        in_network(_orthogonal), "$^", cause="Convolutions of the trunk start orthogonal."
    ),
    "cross-entropy by softplus": Slip(
        softplus_bce, "$^", cause="The same loss by softplus(z) - t z."
    ),
    "evaluation of both half turns": Slip(
        _turned_too, "$^", cause="Answers are means over a board and its half turn."
    ),
    "gradient centralisation": Slip(
        before_clipping(_centralised), "$^", cause="Kernels' gradients have mean zero."
    ),
    "antithetic half turns": Slip(
        _antithetic, "$^", cause="Samples 2n and 2n + 1 have opposite half turns."
    ),
    "linear decay": Slip(
        _linear_decay, "$^", cause="After the warm-up the rate falls on a straight line to zero."
    ),
}
