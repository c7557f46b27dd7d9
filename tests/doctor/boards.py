"""Replaces the boards of an encoded batch, for slips that encode other positions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from hexsearch.data import batches as batch_building
from hexsearch.data.batch import Batch
from hexsearch.data.batches import BatchBuilder, TrainingStream
from hexsearch.data.order import keyed_bits


def symmetries_of(batch: Batch, stream: TrainingStream, cursor: int) -> NDArray[np.int64]:
    """Symmetries under which a training batch was encoded."""
    encoder = stream.builder.encoder
    samples = np.arange(cursor, cursor + len(batch), dtype=np.int64)
    bits = keyed_bits(stream.seed, batch_building._TURN_AND_SWAP, samples)
    turn, swap = (bits & np.uint64(1)).astype(bool), (bits & np.uint64(2)).astype(bool)
    if not stream.augment:
        turn = np.zeros_like(turn)
        swap = swap & (encoder.perspective == "mover")
    if encoder.perspective == "mover":
        red = np.where(batch.final.numpy(), swap, batch.ply.numpy() % 2 == 1)
        return encoder.choose_symmetries(turn, red)
    return turn + 2 * swap.astype(np.int64)


def with_boards(
    builder: BatchBuilder,
    batch: Batch,
    symmetries: NDArray[np.int64],
    plies: NDArray[np.int64],
    first: int = 0,
) -> Batch:
    """The batch with the boards after `plies` moves from move `first` on."""
    archive = builder.archive
    starts = archive.offsets[batch.game.numpy()].astype(np.int64) + first
    index = np.repeat(starts - (np.cumsum(plies) - plies), plies) + np.arange(plies.sum())
    cells = archive.moves.take(index, mode="clip")
    made = builder.encoder.encode(cells, plies, symmetries, batch.final.numpy())
    planes = batch.planes.clone()
    planes[:, :2] = torch.from_numpy(made)[:, :2]
    return replace(batch, planes=planes)
