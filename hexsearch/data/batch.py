"""A batch of encoded positions with their targets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Batch:
    """Encoded positions with their targets.

    Attributes:
        planes: [B, C, N, N] float32; N + 2 with the encoder's edge ring.
        policy_target: [B] int64, encoded cell of the next move; 0 where there is none.
        has_move: [B] bool, whether there is a next move; the policy loss ignores other positions.
        outcome: [B] float32, 1.0 or 0.0 in the network's own perspective.
        search_shift: [B] float32, share of the way from the outcome to what a search found; or 0.
        smoothing: [B] float32, share of the way from there to 0.5 that the value target is moved.
        complement: [B] bool, whether win_prob_red is 1 minus the network's probability.
        red_won: [B] float32, 1.0 if Red won the game, before any symmetry is applied.
        stage: [B] int8, index into STAGE_NAMES.
        to_end: [B] int64, plies to the end of the game.
        final: [B] bool, whether the position is finished, so that nobody is to move.
        game: [B] int64, index into the archive; ply: [B] int64.
        weight: [B] float32, weight in the value loss; its mean over the stream is 1.
        auxiliary: targets of the auxiliary heads by name, [B] or [B, N*N]; -1 is ignored. Empty
            if none were requested. See hexsearch.data.auxiliary.
    """

    planes: Tensor
    policy_target: Tensor
    has_move: Tensor
    outcome: Tensor
    search_shift: Tensor
    smoothing: Tensor
    complement: Tensor
    red_won: Tensor
    stage: Tensor
    to_end: Tensor
    final: Tensor
    game: Tensor
    ply: Tensor
    weight: Tensor
    auxiliary: Mapping[str, Tensor] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.outcome)

    @property
    def value_target(self) -> Tensor:
        """[B] target of the value loss."""
        mixed = self.outcome + self.search_shift
        return mixed + self.smoothing * (0.5 - mixed)

    def outcome_of(self, value_target: Tensor) -> Tensor:
        """[B] the outcome that a target of the value loss was made from."""
        smoothed = (value_target - 0.5 * self.smoothing) / (1.0 - self.smoothing)
        return smoothed - self.search_shift

    def piece(self, start: int, size: int) -> Batch:
        """At most `size` positions, beginning at `start`, as views."""
        if start == 0 and size >= len(self):
            return self
        return self.rows(slice(start, start + size))

    def rows(self, index: slice | Tensor) -> Batch:
        """The positions of an index. A slice gives views, not copies."""
        columns: dict[str, Any] = {name: each[index] for name, each in self.columns().items()}
        auxiliary = {name: each[index] for name, each in self.auxiliary.items()}
        return Batch(**columns, auxiliary=auxiliary)

    @staticmethod
    def joined(batches: Sequence[Batch]) -> Batch:
        """One batch made of several batches that have the same auxiliary targets."""
        columns: dict[str, Any] = {
            name: torch.cat([getattr(batch, name) for batch in batches])
            for name in batches[0].columns()
        }
        auxiliary = {
            name: torch.cat([batch.auxiliary[name] for batch in batches])
            for name in batches[0].auxiliary
        }
        return Batch(**columns, auxiliary=auxiliary)

    def columns(self) -> dict[str, Tensor]:
        """All tensors except the auxiliary targets, by name."""
        return {
            each.name: getattr(self, each.name) for each in fields(self) if each.name != "auxiliary"
        }

    def parts(self, size: int) -> Iterator[Batch]:
        """The batch in pieces of `size` positions; the last one may be shorter."""
        return (self.piece(start, size) for start in range(0, len(self), size))
