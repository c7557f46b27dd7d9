"""Sound and faulty trunks and heads that are named by import path."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from hexsearch.config.section import build
from hexsearch.config.trial import TrialConfig
from hexsearch.errors import ContractError
from hexsearch.model.network import build_network

HERE = __name__


class PluggedTrunk(nn.Module):
    """Sound: as many channels as it is asked for."""

    def __init__(
        self, planes: int, side: int, features: int, kernel: int = 3, extra: int = 0
    ) -> None:
        super().__init__()
        self.built_for = (planes, side)
        self.layer = nn.Conv2d(planes, features + extra, kernel, padding=kernel // 2)

    def forward(self, planes: Tensor) -> Tensor:
        out: Tensor = self.layer(planes)
        return out


class FlatTrunk(PluggedTrunk):
    def forward(self, planes: Tensor) -> Tensor:
        return super().forward(planes).flatten(1)


class FrozenTrunk(PluggedTrunk):
    def forward(self, planes: Tensor) -> Tensor:
        return super().forward(planes).detach()


class NanTrunk(PluggedTrunk):
    def forward(self, planes: Tensor) -> Tensor:
        return super().forward(planes) / 0.0


class OblongTrunk(PluggedTrunk):
    def forward(self, planes: Tensor) -> Tensor:
        return super().forward(planes)[:, :, 1:]


class PluggedPolicy(nn.Module):
    """Sound: one logit for each cell."""

    def __init__(self, inputs: int, size: int, scale: float = 1.0, extra: int = 0) -> None:
        super().__init__()
        self.scale = scale
        self.layer = nn.Linear(inputs, size * size + extra)

    def forward(self, features: Tensor) -> Tensor:
        out: Tensor = self.scale * self.layer(features.amax(dim=(2, 3)))
        return out


class DetachedPolicy(PluggedPolicy):
    def forward(self, features: Tensor) -> Tensor:
        return super().forward(features.detach())


def network(**settings: Any) -> nn.Module:
    raw = {"trunk": "tiny", "encoder": {"edge_ring": False}, **settings}
    config = build(TrialConfig, raw, "trial")
    return build_network(config, planes=2, size=7, seed=0)


def test_a_plug_in_trunk_is_told_what_it_must_take_and_give() -> None:
    settings = {
        "trunk": {"family": f"{HERE}:PluggedTrunk", "features": 24},
        "value_head": "flatten 24->2->1",
        "encoder": {"edge_ring": True},
    }
    whole = network(**settings)
    assert whole.trunk.built_for == (2, 9)  # type: ignore[union-attr]
    output = whole(torch.rand(3, 2, 9, 9))
    assert output.value_raw.shape == (3,) and output.policy_logits.shape == (3, 49)


def test_a_plug_in_policy_head_gives_one_logit_for_each_cell() -> None:
    output = network(policy_head=f"{HERE}:PluggedPolicy")(torch.rand(3, 2, 7, 7))
    assert output.policy_logits.shape == (3, 49)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"trunk": "no_such_module:make"}, "trunk: cannot import module 'no_such_module'"),
        ({"trunk": "builtins:dict"}, r"made a dict, expected an nn\.Module"),
        ({"trunk": f"{HERE}:FlatTrunk"}, r"returned \[3, 25088\], expected \[3, 512, H, W\]"),
        ({"trunk": f"{HERE}:FrozenTrunk"}, "it cannot be trained"),
        ({"trunk": f"{HERE}:NanTrunk"}, "returned non-finite features"),
        ({"trunk": f"{HERE}:OblongTrunk"}, "makes a 6x7 map from a square board"),
        (
            {"trunk": {"family": f"{HERE}:PluggedTrunk", "options": {"extra": 1}}},
            "returned 513 channels, expected 512: set trunk.features",
        ),
        (
            {"trunk": {"family": f"{HERE}:PluggedTrunk", "options": {"depth": 1}}},
            "argument 'depth'; the factory is called with planes=2, side=7, features=512",
        ),
        (
            {"trunk": {"family": f"{HERE}:PluggedTrunk", "options": {"side": 1}}},
            "trunk.options: hexsearch itself gives side; leave it out",
        ),
        (
            {"policy_head": {"family": f"{HERE}:PluggedPolicy", "options": {"extra": 1}}},
            r"returned \[3, 50\], expected \[3, 49\]: one logit for each cell",
        ),
        ({"policy_head": f"{HERE}:DetachedPolicy"}, "passes no gradient to the trunk"),
    ],
    ids=str,
)
def test_a_broken_plug_in_is_told_what_to_mend(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ContractError, match=message):
        network(**settings)
