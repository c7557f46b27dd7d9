"""Tests of what the doctor says of parts of a network that do not compute what is configured."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from hexsearch.data.archive import GameArchive
from hexsearch.doctor.checks.training.configured import check_configured
from hexsearch.model import blocks, pooling
from tests.doctor.conftest import every_tenth, pipeline, tiny
from tests.doctor.slips import ABSOLUTE, Inject, Slip, in_network, in_part, patched
from tests.doctor.test_yardstick import findings_on


def of_block(change: Callable[[Any, Tensor], Tensor]) -> Inject:
    """Another forward pass of all plain blocks."""
    return patched(blocks.PlainBlock, "forward", lambda _: change)


def inner(block: Any, features: Tensor) -> Tensor:
    """What a block adds to its shortcut."""
    first = block.act1(block.norm1(block._first(features)))
    out: Tensor = block._excited(block.norm2(block.conv2(first)))
    return out


def linear_first(block: Any, features: Tensor) -> Tensor:
    out: Tensor = block.norm2(block.conv2(block.norm1(block._first(features))))
    return block.act2(out + block.shortcut(features))  # type: ignore[no-any-return]


def norm_first(block: Any, features: Tensor) -> Tensor:
    first = block.act1(block.norm1(block._first(features)))
    return block.act2(block.conv2(block.norm2(first)) + block.shortcut(features))  # type: ignore[no-any-return]


def in_depth(network: nn.Module) -> None:
    for module in network.modules():
        if isinstance(module, blocks.PlainBlock):
            channels = module.conv2.out_channels
            module.conv2 = nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)


CASES: dict[str, tuple[Inject, str, dict[str, Any]]] = {
    "no activation": (of_block(linear_first), "in block 1 its first activation is left out", {}),
    "norm first": (of_block(norm_first), "norm 2 comes before convolution 2", {}),
    "no shortcut": (
        of_block(lambda b, x: b.act2(inner(b, x))),
        "the shortcut .* is left out",
        {},
    ),
    "shortcut subtracted": (
        of_block(lambda b, x: b.act2(inner(b, x) - b.shortcut(x))),
        "the shortcut is subtracted",
        {},
    ),
    "no last activation": (
        of_block(lambda b, x: inner(b, x) + b.shortcut(x)),
        "its second activation is left out",
        {},
    ),
    "pooled by maximum": (
        patched(pooling.MeanPooling, "forward", lambda _: lambda self, x: x.amax(dim=(2, 3))),
        "pooled by maximum and not by mean",
        {},
    ),
    "value times 100": (
        in_part("value_head", after=lambda x: 100 * x),
        "output is 100 times that of its layers",
        {},
    ),
    "value times 0.05": (in_part("value_head", after=lambda x: x / 20), "is 0.05 times", {}),
    "other layers": (in_network(in_depth), "divided into .* groups", {}),
    "planes times 255": (in_part("trunk", before=lambda x: 255 * x), "255 times the right", {}),
    "values rolled": (
        in_part("value_head", after=lambda x: x.roll(1)),
        "each value is that of the row 1 places earlier",
        {},
    ),
    "never negative": (in_part("value_head", after=torch.abs), "which are never negative", {}),
}


@pytest.mark.parametrize("name", every_tenth(CASES))
def test_the_first_finding_names_the_change(name: str, archive: GameArchive) -> None:
    inject, words, settings = CASES[name]
    found = findings_on(Slip(inject, words, settings), archive)
    assert found and re.search(words, found[0].cause), found


@pytest.mark.slow
def test_a_constant_that_is_added_to_all_logits_is_no_finding(archive: GameArchive) -> None:
    inject = in_part("policy_head", after=lambda x: x.log_softmax(dim=1))
    assert not findings_on(Slip(inject, ""), archive)


HEADS = (
    "512->1",
    "512->128->64->1 norm batch activation silu",
    "reduced 512->64->1",
    "flatten 512->4->128->1",
    "mean_max 512->64->1 dropout 0.1",
    "gpool reduced 512->32->64->1",
    "attention reduced 512->32->64->1 heads 8 norm layer",
)
TRUNKS = [
    {"block": block, "norm": norm, "activation": activation, **more}
    for block, norm, activation, more in (
        ("plain", "batch", "relu", {}),
        ("plain", "none", "gelu", {"squeeze_excitation": True}),
        ("plain", "group", "mish", {"global_pooling_every": 2}),
        ("preact", "layer", "silu", {"squeeze_excitation": True, "global_pooling_every": 1}),
        ("preact", "batch", "relu", {"blocks": (2, 1)}),
        ("bottleneck", "batch", "mish", {"squeeze_excitation": True}),
        ("bottleneck", "group", "relu", {"global_pooling_every": 2}),
    )
]


@pytest.mark.parametrize(
    "settings",
    [
        *({"value_head": head} for head in HEADS),
        *({"trunk": {"preset": "tiny", **trunk}} for trunk in TRUNKS),
        {"trunk": "kata_like"},
        {"policy_head": {"family": "convolution", "weight": 1.0}},
        {"policy_head": {"family": "convolution", "weight": 1.0}, **ABSOLUTE},
        {"encoder": {"history": True, "edge_ring": False}},
    ],
    ids=str,
)
def test_every_part_computes_what_is_configured(
    settings: dict[str, Any], archive: GameArchive
) -> None:
    assert not list(check_configured(pipeline(archive, tiny(**settings))))
