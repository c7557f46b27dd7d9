"""Trunk features to one logit for each cell of the board."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional


class PolicyHead(nn.Module):
    """Mean pooling, then one linear layer, as in the network this project set out to mend."""

    def __init__(self, inputs: int, size: int) -> None:
        super().__init__()
        self.output = nn.Linear(inputs, size * size)

    def forward(self, features_BCHW: Tensor) -> Tensor:
        """[B, C, H, W] to policy logits [B, N*N], before masking and softmax."""
        out: Tensor = self.output(features_BCHW.mean(dim=(2, 3)))
        return out


def policy_loss(logits: Tensor, target: Tensor, has_move: Tensor) -> Tensor:
    """Mean cross-entropy over the positions that have a next move; 0 where none has.

    Args:
        logits: [B, N*N]. target: [B] int64 cells. has_move: [B] bool.
    """
    losses = functional.cross_entropy(logits.float(), target, reduction="none")
    mask = has_move.to(losses.dtype)
    return (losses * mask).sum() / mask.sum().clamp(min=1.0)
