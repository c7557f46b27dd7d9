"""Unusual but sound scripts beside the fifteenth set of slips, which must raise no alarm."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from tests.doctor import mistakes_fifteenth as mistakes
from tests.doctor.outside import Foreign, Samples
from tests.doctor.outside_networks import absolute
from tests.doctor.slips_fifteenth_scripts import ONE_LAYER_FOR_BOTH, SIGNED
from tests.doctor.slips_fourteenth_scripts import CHANCE

_SMOOTHING = 0.05
_MEAN, _DEVIATION = 0.25, 0.4  # of planes


def _standardised(stones: NDArray[np.int8], to_move: int) -> NDArray[np.float32]:
    """Planes less a mean and divided by a deviation, as pictures are, and at inference too."""
    return ((absolute(stones, to_move) - _MEAN) / _DEVIATION).astype(np.float32)


def _by_columns(samples: Samples) -> Tensor:
    """The next cell on a board whose rows and columns are exchanged."""
    size = samples.stones.shape[1]
    cell = samples.played % size * size + samples.played // size
    return torch.where(samples.played >= 0, cell, samples.played)


def _two_classes(size: int) -> mistakes.Grouped:
    """A logit for each colour."""
    return mistakes.Grouped(size, planes=2, outputs=2)


def _smoothed(raw: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy with smoothed labels, so that answers are a little less sure."""
    return functional.cross_entropy(raw, target, label_smoothing=_SMOOTHING)


CONTROLS: dict[str, Foreign] = {
    "planes standardised throughout": replace(CHANCE, encode=_standardised),
    "rows and columns exchanged throughout": replace(
        ONE_LAYER_FOR_BOTH, encode=mistakes.by_columns, moves=_by_columns
    ),
    "a class for each colour, with smoothed labels": replace(
        SIGNED,
        network=_two_classes,
        targets=lambda samples: (samples.won < 0).long(),
        loss=_smoothed,
        decode=lambda raw: raw.softmax(dim=1)[:, 0],
    ),
}
