"""The positions that a user's training asks its network for without a gradient."""

from __future__ import annotations

from collections import deque

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd

_LEAST = 100  # rows of an evaluation
_WHOLE = 1.5  # how many times the rows of a batch these are; a second network may see each batch
_MOST = 2_048  # rows that are kept of its beginning, and of its end


class Evaluations:
    """Keeps what the network is asked between two passes of training.

    Attributes:
        parts: planes of the passes of the last evaluation, which may look at several sets of
            games in turn.
        after: number of rows that were trained on before it.
    """

    def __init__(self) -> None:
        self.parts: list[Tensor] = []
        self.after = 0
        self._first: list[Tensor] = []
        self._last: deque[Tensor] = deque()
        self._rows = 0

    def add(self, module: nn.Module, planes: Tensor) -> None:
        """Keep a pass without a gradient, unless it renews statistics of norms."""
        modal = [m for m in module.modules() if isinstance(m, _BatchNorm | _DropoutNd)]
        if any(m.training for m in modal):
            return
        kept = planes.detach()[:_MOST].clone()
        self._rows += len(planes)
        if sum(map(len, self._first)) < _MOST:
            self._first.append(kept)
            return
        self._last.append(kept)
        while sum(map(len, self._last)) - len(self._last[0]) >= _MOST:
            self._last.popleft()

    def close(self, rows: int, trained: int) -> None:
        """End an evaluation, if one went on.

        Args:
            rows: of the training batch that follows.
            trained: number of rows of all training batches so far.
        """
        asked, count = [*self._first, *self._last], self._rows
        self._first, self._last, self._rows = [], deque(), 0
        if count < max(_LEAST, _WHOLE * rows):
            return
        self.parts, self.after = asked, trained
