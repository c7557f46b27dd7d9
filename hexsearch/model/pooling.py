"""Feature maps to vectors, [B, C, H, W] to [B, D]: what a head sees of the board.

Each pooling says how many numbers it makes of C channels on a map of a given side.
"""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor, nn


class Pooling(nn.Module):
    """A feature map [B, C, H, W] as one vector [B, outputs] for each position."""

    outputs: int

    @abstractmethod
    def forward(self, features_BCHW: Tensor) -> Tensor: ...


class MeanPooling(Pooling):
    """The mean of each channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.outputs = channels

    def forward(self, features_BCHW: Tensor) -> Tensor:
        return features_BCHW.mean(dim=(2, 3))


class Flatten(Pooling):
    """Every cell of every channel: keeps where things are (AlphaZero, lc0)."""

    def __init__(self, channels: int, side: int) -> None:
        super().__init__()
        self.outputs = channels * side * side

    def forward(self, features_BCHW: Tensor) -> Tensor:
        # In the order of the cells whatever the memory format.
        return features_BCHW.flatten(1)


class MeanMaxPooling(Pooling):
    """Mean and maximum of each channel, side by side (Polygames)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.outputs = 2 * channels

    def forward(self, features_BCHW: Tensor) -> Tensor:
        return torch.cat([features_BCHW.mean(dim=(2, 3)), features_BCHW.amax(dim=(2, 3))], dim=1)


class GlobalPooling(Pooling):
    """KataGo's: mean, mean scaled by the side of the map, and maximum.

    The scaled copy tells board sizes apart. On one size of board it is a constant times the
    mean and adds nothing but parameters; it is kept because the name promises KataGo's.
    Source: Wu, arXiv:1902.10565, and KataGPool in KataGo's python/katago/train/model_pytorch.py,
    with its constants.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.outputs = 3 * channels

    def forward(self, features_BCHW: Tensor) -> Tensor:
        mean = features_BCHW.mean(dim=(2, 3))
        side = (features_BCHW.shape[2] * features_BCHW.shape[3]) ** 0.5
        return torch.cat([mean, mean * ((side - 14.0) / 10.0), features_BCHW.amax(dim=(2, 3))], 1)


class AttentionPooling(Pooling):
    """A learnt weighting of the cells for each group of channels.

    The channels are cut into `heads` groups; the group's weights over the cells are the softmax
    of a learnt linear score of all channels (one seed query a head, Lee et al.,
    arXiv:1810.00825, without the value projection, which the next layer makes up for). Scores
    begin at 0, so that it starts as mean pooling.
    """

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.outputs = channels
        self.heads = heads
        self.score = nn.Conv2d(channels, heads, 1)
        nn.init.zeros_(self.score.weight)
        nn.init.zeros_(self.score.bias)  # type: ignore[arg-type]

    def forward(self, features_BCHW: Tensor) -> Tensor:
        weights = self.score(features_BCHW).flatten(2).softmax(dim=2)  # [B, heads, H*W]
        # Without the number of positions, which an exported graph must leave open.
        groups = torch.unflatten(features_BCHW.flatten(2), 1, (self.heads, -1))
        out: Tensor = (groups @ weights.unsqueeze(3)).flatten(1)
        return out
