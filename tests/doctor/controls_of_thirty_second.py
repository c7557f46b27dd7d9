"""Unusual but sound pipelines of a blind set, which must raise no error."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm

from hexsearch.data import batches as batches_module
from hexsearch.model.network import Network
from hexsearch.model.readout import Bce
from hexsearch.training import evaluation as evaluation_module
from hexsearch.training.optimisation import owner as owner_module
from hexsearch.training.optimisation.average import AveragedNetwork
from tests.doctor.slips import Slip, in_network, patched


def _by_softplus(_: Any) -> Any:
    def loss(self: Any, raw: Tensor, target: Tensor) -> Tensor:
        return functional.softplus(raw) - raw * target

    return loss


def _by_hand(_: Any) -> Any:
    @torch.no_grad()
    def clip_gradients(network: Any, limit: float) -> Tensor:
        gradients = [p.grad for p in network.parameters() if p.grad is not None]
        squares = [gradient.double().square().sum() for gradient in gradients]
        norm = torch.stack(squares).sum().sqrt().float()
        scale = (limit / (norm + 1e-6)).clamp(max=1.0)
        for gradient in gradients:
            gradient.mul_(scale)
        return norm

    return clip_gradients


def _in_a_loop(_: Any) -> Any:
    @torch.no_grad()
    def update(self: Any, size: int, positions_seen: int) -> None:
        half_life = min(self._half_life, 0.1 * positions_seen)
        kept = 0.5 ** (size / half_life)
        for average, weights in zip(self._averages, self._weights, strict=True):
            average.mul_(kept).add_(weights, alpha=1.0 - kept)

    return update


def _larger_eps(network: Network) -> None:
    for module in network.modules():
        if isinstance(module, _BatchNorm):
            module.eps = 1e-3


CONTROLS: dict[str, Slip] = {
    "cross-entropy by softplus": Slip(
        patched(Bce, "loss", _by_softplus),
        "$^",
        cause="Sound: the binary cross-entropy is written as softplus(z) - z t.",
    ),
    "clipping by hand": Slip(
        patched(owner_module, "clip_gradients", _by_hand),
        "$^",
        {"optimiser": {"clip": 0.5}},
        cause="Sound: the joint norm is computed in float64, and all gradients are scaled by the "
        "same factor.",
    ),
    "average in a loop": Slip(
        patched(AveragedNetwork, "update", _in_a_loop),
        "$^",
        {"optimiser": {"ema_half_life": 512}},
        cause="Sound: the moving average is updated parameter by parameter.",
    ),
    "calibration on more positions": Slip(
        patched(evaluation_module, "_CALIBRATION_BATCHES", lambda _: 12),
        "$^",
        cause="Sound: batch norms are calibrated on half as many positions again.",
    ),
    "other bits for the symmetries": Slip(
        patched(batches_module, "_TURN_AND_SWAP", lambda _: 23),
        "$^",
        cause="Sound: another key draws the symmetries, which are other ones but as random.",
    ),
    "batch norm with a larger epsilon": Slip(
        in_network(_larger_eps),
        "$^",
        cause="Sound: batch norms add 0.001 to the variance, in training and in evaluation.",
    ),
}
