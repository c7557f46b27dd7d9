"""The training stream's batches, built many at a time.

Building a batch costs little, but it is a few dozen small calls: on a CPU they empty the caches
that the network's weights lie in, on a GPU each is a kernel that has to be launched. What a batch
holds is a function of (seed, cursor) alone, so building ahead changes no bit of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from torch import Tensor

from hexsearch.data.batches import Batch, TrainingStream

_POSITIONS = {"cpu": 2_048, "cuda": 16_384}  # built at a time; 1 to 2 MB a thousand on 13x13


class ReadAhead:
    """Batches of a stream as slices of what was built at once.

    Args:
        show: planes [B, C, N, N] to the memory format that the network reads.
    """

    def __init__(self, stream: TrainingStream, show: Callable[[Tensor], Tensor]) -> None:
        self._stream, self._show = stream, show
        self._positions = _POSITIONS.get(stream.builder.device.type, _POSITIONS["cpu"])
        self._start = 0
        self._chunk: Batch | None = None

    def batch(self, cursor: int, size: int) -> Batch:
        """As the stream's, planes in the memory format; views, not to be written to."""
        chunk = self._chunk
        if chunk is None or not self._start <= cursor <= self._start + len(chunk) - size:
            several = self._positions // size
            left = self._left_of_phase(cursor)
            if left is not None:
                several = min(several, left // size)
            chunk = self._stream.batch(cursor, max(several, 1) * size)
            chunk = replace(chunk, planes=self._show(chunk.planes))
            # One that begins in a phase and ends in the next has the weights of the first.
            self._start, self._chunk = cursor, chunk if several else None
        return chunk.piece(cursor - self._start, size)

    def _left_of_phase(self, cursor: int) -> int | None:
        starts = [phase.start for phase in self._stream.positions.phases if phase.start > cursor]
        return min(starts) - cursor if starts else None
