"""The positions that a user's training asks its network for without a gradient."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd

_LEAST = 100  # rows of an evaluation
_WHOLE = 1.5  # how many times the rows of a batch these are; a second network may see each batch
_MOST = 4_096  # rows that are kept


class Evaluations:
    """Keeps what the network is asked between two passes of training.

    Attributes:
        blocks: planes of each evaluation.
    """

    def __init__(self) -> None:
        self.blocks: list[Tensor] = []
        self._asked: list[Tensor] = []

    @property
    def is_long(self) -> bool:
        """Whether an evaluation goes on that has shown enough."""
        return sum(map(len, self._asked)) >= _MOST

    def add(self, module: nn.Module, planes: Tensor) -> None:
        """Keep a pass without a gradient, unless it renews statistics of norms."""
        modal = [m for m in module.modules() if isinstance(m, _BatchNorm | _DropoutNd)]
        if not any(m.training for m in modal) and not self.is_long:
            self._asked.append(planes.detach().clone())

    def close(self, rows: int) -> None:
        """End an evaluation, if one went on.

        Args:
            rows: of the training batch that follows.
        """
        asked, self._asked = self._asked, []
        count = sum(map(len, asked))
        shapes = {each.shape[1:] for each in asked}
        if count >= max(_LEAST, _WHOLE * rows) and len(shapes) == 1:
            self.blocks.append(torch.cat(asked)[:_MOST])
