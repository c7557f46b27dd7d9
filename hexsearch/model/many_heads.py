"""Several value heads over one trunk and one policy head."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

from torch import Tensor, nn

from hexsearch.config.trial import TrialConfig
from hexsearch.model.network import Network, auxiliary_parts, build_network


class Parts(nn.ModuleDict):
    """Some parts of a network by name, which get an optimiser of their own."""

    def parts(self) -> dict[str, nn.Module]:
        """The modules by name."""
        return dict(self.items())


class ManyHeads(nn.Module):
    """K value heads with one trunk, one policy head and one set of auxiliary heads.

    The first head is named as in a `Network`. So with one head both have the same `state_dict`.

    Attributes:
        heads: the value heads in order.
        frozen: trunk and policy head do not change, in any mode.
    """

    def __init__(
        self,
        trunk: nn.Module,
        policy_head: nn.Module,
        heads: Sequence[nn.Module],
        auxiliary: nn.ModuleDict,
    ) -> None:
        super().__init__()
        self.trunk = trunk
        self._names = ["value_head", *(f"value_head_{n}" for n in range(2, len(heads) + 1))]
        for name, head in zip(self._names, heads, strict=True):
            self.add_module(name, head)
        self.policy_head = policy_head
        self.auxiliary = auxiliary
        self.frozen = False

    @property
    def heads(self) -> list[nn.Module]:
        return [self.get_submodule(name) for name in self._names]

    def freeze_shared(self) -> None:
        """Stop training trunk and policy head: no gradients, and always eval mode.

        There must be no auxiliary heads, since they only serve to train the trunk.
        """
        assert not self.auxiliary, "auxiliary heads on a trunk that does not learn"
        self.frozen = True
        for part in (self.trunk, self.policy_head):
            part.requires_grad_(False)
        self.train(self.training)

    def train(self, mode: bool = True) -> Self:
        """As for every module, but frozen parts stay in eval mode and keep their statistics."""
        super().train(mode)
        if self.frozen:
            self.trunk.eval()
            self.policy_head.eval()
        return self

    def shared(self, planes_BCNN: Tensor) -> tuple[Tensor, Tensor]:
        """Trunk features [B, C, H, W] and policy logits [B, N*N]."""
        features: Tensor = self.trunk(planes_BCNN)
        return features, self.policy_head(features)

    def value_raw(self, number: int, features: Tensor) -> Tensor:
        """[B] raw value of one head."""
        raw: Tensor = self.get_submodule(self._names[number])(features)
        return raw

    def with_head(self, number: int) -> Network:
        """The network of one head. It shares its modules with this one."""
        return Network(
            self.trunk, self.heads[number], self.policy_head, dict(self.auxiliary.items())
        )

    def shared_parts(self) -> dict[str, nn.Module]:
        """The parts that all value heads share, by name."""
        return {
            "trunk": self.trunk,
            "policy_head": self.policy_head,
            **auxiliary_parts(self.auxiliary),
        }


def build_many_heads(
    configs: Sequence[TrialConfig], planes: int, size: int, seed: int
) -> ManyHeads:
    """A newly initialised network on the CPU. Each head starts as in its own single network.

    Args:
        configs: configurations that differ only in value heads and read-outs.
        seed: as for `build_network`.
    Raises:
        ContractError: a plug-in breaks its contract.
    """
    networks = [build_network(config, planes, size, seed) for config in configs]
    first = networks[0]
    heads = [network.value_head for network in networks]
    return ManyHeads(first.trunk, first.policy_head, heads, first.auxiliary)
