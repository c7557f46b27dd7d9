"""Networks that treat a board and the same board after a half turn alike.

An equivariant trunk carries two views of each position through all its layers, the board as it is
and the turned board, each with half of the channels. A convolution of one view also reads the
channels of the other view, turned back. This is a group convolution for the group of the half turn
(Cohen and Welling, arXiv:1602.07576): it costs as many operations as an ordinary convolution of the
whole width and has half as many weights.

Legend: B positions, C channels, H and W side of the map.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


def turned(maps: Tensor) -> Tensor:
    """Maps [..., H, W] after a half turn of the board."""
    return maps.flip(-2, -1)


def both_views(planes_BCHW: Tensor) -> Tensor:
    """[B, C, H, W] to [2B, C, H, W]: all boards, then all turned boards."""
    return torch.cat([planes_BCHW, turned(planes_BCHW)])


def joined_views(features_2BCHW: Tensor) -> Tensor:
    """[2B, C, H, W] to [B, 2C, H, W]: the channels of a board, then those of its turned view.

    For a turned board the halves of the channels are exchanged and the map is turned.
    """
    own, other = torch.unflatten(features_2BCHW, 0, (2, -1)).unbind()
    return torch.cat([own, turned(other)], dim=1)


class TwoViewConvolution(nn.Conv2d):
    """A convolution of views [2B, C, H, W], each of which also reads the other one.

    Args:
        channels_in: C, channels of one view.
        channels: channels of one view of the result.
    """

    def __init__(
        self, channels_in: int, channels: int, kernel: int, stride: int, padding: int, bias: bool
    ) -> None:
        super().__init__(2 * channels_in, channels, kernel, stride, padding, bias=bias)

    def forward(self, input: Tensor) -> Tensor:
        exchanged = turned(torch.unflatten(input, 0, (2, -1)).flip(0).flatten(0, 1))
        return super().forward(torch.cat([input, exchanged], dim=1))


class TwoViewHead(nn.Module):
    """A head of an equivariant trunk: the mean of its answers to a board and the turned board.

    Args:
        head: from features [B, C, H, W] to a number [B], or to cells [B, N*N] or [B, K, N*N].
    """

    def __init__(self, head: nn.Module) -> None:
        super().__init__()
        self.head = head

    def forward(self, features_BCHW: Tensor) -> Tensor:
        """The answer of the head, with the answer to the turned board turned back."""
        exchanged = turned(torch.unflatten(features_BCHW, 1, (2, -1)).flip(1).flatten(1, 2))
        there: Tensor = self.head(exchanged)
        # In row-major order, the cells of a turned board stand in the opposite order.
        back = there if there.ndim == 1 else there.flip(-1)
        out: Tensor = 0.5 * (self.head(features_BCHW) + back)
        return out
