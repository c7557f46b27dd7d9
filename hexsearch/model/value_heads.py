"""Value heads, from trunk features to one raw value: the families and their contract.

A head is an `nn.Module` from [B, C, H, W] to [B]. It ends in a linear output. Only the read-out
gives a meaning to this number.
"""

from __future__ import annotations

from copy import deepcopy

import torch
from torch import Tensor, nn

from hexsearch.config.section import is_import_path
from hexsearch.config.value_head import ValueHeadConfig
from hexsearch.errors import ContractError
from hexsearch.model.layers import make_activation, make_vector_norm
from hexsearch.model.plugins import build_plugin, plugin_code
from hexsearch.model.pooling import (
    AttentionPooling,
    Flatten,
    GlobalPooling,
    MeanMaxPooling,
    MeanPooling,
    Pooling,
)


class ValueHead(nn.Module):
    """An optional 1x1 convolution, a pooling, optional hidden layers, and one output.

    Args:
        side: rows of the feature map. Only `flatten` depends on it.
    """

    def __init__(self, config: ValueHeadConfig, side: int) -> None:
        super().__init__()
        self.reduce: nn.Module = nn.Identity()
        channels = config.channels or config.inputs
        if config.channels:
            self.reduce = nn.Sequential(
                nn.Conv2d(config.inputs, channels, 1, bias=False),
                nn.BatchNorm2d(channels),
                make_activation(config.activation),
            )
        self.pooling = _make_pooling(config, channels, side)
        self.layers = _make_layers(config, self.pooling.outputs)

    def forward(self, features_BCHW: Tensor) -> Tensor:
        """[B, C, H, W] to raw values [B]."""
        out: Tensor = self.layers(self.pooling(self.reduce(features_BCHW)))
        return out.squeeze(1)


def _make_pooling(config: ValueHeadConfig, channels: int, side: int) -> Pooling:
    if config.family == "flatten":
        return Flatten(channels, side)
    if config.family == "mean_max":
        return MeanMaxPooling(channels)
    if config.family == "gpool":
        return GlobalPooling(channels)
    if config.family == "attention":
        return AttentionPooling(channels, config.heads)
    return MeanPooling(channels)


def _make_layers(config: ValueHeadConfig, inputs: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for width in config.widths:
        layers.append(nn.Linear(inputs, width))
        if config.norm != "none":
            layers.append(make_vector_norm(config.norm, width))
        layers.append(make_activation(config.activation))
        inputs = width
    if config.dropout:
        layers.append(nn.Dropout(config.dropout))
    output = nn.Linear(inputs, 1)
    # With small initial weights the first answers are near 0.5 for every read-out.
    with torch.no_grad():
        output.weight.mul_(0.1)
        output.bias.zero_()
    return nn.Sequential(*layers, output)


def build_value_head(config: ValueHeadConfig, side: int) -> nn.Module:
    """The head of a configuration.

    A plug-in is called as `factory(inputs=C, **options)` and must return an `nn.Module`.

    Args:
        side: rows of the feature map.
    Raises:
        ContractError: a plug-in cannot be imported or built.
    """
    if is_import_path(config.family):
        return build_plugin("value_head", config.family, {"inputs": config.inputs}, config.options)
    return ValueHead(config, side)


def set_first_answer(head: nn.Module, raw: float) -> None:
    """Set the bias of a head's last layer, so that its first raw values are near `raw`.

    Raises:
        ContractError: a plug-in does not end in a linear layer with one output and a bias.
    """
    linear = [module for module in head.modules() if isinstance(module, nn.Linear)]
    if not linear or linear[-1].out_features != 1 or linear[-1].bias is None:
        raise ContractError(
            f"value head {type(head).__name__}: readout.start_at_prior needs a head whose last "
            "nn.Linear has one output and a bias. Set it to false"
        )
    with torch.no_grad():
        linear[-1].bias.fill_(raw)


def check_value_head(head: nn.Module, inputs: int, side: int, name: str) -> list[str]:
    """Faults of a value head as sentences: shape, finiteness, gradient to the trunk."""
    features = torch.randn(
        4, inputs, side, side, generator=torch.Generator().manual_seed(0), requires_grad=True
    )
    with plugin_code(f"value head '{name}': its forward()"):
        raw = deepcopy(head)(features)  # a forward pass changes batch-norm statistics
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
