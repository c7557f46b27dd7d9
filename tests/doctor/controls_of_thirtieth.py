"""Unusual but sound pipelines beside the thirtieth set, which must raise no error."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from hexsearch.data import read_ahead as read_ahead_module
from hexsearch.data.archive import GameArchive, build_archive
from hexsearch.model import readout as readout_module
from hexsearch.model.blocks import BottleneckBlock, PlainBlock
from hexsearch.model.network import Network
from hexsearch.training import evaluation as evaluation_module
from hexsearch.training.optimisation import owner as owner_module
from tests.doctor.slips import Patch, Slip, in_network, nothing, patched


def _by_softplus(_: Any) -> Any:
    def loss(self: Any, raw: Tensor, target: Tensor) -> Tensor:
        return functional.softplus(raw) - target * raw

    return loss


def _clipped_by_hand(_: Any) -> Any:
    def clip(network: Any, limit: float) -> Tensor:
        gradients = [p.grad for p in network.parameters() if p.grad is not None]
        norm = torch.stack([each.square().sum() for each in gradients]).sum().sqrt()
        factor = (limit / (norm + 1e-6)).clamp(max=1.0)
        for each in gradients:
            each.mul_(factor)
        return norm

    return clip


def _blocks_begin_as_identity(network: Network) -> None:
    """The scale of each block's last norm begins at 0, and is trained (arXiv:1706.02677)."""
    for module in network.trunk.modules():
        if isinstance(module, PlainBlock | BottleneckBlock):
            norms = [n for n in module.children() if isinstance(n, nn.BatchNorm2d)]
            nn.init.zeros_(norms[-1].weight)


def _small_pieces(patch: Patch) -> None:
    patch.setattr(read_ahead_module, "_POSITIONS", {"cpu": 256, "cuda": 2_048})
    patch.setattr(evaluation_module, "_BATCH", {"cpu": 200, "cuda": 200})
    patch.setattr(evaluation_module, "_BUILT", {"cpu": 600, "cuda": 600})


def _backwards(archive: GameArchive) -> GameArchive:
    return build_archive(archive.game(index) for index in reversed(range(len(archive))))


CONTROLS: dict[str, Slip] = {
    "value loss by softplus": Slip(
        patched(readout_module.Bce, "loss", _by_softplus),
        "$^",
        cause="Sound: the cross-entropy of the logit is written as softplus(z) - t z.",
    ),
    "gradients clipped by hand": Slip(
        patched(owner_module, "clip_gradients", _clipped_by_hand),
        "$^",
        cause="Sound: gradients are clipped by their joint norm, computed by hand.",
    ),
    "blocks begin as the identity": Slip(
        in_network(_blocks_begin_as_identity),
        "$^",
        cause="Sound: the scale of the last norm of each block begins at 0 and is trained, as is "
        "common for residual networks.",
    ),
    "norms calibrated with more batches": Slip(
        lambda patch: patch.setattr(evaluation_module, "_CALIBRATION_BATCHES", 20),
        "$^",
        cause="Sound: the batch-norm statistics of an evaluation come from 20 batches, not 8.",
    ),
    "smaller pieces": Slip(
        _small_pieces,
        "$^",
        cause="Sound: fewer batches are built together, and answers are computed 200 at a time.",
    ),
    "games in the opposite order": Slip(
        nothing,
        "$^",
        games=_backwards,
        cause="Sound: the archive holds its games in the opposite order.",
    ),
}
