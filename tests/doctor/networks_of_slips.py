"""Networks that are built wrongly, for the fifth set of slips."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from hexsearch.model.network import Network


class _Skipped(nn.Module):
    """A residual block that returns its shortcut."""

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.block = block

    def forward(self, x: Tensor) -> Tensor:
        self.block(x)
        return x


def branch_forgotten(network: Network) -> None:
    stages: Any = network.trunk.stages
    stages[0][0] = _Skipped(stages[0][0])


def wrapped_round(network: Network) -> None:
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            module.padding_mode = "circular"


class _OverChannels(nn.Module):
    """Global pooling over axis 1 instead of the cells."""

    def __init__(self, cells: int) -> None:
        super().__init__()
        self.output = nn.Linear(cells, 1)

    def forward(self, features: Tensor) -> Tensor:
        value: Tensor = self.output(features.mean(dim=1).flatten(1))[:, 0]
        return value


def pooled_over_channels(network: Network) -> None:
    network.value_head = _OverChannels(16)


def normalised_by_position(planes: Tensor) -> Tensor:
    return functional.instance_norm(planes)
