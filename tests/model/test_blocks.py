from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from hexsearch.config.section import build
from hexsearch.config.trunk import TrunkConfig
from hexsearch.model.blocks import BLOCKS, Block, SqueezeExcitation
from hexsearch.model.pooling import (
    AttentionPooling,
    Flatten,
    GlobalPooling,
    MeanMaxPooling,
    MeanPooling,
    Pooling,
)
from hexsearch.model.trunk import Trunk

KINDS = list(BLOCKS)


def trunk(planes: int = 2, **settings: Any) -> Trunk:
    torch.manual_seed(0)
    return Trunk(build(TrunkConfig, {"preset": "tiny", "features": 24, **settings}, ""), planes)


def make_block(kind: str, pooled: bool = False, **settings: Any) -> Block:
    torch.manual_seed(0)
    config = build(TrunkConfig, {"preset": "tiny", "block": kind, **settings}, "trunk")
    return BLOCKS[kind](8, 8, 1, config, pooled)


def some_features() -> Tensor:
    return torch.randn(5, 8, 6, 6, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("norm", ["batch", "layer", "group", "none"])
@pytest.mark.parametrize("extra", [{}, {"squeeze_excitation": True, "global_pooling_every": 2}])
def test_every_block_gives_the_map_that_its_strides_ask_for_and_a_gradient_everywhere(
    kind: str, norm: str, extra: dict[str, Any]
) -> None:
    settings = {"channels": [8, 16], "blocks": [1, 2], "strides": [1, 2], **extra}
    network = trunk(block=kind, norm=norm, activation="silu", **settings)
    features = network(torch.rand(4, 2, 7, 7))
    assert features.shape == (4, 24, 4, 4)
    features.square().sum().backward()
    silent = [
        name
        for name, weight in network.named_parameters()
        if weight.grad is None or not bool(weight.grad.any())
    ]
    # Behind a scale of 0 nothing is learnt until the scale has moved.
    assert [name for name in silent if "whole_map.look" not in name] == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_global_pooling_block_starts_as_a_block_without_it(kind: str) -> None:
    block = make_block(kind, pooled=True).eval()
    whole = block(some_features())
    look = block.whole_map
    assert look is not None
    block.whole_map = None
    torch.testing.assert_close(block(some_features()), whole, rtol=0, atol=0)
    block.whole_map = look
    nn.init.ones_(look.scale.weight)
    assert not torch.equal(block(some_features()), whole)


@pytest.mark.parametrize("kind", KINDS)
def test_a_global_pooling_block_sees_a_stone_at_the_far_end_of_the_board(kind: str) -> None:
    def reach(pooled: bool) -> bool:
        block = make_block(kind, pooled, norm="none")
        if block.whole_map is not None:
            nn.init.ones_(block.whole_map.scale.weight)
        features = torch.zeros(1, 8, 15, 15, requires_grad=True)
        block(features + 0.1)[0, :, 0, 0].sum().backward()
        assert features.grad is not None
        return bool(features.grad[0, :, 14, 14].any())

    assert reach(pooled=True) and not reach(pooled=False)


def test_every_kth_block_of_the_trunk_pools() -> None:
    network = trunk(channels=[8, 8], blocks=[3, 4], strides=[1, 1], global_pooling_every=3)
    blocks = [block for stage in network.stages for block in stage]  # type: ignore[attr-defined]
    assert [block.whole_map is not None for block in blocks] == [False, False, True] * 2 + [False]


def test_a_pre_activation_block_whose_last_convolution_is_0_passes_its_input_on() -> None:
    block = make_block("preact").eval()
    nn.init.zeros_(block.conv2.weight)  # type: ignore[union-attr, arg-type]
    torch.testing.assert_close(block(some_features()), some_features())


def test_squeeze_and_excitation_multiplies_each_channel_by_one_number_in_0_1() -> None:
    features = some_features()
    factors = (SqueezeExcitation(8)(features) / features).detach()
    torch.testing.assert_close(factors, factors[:, :, :1, :1].expand_as(factors))
    assert 0.0 < float(factors.min()) and float(factors.max()) < 1.0


def test_a_bottleneck_has_fewer_weights_than_a_plain_block() -> None:
    sizes = {
        kind: sum(w.numel() for w in make_block(kind).parameters())
        for kind in ("bottleneck", "plain")
    }
    assert sizes["bottleneck"] < sizes["plain"]


@pytest.mark.parametrize(
    "pooling",
    [
        MeanPooling(8),
        MeanMaxPooling(8),
        GlobalPooling(8),
        Flatten(8, 6),
        AttentionPooling(8, 4),
    ],
    ids=lambda pooling: type(pooling).__name__,
)
def test_a_pooling_says_how_many_numbers_it_makes(pooling: Pooling) -> None:
    features = some_features()
    pooled = pooling(features)
    assert pooled.shape == (5, pooling.outputs)
    channels_last = features.contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(pooling(channels_last), pooled)


def test_attention_starts_as_the_mean_and_can_end_as_a_single_cell() -> None:
    pooling, features = AttentionPooling(8, 2), some_features()
    torch.testing.assert_close(pooling(features), features.mean(dim=(2, 3)))
    # Scored by channel 0 alone, and steeply, a head looks at the cell where that is greatest.
    with torch.no_grad():
        pooling.score.weight[0, 0] = 1e4
    cell = int(features[0, 0].argmax())
    torch.testing.assert_close(pooling(features)[0, :4], features[0, :4].flatten(1)[:, cell])
    torch.testing.assert_close(pooling(features)[0, 4:], features[0, 4:].mean(dim=(1, 2)))


def test_global_pooling_has_katagos_three_parts() -> None:
    features = some_features()
    mean, scaled, peak = GlobalPooling(8)(features).chunk(3, dim=1)
    torch.testing.assert_close(mean, features.mean(dim=(2, 3)))
    torch.testing.assert_close(scaled, mean * (6 - 14) / 10)
    torch.testing.assert_close(peak, features.amax(dim=(2, 3)))
