"""Trunk, policy head and value head in one module, and what it answers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn

from hexsearch.config.import_path import is_import_path
from hexsearch.config.trial import TrialConfig
from hexsearch.errors import ContractError
from hexsearch.model.policy_head import build_policy_head, check_policy_head
from hexsearch.model.trunk import build_trunk, check_trunk, map_side
from hexsearch.model.value_heads import build_value_head, check_value_head

_TRUNK, _VALUE, _POLICY = range(3)  # streams of initial weights


class NetworkOutput(NamedTuple):
    """Raw answers; only a read-out turns `value_raw` into a probability.

    Attributes:
        policy_logits: [B, N*N].
        value_raw: [B].
    """

    policy_logits: Tensor
    value_raw: Tensor


class Parted(Protocol):
    """Modules whose parameters have owners with names."""

    def parts(self) -> dict[str, nn.Module]:
        """The owners by name; together they own every parameter exactly once."""

    def parameters(self) -> Iterator[nn.Parameter]:
        """All of them."""


class Network(nn.Module):
    """Planes [B, C, N, N] to NetworkOutput."""

    def __init__(self, trunk: nn.Module, value_head: nn.Module, policy_head: nn.Module) -> None:
        super().__init__()
        self.trunk = trunk
        self.value_head = value_head
        self.policy_head = policy_head

    def forward(self, planes_BCNN: Tensor) -> NetworkOutput:
        features = self.trunk(planes_BCNN)
        return NetworkOutput(self.policy_head(features), self.value_head(features))

    def parts(self) -> dict[str, nn.Module]:
        """Trunk and heads by name; together they own every parameter exactly once."""
        return {
            "trunk": self.trunk,
            "policy_head": self.policy_head,
            "value_head": self.value_head,
        }


def build_network(config: TrialConfig, planes: int, size: int, seed: int) -> Network:
    """A freshly initialised network on the CPU.

    Each part draws its weights from a stream of its own, so that variants that differ only in
    the value head start with the same trunk and policy head. torch's global generator is left
    as it was.

    Args:
        planes: channels of the input. size: side of the board.
    Raises:
        ContractError: a plug-in breaks its contract.
    """

    def seeded(stream: int) -> None:
        torch.manual_seed((seed * 3 + stream) % 2**63)

    features = config.trunk.features
    side = size + 2 * config.encoder.edge_ring
    with torch.random.fork_rng(devices=[]):
        seeded(_TRUNK)
        trunk = build_trunk(config.trunk, planes, side)
        if is_import_path(config.trunk.family):
            _raise_any(check_trunk(trunk, config.trunk, planes, side))
        rows = map_side(trunk, planes, side)
        seeded(_VALUE)
        value_head = build_value_head(config.value_head, rows)
        seeded(_POLICY)
        policy_head = build_policy_head(config.policy_head, features, size)
        _raise_any(
            [
                *check_value_head(value_head, features, rows, config.value_head.name),
                *check_policy_head(policy_head, features, size, rows, config.policy_head.name),
            ]
        )
    return Network(trunk, value_head, policy_head)


def _raise_any(problems: list[str]) -> None:
    if problems:
        raise ContractError("\n".join(problems))


def count_parameters(module: nn.Module) -> int:
    """Trainable numbers in a module."""
    return sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)
