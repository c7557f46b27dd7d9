"""Residual blocks: plain, pre-activation, bottleneck, and optional additions to each.

Legend: B batch, C channels, H and W side of the feature map.
"""

from __future__ import annotations

from torch import Tensor, nn

from hexsearch.config.trunk import TrunkConfig
from hexsearch.model.layers import make_activation, make_convolution, make_norm
from hexsearch.model.pooling import GlobalPooling

_SE_RATIO = 4  # channels of a map per hidden unit of its squeeze-and-excitation
_POOLED_SHARE = 4  # channels of a map per channel that is pooled over the whole board
_BOTTLENECK = 2  # channels of a map per channel inside a bottleneck


class SqueezeExcitation(nn.Module):
    """Multiplies each channel by a number in (0, 1) computed from the map (arXiv:1709.01507)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = max(8, channels // _SE_RATIO)
        inner = nn.Linear(channels, hidden)
        # Means of normalised maps are near 0, so a unit with a negative bias would never be active.
        nn.init.zeros_(inner.bias)
        self.gate = nn.Sequential(inner, nn.ReLU(), nn.Linear(hidden, channels), nn.Sigmoid())

    def forward(self, features_BCHW: Tensor) -> Tensor:
        out: Tensor = features_BCHW * self.gate(features_BCHW.mean(dim=(2, 3)))[:, :, None, None]
        return out


class GlobalPoolingBias(nn.Module):
    """A bias [B, C, 1, 1] on each channel of a block, computed from the whole map (KataGo).

    The last layer begins at 0, so the block begins like a block without this bias.
    """

    def __init__(self, channels_in: int, channels: int, config: TrunkConfig) -> None:
        super().__init__()
        pooled = max(4, channels_in // _POOLED_SHARE)
        self.look = nn.Sequential(
            make_convolution(config, channels_in, pooled, 3),
            make_norm(config.norm, pooled),
            make_activation(config.activation),
        )
        self.pooling = GlobalPooling(pooled)
        self.scale = nn.Linear(self.pooling.outputs, channels)
        nn.init.zeros_(self.scale.weight)
        nn.init.zeros_(self.scale.bias)

    def forward(self, features_BCHW: Tensor) -> Tensor:
        out: Tensor = self.scale(self.pooling(self.look(features_BCHW)))
        return out[:, :, None, None]


class Block(nn.Module):
    """Base class of blocks: optional additions, and a shortcut where the shape changes.

    Args:
        pooled: add a bias from the whole map to the result of the first convolution.
    """

    def __init__(
        self, channels_in: int, channels: int, stride: int, config: TrunkConfig, pooled: bool
    ) -> None:
        super().__init__()
        self._build(channels_in, channels, stride, config)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or channels_in != channels:
            self.shortcut = self._make_shortcut(channels_in, channels, stride, config)
        self.excitation = SqueezeExcitation(channels) if config.squeeze_excitation else None
        self.whole_map = (
            GlobalPoolingBias(channels_in, self.conv1.out_channels, config) if pooled else None
        )

    conv1: nn.Conv2d

    def _build(self, channels_in: int, channels: int, stride: int, config: TrunkConfig) -> None:
        raise NotImplementedError

    def _make_shortcut(
        self, channels_in: int, channels: int, stride: int, config: TrunkConfig
    ) -> nn.Module:
        return nn.Sequential(
            make_convolution(config, channels_in, channels, 1, stride),
            make_norm(config.norm, channels),
        )

    def _first(self, features_BCHW: Tensor) -> Tensor:
        """The first convolution, with the bias from the whole map if there is one."""
        out: Tensor = self.conv1(features_BCHW)
        return out if self.whole_map is None else out + self.whole_map(features_BCHW)

    def _excited(self, features_BCHW: Tensor) -> Tensor:
        out: Tensor = features_BCHW if self.excitation is None else self.excitation(features_BCHW)
        return out


class PlainBlock(Block):
    """Two 3x3 convolutions with a shortcut (He et al., arXiv:1512.03385)."""

    def _build(self, channels_in: int, channels: int, stride: int, config: TrunkConfig) -> None:
        self.conv1 = make_convolution(config, channels_in, channels, 3, stride)
        self.norm1 = make_norm(config.norm, channels)
        self.act1 = make_activation(config.activation)
        self.conv2 = make_convolution(config, channels, channels, 3)
        self.norm2 = make_norm(config.norm, channels)
        self.act2 = make_activation(config.activation)

    def forward(self, features_BCHW: Tensor) -> Tensor:
        inner = self.act1(self.norm1(self._first(features_BCHW)))
        inner = self._excited(self.norm2(self.conv2(inner)))
        out: Tensor = self.act2(inner + self.shortcut(features_BCHW))
        return out


class PreactivationBlock(Block):
    """Norm and activation before each convolution, none on the shortcut (arXiv:1603.05027)."""

    def _build(self, channels_in: int, channels: int, stride: int, config: TrunkConfig) -> None:
        self.norm1 = make_norm(config.norm, channels_in)
        self.act1 = make_activation(config.activation)
        self.conv1 = make_convolution(config, channels_in, channels, 3, stride)
        self.norm2 = make_norm(config.norm, channels)
        self.act2 = make_activation(config.activation)
        self.conv2 = make_convolution(config, channels, channels, 3)

    def _make_shortcut(
        self, channels_in: int, channels: int, stride: int, config: TrunkConfig
    ) -> nn.Module:
        return make_convolution(config, channels_in, channels, 1, stride)

    def forward(self, features_BCHW: Tensor) -> Tensor:
        ready = self.act1(self.norm1(features_BCHW))
        inner = self.conv2(self.act2(self.norm2(self._first(ready))))
        # If the shape changes, the shortcut is a convolution of the normalised features.
        kept = features_BCHW if isinstance(self.shortcut, nn.Identity) else self.shortcut(ready)
        out: Tensor = self._excited(inner) + kept
        return out


class BottleneckBlock(Block):
    """Convolutions 1x1 to half the channels, 3x3, and 1x1 back.

    Source: He et al., arXiv:1512.03385, where it is a quarter of many more channels.
    """

    def _build(self, channels_in: int, channels: int, stride: int, config: TrunkConfig) -> None:
        inside = max(1, channels // _BOTTLENECK)
        self.conv1 = make_convolution(config, channels_in, inside, 1)
        self.norm1 = make_norm(config.norm, inside)
        self.act1 = make_activation(config.activation)
        self.conv2 = make_convolution(config, inside, inside, 3, stride)
        self.norm2 = make_norm(config.norm, inside)
        self.act2 = make_activation(config.activation)
        self.conv3 = make_convolution(config, inside, channels, 1)
        self.norm3 = make_norm(config.norm, channels)
        self.act3 = make_activation(config.activation)

    def forward(self, features_BCHW: Tensor) -> Tensor:
        inner = self.act1(self.norm1(self._first(features_BCHW)))
        inner = self.act2(self.norm2(self.conv2(inner)))
        inner = self._excited(self.norm3(self.conv3(inner)))
        out: Tensor = self.act3(inner + self.shortcut(features_BCHW))
        return out


BLOCKS: dict[str, type[Block]] = {
    "plain": PlainBlock,
    "preact": PreactivationBlock,
    "bottleneck": BottleneckBlock,
}
