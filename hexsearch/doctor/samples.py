"""Training samples exactly as the network and the loss were given them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from hexsearch.data.batches import Batch
from hexsearch.doctor.watching import WatchedStep, WatchedTrial

_SAMPLES = 4608  # positions that are looked at; the rest is fetched without being trained on


@dataclass(frozen=True)
class ShownSamples:
    """Some batches in a row, as one.

    Attributes:
        batch: its columns. planes: [B, C, N, N] at the network's input. target: [B] labels at the
            read-out's loss. batch_size: positions of each batch.
    """

    batch: Batch
    planes: NDArray[np.float32]
    target: NDArray[np.float32]
    batch_size: int
    perspective: Literal["absolute", "mover"]


def shown_samples(trial: WatchedTrial) -> ShownSamples:
    """What the watched steps were given, and what the following steps would be given."""
    size = trial.config.batch_size
    batches, planes, targets = [], [], []
    for step in trial.steps:
        batches.append(step.batch)
        planes.append(step.planes if _complete(step) else step.batch.planes)
        asked = step.targets
        given = asked is not None and asked.shape == step.batch.outcome.shape
        # What was meant to be mixed in is no fault of the labels.
        label = asked - step.batch.search_shift if asked is not None and given else None
        targets.append(step.batch.outcome if label is None else label)
    cursor = trial.positions_seen
    while sum(map(len, batches)) < _SAMPLES:
        batch = trial.shown_batch(cursor, size)
        batches.append(batch)
        planes.append(batch.planes)
        targets.append(batch.outcome)
        cursor += size
    return ShownSamples(
        Batch.joined([_without_auxiliary(batch) for batch in batches]),
        _joined(planes),
        _joined(targets),
        size,
        trial.config.encoder.perspective,
    )


def _complete(step: WatchedStep) -> bool:
    return step.planes.shape == step.batch.planes.shape


def _without_auxiliary(batch: Batch) -> Batch:
    return replace(batch, auxiliary={})


def _joined(tensors: Sequence[torch.Tensor]) -> NDArray[np.float32]:
    joined: NDArray[np.float32] = torch.cat(list(tensors)).float().cpu().contiguous().numpy()
    return joined
