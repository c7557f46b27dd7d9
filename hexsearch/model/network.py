"""Trunk, policy head and value head in one module, and its output."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn

from hexsearch.config.auxiliary import AUXILIARY_HEADS
from hexsearch.config.section import is_import_path
from hexsearch.config.trial import TrialConfig
from hexsearch.errors import ContractError
from hexsearch.model.auxiliary import build_auxiliary_head
from hexsearch.model.equivariance import TwoViewHead
from hexsearch.model.policy_head import build_policy_head, check_policy_head
from hexsearch.model.trunk import build_trunk, check_trunk, map_side
from hexsearch.model.value_heads import build_value_head, check_value_head
from hexsearch.model.whole_network import whole_parts

_TRUNK, _VALUE, _POLICY = range(3)  # random streams of the initial weights
_AUXILIARY = 1 << 40  # first stream of the auxiliary heads, far from the streams of other seeds


class NetworkOutput(NamedTuple):
    """Raw outputs. Only a read-out turns `value_raw` into a probability.

    Attributes:
        policy_logits: [B, N*N], before masking and softmax.
        value_raw: [B].
        auxiliary: outputs by auxiliary head, [B] or [B, 3, N*N]; None unless requested.
    """

    policy_logits: Tensor
    value_raw: Tensor
    auxiliary: dict[str, Tensor] | None = None


class Parted(Protocol):
    """A module whose parameters belong to parts with names."""

    def parts(self) -> dict[str, nn.Module]:
        """The parts by name. Every parameter belongs to exactly one of them."""

    def parameters(self) -> Iterator[nn.Parameter]:
        """All parameters."""


class Network(nn.Module):
    """Planes [B, C, N, N] to NetworkOutput.

    Args:
        auxiliary: heads that are used in training only, by name.
    """

    def __init__(
        self,
        trunk: nn.Module,
        value_head: nn.Module,
        policy_head: nn.Module,
        auxiliary: Mapping[str, nn.Module] | None = None,
    ) -> None:
        super().__init__()
        self.trunk = trunk
        self.value_head = value_head
        self.policy_head = policy_head
        self.auxiliary = nn.ModuleDict(auxiliary)

    def forward(self, planes_BCNN: Tensor, auxiliary: bool = False) -> NetworkOutput:
        """Raw outputs; those of the auxiliary heads only with `auxiliary`."""
        features = self.trunk(planes_BCNN)
        policy_logits, value_raw = self.policy_head(features), self.value_head(features)
        if not auxiliary:
            return NetworkOutput(policy_logits, value_raw)
        return NetworkOutput(policy_logits, value_raw, taught(self.auxiliary, features))

    def parts(self) -> dict[str, nn.Module]:
        """Trunk and heads by name. Every parameter belongs to exactly one of them."""
        return {
            "trunk": self.trunk,
            "policy_head": self.policy_head,
            "value_head": self.value_head,
            **auxiliary_parts(self.auxiliary),
        }


def taught(heads: nn.ModuleDict, features_BCHW: Tensor) -> dict[str, Tensor]:
    """Outputs of the auxiliary heads for trunk features, by name."""
    return {name: head(features_BCHW) for name, head in heads.items()}


def auxiliary_parts(heads: nn.ModuleDict) -> dict[str, nn.Module]:
    """Auxiliary heads by their names in `parts`."""
    return {f"{name}_head": head for name, head in heads.items()}


def build_network(config: TrialConfig, planes: int, size: int, seed: int) -> Network:
    """A newly initialised network on the CPU.

    Each part draws its weights from its own random stream. So variants that differ only in the
    value head, or in auxiliary heads, start with the same weights in all other parts. torch's
    global generator is not changed.

    Args:
        planes: channels of the input.
        size: rows of the board.
    Raises:
        ContractError: a plug-in breaks its contract.
    """

    def seeded(stream: int) -> None:
        torch.manual_seed((seed * 3 + stream) % 2**63)

    if config.network is not None:
        side = size + 2 * config.encoder.edge_ring
        with torch.random.fork_rng(devices=[]):
            seeded(_TRUNK)
            return Network(*whole_parts(config.network, planes, side, size))
    features, equivariant = config.trunk.features, config.trunk.equivariant
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
        policy_head = build_policy_head(config.policy_head, features, size, rows)
        auxiliary: dict[str, nn.Module] = {}
        for name in config.auxiliary.weights:
            seeded(_AUXILIARY + AUXILIARY_HEADS.index(name))
            auxiliary[name] = build_auxiliary_head(name, features, size, rows)
        if equivariant:
            value_head, policy_head = TwoViewHead(value_head), TwoViewHead(policy_head)
            auxiliary = {name: TwoViewHead(head) for name, head in auxiliary.items()}
        _raise_any(
            [
                *check_value_head(value_head, features, rows, config.value_head.name),
                *check_policy_head(policy_head, features, size, rows, config.policy_head.name),
            ]
        )
    return Network(trunk, value_head, policy_head, auxiliary)


def _raise_any(problems: list[str]) -> None:
    if problems:
        raise ContractError("\n".join(problems))


def count_parameters(module: nn.Module) -> int:
    """Number of weights in a module; for a network, those that its answers depend on.

    Auxiliary heads are not counted, since they are used in training only. Averaged weights are
    counted although they are not trained.
    """
    total = sum(parameter.numel() for parameter in module.parameters())
    if isinstance(module, Network):
        total -= count_parameters(module.auxiliary)
    return total
