"""Layers of trunk and heads, by their names in the configuration."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn
from torch.nn import functional

from hexsearch.config.trunk import TrunkConfig
from hexsearch.model.equivariance import TwoViewConvolution

_ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "silu": nn.SiLU,
    "mish": nn.Mish,
    "gelu": nn.GELU,
}


def make_activation(name: str) -> nn.Module:
    """A new activation module. Each place gets its own, so that monitors can tell them apart."""
    return _ACTIVATIONS[name]()


def make_convolution(
    config: TrunkConfig, channels_in: int, channels: int, kernel: int, stride: int = 1
) -> nn.Conv2d:
    """A convolution of a trunk that keeps the side of the map, up to the stride.

    Args:
        channels_in: channels of the map, or of one of its two views if the trunk is equivariant.
    """
    kind = TwoViewConvolution if config.equivariant else nn.Conv2d
    bias = config.norm == "none"  # a norm has a bias of its own
    return kind(channels_in, channels, kernel, stride, kernel // 2, bias=bias)


def make_norm(name: str, channels: int) -> nn.Module:
    """Normalisation over a feature map [B, C, H, W].

    `layer` takes mean and variance over the whole map of a position. This is a group norm with
    one group (Ba et al., arXiv:1607.06450, applied to convolutions).
    """
    if name == "batch":
        return nn.BatchNorm2d(channels)
    if name == "layer":
        return nn.GroupNorm(1, channels)
    if name == "group":
        groups = next(count for count in (8, 4, 2, 1) if channels % count == 0)
        return nn.GroupNorm(groups, channels)
    return nn.Identity()


class BatchNormVector(nn.BatchNorm1d):
    """Batch norm over vectors [B, C] that uses its running statistics for a batch of one.

    The last batch before a report may hold a single position, which has no variance.
    """

    def forward(self, input: Tensor) -> Tensor:
        if self.training and len(input) == 1:
            return functional.batch_norm(
                input, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
            )
        return super().forward(input)


def make_vector_norm(name: str, channels: int) -> nn.Module:
    """Normalisation over vectors [B, C]: `batch`, `layer` or `none`."""
    if name == "batch":
        return BatchNormVector(channels)
    return nn.LayerNorm(channels) if name == "layer" else nn.Identity()
