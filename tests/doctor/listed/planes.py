"""Listed slips in the planes: histories, the ring of edges, stored boards and their scale."""

from __future__ import annotations

import zlib
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from hexsearch.data.batch import Batch
from hexsearch.data.batches import BatchBuilder, TrainingStream
from hexsearch.data.encoder import RECENCY, PositionEncoder
from tests.doctor.listed.places import HISTORY, in_build, in_evaluation
from tests.doctor.slips import ABSOLUTE, Slip, in_encoder, in_planes, patched

_SLOTS = 4096


def _from_a_table(batch: Batch, builder: BatchBuilder) -> Batch:
    """Encoded boards come from a table by a short hash and their number of stones."""
    table = builder.__dict__.setdefault("_boards", {})
    shown = [
        table.setdefault((ply, zlib.crc32(planes.numpy().tobytes()) % _SLOTS), planes.clone())
        for planes, ply in zip(batch.planes, batch.ply.tolist(), strict=True)
    ]
    return replace(batch, planes=torch.stack(shown))


def _stale(batch: Batch, _: BatchBuilder) -> Batch:
    planes = batch.planes.clone()
    planes[:, -1] *= RECENCY
    return replace(batch, planes=planes)


def _not_moved(sound: Any) -> Any:
    return lambda self: np.repeat(sound(self)[:1], 4, axis=0)


def _from_the_start(sound: Any) -> Any:
    """The number of a stone says how many plies were played before it, not after it."""

    def encode_game(self: PositionEncoder, cells: Any, plies: Any, *more: Any) -> Any:
        planes = sound(self, cells, plies, *more)
        history = planes[:, -1]
        oldest = np.broadcast_to(
            self.recency()[np.maximum(plies - 1, 0)][:, None, None], history.shape
        )
        np.divide(oldest, history, out=history, where=history > 0)
        return planes

    return encode_game


def _all_forgotten(sound: Any) -> Any:
    return lambda self, planes, bits: sound(self, planes, np.zeros_like(bits))


def _ring_reflected(
    sound: Any, self: PositionEncoder, cells: Any, plies: Any, symmetries: Any, finished: Any
) -> Any:
    planes, ring = sound(self, cells, plies, symmetries, finished), self.ring()[:2]
    planes[symmetries >= 2, :2] += ring[::-1] - ring
    return planes


def _no_ring(batch: Batch, builder: BatchBuilder) -> Batch:
    return replace(batch, planes=batch.planes - torch.from_numpy(builder.encoder.ring()))


SLIPS: dict[str, Slip] = {
    "table of boards with too coarse a key": Slip(
        in_build(_from_a_table),
        r"the board of another position with as many stones, .*a cache whose key is too coarse",
        cause="Encoded boards come from a table by a hash of 12 bits and the number of stones, so "
        "now and then a position gets the planes of another.",
    ),
    "history one ply stale in evaluation": Slip(
        in_evaluation(_stale),
        r"in evaluation, and not in training, the history plane is late by one ply",
        HISTORY,
        cause="In evaluation the ages in the history plane are one ply too large.",
    ),
    "history not moved with the board": Slip(
        patched(PositionEncoder, "history_places", _not_moved),
        "history plane is not turned .*with the board",
        HISTORY,
        cause="The history plane is not transformed by the symmetry of the position.",
    ),
    "ages counted from the start": Slip(
        patched(PositionEncoder, "encode_game", _from_the_start),
        "ages in the history plane are counted from the first move",
        HISTORY,
        cause="The history plane counts ages from the first move, so the oldest stone is the "
        "brightest.",
    ),
    "history forgotten in all training samples": Slip(
        patched(TrainingStream, "_forgetful", _all_forgotten),
        "history is cut off in nearly all training samples",
        HISTORY,
        cause="The history is cut off in all training samples, so that its plane is empty in "
        "training and full in evaluation.",
    ),
    "ring reflected without its colours": Slip(
        in_encoder(_ring_reflected),
        r"edges of both colours are exchanged in the ring: it is reflected .*and not recoloured",
        ABSOLUTE,
        cause="In mirrored samples the ring of edges is reflected, but its colours are not "
        "exchanged.",
    ),
    "ring missing in evaluation": Slip(
        in_evaluation(_no_ring),
        "in evaluation, and not in training, the ring of edges is missing",
        cause="In evaluation the ring of edges is empty.",
    ),
    "mean of the batch subtracted in training": Slip(
        in_planes(lambda planes: planes - planes.mean(dim=(0, 2, 3), keepdim=True)),
        r"a number is subtracted from each plane, .*the mean of the batch",
        cause="In training the mean of each batch is subtracted from the planes, in evaluation "
        "nothing.",
    ),
}
