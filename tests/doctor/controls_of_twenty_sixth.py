"""Unusual but sound pipelines beside the twenty-sixth set, which must raise no error."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from hexsearch.data import batches as batches_module
from hexsearch.data.batch import Batch
from hexsearch.model.network import Network
from hexsearch.training import evaluation as evaluation_module
from hexsearch.training.optimisation import owner as owner_module
from hexsearch.training.step import Stepper
from tests.doctor.controls_of_twenty_fifth import clipped_by_hand
from tests.doctor.controls_of_twenty_first import softplus_bce
from tests.doctor.slips import Slip, in_network, patched

_EVALUATED = 97  # positions in a batch of an evaluation


def _rows_reversed(sound: Any) -> Any:
    def step(self: Any, batch: Batch, *arguments: Any) -> None:
        sound(self, batch.rows(torch.arange(len(batch) - 1, -1, -1)), *arguments)

    return step


def _other_bits(sound: Any) -> Any:
    def bits(seed: int, *keys: Any) -> Any:
        mixed = sound(seed, 1234, *keys)
        return (mixed >> np.uint64(13)) | (mixed << np.uint64(51))

    return bits


def _fan_in(network: Network) -> None:
    """Weights as He et al. for the forward pass: the spread by inputs in place of outputs."""
    with torch.no_grad():
        for module in network.trunk.modules():
            if isinstance(module, nn.Conv2d):
                module.weight.mul_((module.out_channels / module.in_channels) ** 0.5)


CONTROLS: dict[str, Slip] = {
    "cross-entropy by softplus of the logit": Slip(
        softplus_bce,
        "$^",
        cause="Sound: the cross-entropy of a logit, written as softplus(z) - z * t.",
    ),
    "rows of a batch reversed": Slip(
        patched(Stepper, "step", _rows_reversed),
        "$^",
        cause="Sound: a step takes the rows of its batch, all columns alike, in reversed order.",
    ),
    "other bits for symmetries": Slip(
        patched(batches_module, "keyed_bits", _other_bits),
        "$^",
        cause="Sound: other random bits choose the symmetries, as fair and as repeatable.",
    ),
    "initial weights by inputs": Slip(
        in_network(_fan_in),
        "$^",
        cause="Sound: He's initialisation by fan-in in place of fan-out; both are usual.",
    ),
    "clipping by hand": Slip(
        patched(owner_module, "clip_gradients", clipped_by_hand),
        "$^",
        {"optimiser": {"clip": 0.3}},
        cause="Sound: the joint norm is computed and the gradients are scaled by own code.",
    ),
    "evaluation in batches of 97": Slip(
        patched(evaluation_module, "_BATCH", lambda sound: dict.fromkeys(sound, _EVALUATED)),
        "$^",
        cause="Sound: positions are answered 97 at a time; answers do not depend on it.",
    ),
}
