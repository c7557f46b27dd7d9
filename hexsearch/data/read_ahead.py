"""Builds several batches of the training stream together.

Building a batch takes a few dozen small operations. On a CPU they displace the network's weights
from the caches; on a GPU each of them launches a kernel. The content of a batch depends on
(seed, cursor) alone, so building batches ahead does not change them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from torch import Tensor

from hexsearch.data.batch import Batch
from hexsearch.data.batches import TrainingStream

# Positions that are built together; a thousand of them take 1 to 2 MB on 13x13.
_POSITIONS = {"cpu": 2_048, "cuda": 16_384}


class ReadAhead:
    """Batches of a stream, as slices of a larger batch.

    Args:
        show: function that brings planes [B, C, N, N] into the network's memory format.
    """

    def __init__(self, stream: TrainingStream, show: Callable[[Tensor], Tensor]) -> None:
        self._stream, self._show = stream, show
        self._positions = _POSITIONS.get(stream.builder.device.type, _POSITIONS["cpu"])
        self._start = 0
        self._chunk: Batch | None = None

    def batch(self, cursor: int, size: int) -> Batch:
        """The stream's batch, with its planes in the memory format. Its views are read-only."""
        chunk = self._chunk
        if chunk is None or not self._start <= cursor <= self._start + len(chunk) - size:
            several = self._positions // size
            positions_left = self._left_of_phase(cursor)
            if positions_left is not None:
                several = min(several, positions_left // size)
            chunk = self._stream.batch(cursor, max(several, 1) * size)
            chunk = replace(chunk, planes=self._show(chunk.planes))
            # A batch that ends in the next phase is built alone, with the first phase's weights.
            self._start, self._chunk = cursor, chunk if several else None
        return chunk.piece(cursor - self._start, size)

    def _left_of_phase(self, cursor: int) -> int | None:
        starts = [phase.start for phase in self._stream.positions.phases if phase.start > cursor]
        return min(starts) - cursor if starts else None
