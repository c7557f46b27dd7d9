"""Training samples as the network and the loss were given them, beside what they should be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from hexsearch.data.archive import GameArchive
from hexsearch.data.batches import Batch
from hexsearch.doctor.hypotheses.truth import (
    SWAPS,
    Flags,
    Ints,
    Planes,
    Truth,
    inside_ring,
    same,
    truth_of,
)
from hexsearch.doctor.watching import WatchedStep, WatchedTrial

_SAMPLES, _BATCHES = 2048, 18  # that are looked at; most are fetched without being trained on


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
    while sum(map(len, batches)) < max(_SAMPLES, _BATCHES * size):
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


@dataclass(frozen=True)
class ComparedSamples:
    """Training samples beside what they should be.

    Attributes:
        images: [B, 4] whether the stones are those of the game's board under each symmetry.
        symmetry: [B] one under which they are; by `complement` where there is none.
    """

    samples: ShownSamples
    truth: Truth
    stones: Planes
    images: Flags
    symmetry: Ints

    @property
    def lost(self) -> float:
        """Share of samples whose boards are no image of the game's."""
        return float(1 - self.images.any(axis=1).mean())

    @property
    def by_chance(self) -> float:
        """Share of the others that may seem wrong since a wrong board looks like a right one."""
        return 0.1 if self.lost > 0.01 else 0.0

    @property
    def mover_view(self) -> bool:
        """Whether the board is shown from the side that is to move."""
        return self.samples.perspective == "mover"


def compared_samples(samples: ShownSamples, archive: GameArchive) -> ComparedSamples:
    """The training samples, worked out again from the games."""
    batch = samples.batch
    truth = truth_of(archive, batch.game.numpy(), batch.ply.numpy())
    stones = inside_ring(samples.planes, truth.size)[:, :2]
    images = np.stack([same(stones, truth.stone_planes(s)) for s in range(4)], axis=1)
    complement = batch.complement.numpy()
    swapped = ~complement if samples.perspective == "mover" else complement
    # The columns beside the planes choose among the symmetries that a board allows.
    fits = images & (SWAPS[None] == swapped[:, None])
    moves = np.stack([truth.next_cells(s) for s in range(4)], axis=1)
    exact = fits & (moves == batch.policy_target.numpy()[:, None])
    symmetry = np.where(
        exact.any(axis=1),
        exact.argmax(axis=1),
        np.where(
            fits.any(axis=1),
            fits.argmax(axis=1),
            np.where(images.any(axis=1), images.argmax(axis=1), 2 * swapped),
        ),
    )
    return ComparedSamples(samples, truth, stones, images, symmetry)
