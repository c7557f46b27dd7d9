"""Trunks, from planes to features: a family of residual networks.

Legend: B batch, C channels, N side of the board, H and W side of the feature map.
"""

from __future__ import annotations

from copy import deepcopy

import torch
from torch import Tensor, nn

from hexsearch.config.section import is_import_path
from hexsearch.config.trunk import TrunkConfig
from hexsearch.errors import ContractError
from hexsearch.model.blocks import BLOCKS
from hexsearch.model.equivariance import both_views, joined_views
from hexsearch.model.layers import make_activation, make_convolution, make_norm
from hexsearch.model.plugins import build_plugin, plugin_code


class Trunk(nn.Module):
    """Stem, stages of residual blocks, and `features` channels at the end."""

    def __init__(self, config: TrunkConfig, planes: int) -> None:
        super().__init__()
        self._equivariant = config.equivariant
        views = 2 if config.equivariant else 1  # the channels are divided between them
        width = config.channels[0] // views
        self.stem = nn.Sequential(
            # Ordinary, also if equivariant: both views of the planes turned back are the same.
            nn.Conv2d(
                planes,
                width,
                config.stem_kernel,
                padding=config.stem_kernel // 2,
                bias=config.norm == "none",
            ),
            make_norm(config.norm, width),
            make_activation(config.activation),
        )
        block_class = BLOCKS[config.block]
        stages, number, every = [], 0, config.global_pooling_every
        for whole, blocks, stride in zip(
            config.channels, config.blocks, config.strides, strict=True
        ):
            channels, stage = whole // views, list[nn.Module]()
            for place in range(blocks):
                number += 1
                pooled = every > 0 and number % every == 0
                stage.append(
                    block_class(width, channels, stride if place == 0 else 1, config, pooled)
                )
                width = channels
            stages.append(nn.Sequential(*stage))
        self.stages = nn.ModuleList(stages)
        # The output of pre-activation blocks has not been normalised before.
        self.finish: nn.Module = nn.Identity()
        if config.block == "preact":
            self.finish = nn.Sequential(
                make_norm(config.norm, width), make_activation(config.activation)
            )
        self.widen: nn.Module = nn.Identity()
        features = config.features // views
        if width != features:
            self.widen = nn.Sequential(
                make_convolution(config, width, features, 1),
                make_norm(config.norm, features),
                make_activation(config.activation),
            )
        _initialise(self)

    def forward(self, planes_BCNN: Tensor) -> Tensor:
        """[B, C, N, N] planes to [B, features, H, W]."""
        shown = both_views(planes_BCNN) if self._equivariant else planes_BCNN
        features: Tensor = self.stem(shown)
        for stage in self.stages:
            features = stage(features)
        out: Tensor = self.widen(self.finish(features))
        return joined_views(out) if self._equivariant else out


def build_trunk(config: TrunkConfig, planes: int, side: int) -> nn.Module:
    """The trunk of a configuration.

    A plug-in is called as `factory(planes=C, side=N, features=F, **options)`. It must return an
    `nn.Module` from [B, C, N, N] to [B, F, H, W], where it chooses H and W.

    Args:
        side: rows and columns of the planes, including the edge ring.
    Raises:
        ContractError: a plug-in cannot be imported or built.
    """
    if is_import_path(config.family):
        given = {"planes": planes, "side": side, "features": config.features}
        return build_plugin("trunk", config.family, given, config.options)
    return Trunk(config, planes)


def check_trunk(trunk: nn.Module, config: TrunkConfig, planes: int, side: int) -> list[str]:
    """Faults of a trunk as sentences: shape, finiteness, gradient to its weights."""
    generator = torch.Generator().manual_seed(0)
    shown = (torch.rand(3, planes, side, side, generator=generator) < 0.3).float()
    with plugin_code(f"trunk '{config.name}': its forward()"):
        trial = deepcopy(trunk)  # a forward pass changes batch-norm statistics
        features = trial(shown)
    who = f"trunk '{config.name}'"
    got = list(features.shape) if isinstance(features, Tensor) else type(features).__name__
    if not isinstance(features, Tensor) or features.ndim != 4 or len(features) != 3:
        return [f"{who} returned {got}, expected [3, {config.features}, H, W]"]
    if features.shape[1] != config.features:
        return [
            f"{who} returned {features.shape[1]} channels, expected {config.features}: "
            "set trunk.features, which the factory is called with"
        ]
    if not bool(torch.isfinite(features).all()):
        return [f"{who} returned non-finite features for random stones"]
    if not features.requires_grad:
        return [f"{who} has no weight that its features depend on: it cannot be trained"]
    weights = [weight for weight in trial.parameters() if weight.requires_grad]
    gradients = torch.autograd.grad(features.square().sum(), weights, allow_unused=True)
    if all(gradient is None or not bool(gradient.any()) for gradient in gradients):
        return [f"{who} passes no gradient to its weights"]
    return []


def map_side(trunk: nn.Module, planes: int, side: int) -> int:
    """Rows of the feature map that a trunk makes from planes of `side` rows.

    Raises:
        ContractError: the map is not square.
    """
    was_training = trunk.training
    with torch.no_grad():
        features = trunk.eval()(torch.zeros(1, planes, side, side))
    trunk.train(was_training)
    height, width = features.shape[2:]
    if height != width:
        raise ContractError(
            f"the trunk makes a {height}x{width} map from a square board; it must be square"
        )
    return int(height)


def _initialise(trunk: nn.Module) -> None:
    for module in trunk.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
