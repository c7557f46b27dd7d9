"""Poolings from feature maps [B, C, H, W] to vectors [B, D].

`outputs` of a pooling is D, the length of its vectors.
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
    """Every cell of every channel, so that places are kept (AlphaZero, lc0)."""

    def __init__(self, channels: int, side: int) -> None:
        super().__init__()
        self.outputs = channels * side * side

    def forward(self, features_BCHW: Tensor) -> Tensor:
        # The order of the cells does not depend on the memory format.
        return features_BCHW.flatten(1)


class MeanMaxPooling(Pooling):
    """Mean and maximum of each channel, concatenated (Polygames)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.outputs = 2 * channels

    def forward(self, features_BCHW: Tensor) -> Tensor:
        return torch.cat([features_BCHW.mean(dim=(2, 3)), features_BCHW.amax(dim=(2, 3))], dim=1)


class GlobalPooling(Pooling):
    """KataGo's pooling: mean, mean scaled by the side of the map, and maximum.

    The scaled mean tells board sizes apart. On one board size it is proportional to the mean and
    only adds parameters. It is kept so that the pooling is the same as KataGo's.
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

    The channels are cut into `heads` groups. The weights of a group over the cells are the softmax
    of a learnt linear score of all channels. This is one seed query for each head (Lee et al.,
    arXiv:1810.00825), without the value projection, which the next layer replaces. The scores
    begin at 0, so it begins as mean pooling.
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
        # The shape does not name the number of positions, which an exported graph leaves open.
        groups = torch.unflatten(features_BCHW.flatten(2), 1, (self.heads, -1))
        out: Tensor = (groups @ weights.unsqueeze(3)).flatten(1)
        return out
