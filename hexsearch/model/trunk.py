"""Planes to trunk features: a residual network.

Legend: B batch, C channels, N side of the board, H and W side of the feature map.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from hexsearch.config.trunk import TrunkConfig

_ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "silu": nn.SiLU,
    "mish": nn.Mish,
    "gelu": nn.GELU,
}


def make_activation(name: str) -> nn.Module:
    """A fresh activation module, one for each place so that monitors can tell them apart."""
    return _ACTIVATIONS[name]()


def make_norm(name: str, channels: int) -> nn.Module:
    """Normalisation over a feature map [B, C, H, W]."""
    if name == "batch":
        return nn.BatchNorm2d(channels)
    if name == "group":
        groups = next(count for count in (8, 4, 2, 1) if channels % count == 0)
        return nn.GroupNorm(groups, channels)
    return nn.Identity()


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions round a shortcut (He et al., arXiv:1512.03385)."""

    def __init__(self, channels_in: int, channels: int, stride: int, config: TrunkConfig) -> None:
        super().__init__()
        bias = config.norm == "none"
        self.conv1 = nn.Conv2d(channels_in, channels, 3, stride, padding=1, bias=bias)
        self.norm1 = make_norm(config.norm, channels)
        self.act1 = make_activation(config.activation)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=bias)
        self.norm2 = make_norm(config.norm, channels)
        self.act2 = make_activation(config.activation)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or channels_in != channels:
            self.shortcut = nn.Sequential(
                nn.Conv2d(channels_in, channels, 1, stride, bias=bias),
                make_norm(config.norm, channels),
            )

    def forward(self, features_BCHW: Tensor) -> Tensor:
        inner = self.act1(self.norm1(self.conv1(features_BCHW)))
        inner = self.norm2(self.conv2(inner))
        out: Tensor = self.act2(inner + self.shortcut(features_BCHW))
        return out


class Trunk(nn.Module):
    """Stem, stages of residual blocks, and `features` channels at the end."""

    def __init__(self, config: TrunkConfig, planes: int) -> None:
        super().__init__()
        width = config.channels[0]
        bias = config.norm == "none"
        self.stem = nn.Sequential(
            nn.Conv2d(
                planes, width, config.stem_kernel, padding=config.stem_kernel // 2, bias=bias
            ),
            make_norm(config.norm, width),
            make_activation(config.activation),
        )
        stages = []
        for channels, blocks, stride in zip(
            config.channels, config.blocks, config.strides, strict=True
        ):
            stage = [ResidualBlock(width, channels, stride, config)]
            stage += [ResidualBlock(channels, channels, 1, config) for _ in range(blocks - 1)]
            stages.append(nn.Sequential(*stage))
            width = channels
        self.stages = nn.ModuleList(stages)
        self.widen: nn.Module = nn.Identity()
        if width != config.features:
            self.widen = nn.Sequential(
                nn.Conv2d(width, config.features, 1, bias=bias),
                make_norm(config.norm, config.features),
                make_activation(config.activation),
            )

    def forward(self, planes_BCNN: Tensor) -> Tensor:
        """[B, C, N, N] planes to [B, features, H, W]."""
        features: Tensor = self.stem(planes_BCNN)
        for stage in self.stages:
            features = stage(features)
        out: Tensor = self.widen(features)
        return out
