"""Trunk features to one raw value for each position: the head families and their names.

A head is an `nn.Module` from [B, C, H, W] to [B]. It ends in a plain linear output; what that
number means is the read-out's business.
"""

from __future__ import annotations

from copy import deepcopy

import torch
from torch import Tensor, nn

from hexsearch.config.import_path import is_import_path
from hexsearch.config.value_head import ValueHeadConfig
from hexsearch.errors import ContractError
from hexsearch.model.plugins import import_factory


class MlpHead(nn.Module):
    """Mean pooling, then linear layers with ReLU between: `512->1`, `512->64->1`, ..."""

    def __init__(self, inputs: int, widths: tuple[int, ...], dropout: float) -> None:
        super().__init__()
        self.layers = _mlp(inputs, widths, dropout)

    def forward(self, features_BCHW: Tensor) -> Tensor:
        pooled = features_BCHW.mean(dim=(2, 3))
        out: Tensor = self.layers(pooled)
        return out.squeeze(1)


class BottleneckHead(nn.Module):
    """A 1x1 convolution to few channels before the pooling: `reduced 512->64->1`."""

    def __init__(self, inputs: int, channels: int, widths: tuple[int, ...], dropout: float) -> None:
        super().__init__()
        self.reduce = nn.Sequential(
            nn.Conv2d(inputs, channels, 1, bias=False), nn.BatchNorm2d(channels), nn.ReLU()
        )
        self.layers = _mlp(channels, widths, dropout)

    def forward(self, features_BCHW: Tensor) -> Tensor:
        pooled = self.reduce(features_BCHW).mean(dim=(2, 3))
        out: Tensor = self.layers(pooled)
        return out.squeeze(1)


def _mlp(inputs: int, widths: tuple[int, ...], dropout: float) -> nn.Sequential:
    layers: list[nn.Module] = []
    for width in widths:
        layers += [nn.Linear(inputs, width), nn.ReLU()]
        inputs = width
    if dropout:
        layers.append(nn.Dropout(dropout))
    output = nn.Linear(inputs, 1)
    # A small start keeps the first answers near 0.5 for every read-out.
    with torch.no_grad():
        output.weight.mul_(0.1)
        output.bias.zero_()
    return nn.Sequential(*layers, output)


def build_value_head(config: ValueHeadConfig) -> nn.Module:
    """The head of a configuration.

    A plug-in is called as `factory(inputs=C, **options)` and must give an `nn.Module`.

    Raises:
        ContractError: a plug-in cannot be imported or built.
    """
    if is_import_path(config.family):
        factory = import_factory(config.family, "value_head.family")
        try:
            head = factory(inputs=config.inputs, **config.options)
        except TypeError as error:
            raise ContractError(
                f"value_head {config.family}: {error}; it is called with inputs={config.inputs} "
                "and value_head.options"
            ) from error
        if not isinstance(head, nn.Module):
            raise ContractError(
                f"value_head {config.family}: made a {type(head).__name__}, expected an nn.Module"
            )
        return head
    if config.family == "bottleneck":
        return BottleneckHead(config.inputs, config.channels, config.widths, config.dropout)
    return MlpHead(config.inputs, config.widths, config.dropout)


def check_value_head(head: nn.Module, inputs: int, name: str) -> list[str]:
    """What is wrong with a head, in words: shape, finiteness, gradient to the trunk."""
    features = torch.randn(
        4, inputs, 2, 2, generator=torch.Generator().manual_seed(0), requires_grad=True
    )
    # On a copy: a forward pass moves batch-norm statistics.
    raw = deepcopy(head)(features)
    if not isinstance(raw, Tensor) or raw.shape != (4,):
        got = list(raw.shape) if isinstance(raw, Tensor) else type(raw).__name__
        hint = ": drop the last axis in its forward()" if got == [4, 1] else ""
        return [f"value head '{name}' returned {got}, expected [4]{hint}"]
    if not bool(torch.isfinite(raw).all()):
        return [f"value head '{name}' returned non-finite values for standard normal features"]
    if not raw.requires_grad:
        return [f"value head '{name}' passes no gradient to the trunk: its result is detached"]
    (gradient,) = torch.autograd.grad(raw.sum(), features, allow_unused=True)
    if gradient is None or not bool(gradient.abs().sum() > 0):
        return [f"value head '{name}' passes no gradient to the trunk"]
    return []
