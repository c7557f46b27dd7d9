from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hexsearch.config.section import build
from hexsearch.config.trial import TrialConfig
from hexsearch.config.trunk import TrunkConfig
from hexsearch.config.value_head import FAMILIES, ValueHeadConfig
from hexsearch.errors import ConfigError


@pytest.mark.parametrize(
    "spelling",
    [
        "512->1",
        "512->32->1",
        "512->64->1",
        "512->128->64->1",
        "reduced 512->64->1",
        "flatten 512->4->128->1",
        "mean_max 512->64->1",
        "gpool reduced 512->32->64->1",
        "attention 512->1",
        "attention reduced 512->32->64->1 dropout 0.1 norm layer activation mish heads 8",
    ],
)
def test_a_head_is_named_as_it_is_spelled(spelling: str) -> None:
    assert build(ValueHeadConfig, spelling, "value_head").name == spelling


def test_the_spelling_and_the_mapping_of_a_head_are_the_same() -> None:
    spelled = build(ValueHeadConfig, "512->128->64->1", "")
    written = build(ValueHeadConfig, {"family": "mlp", "widths": [128, 64]}, "")
    assert spelled == written


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ("reduced 512->1", "number of channels is missing"),
        ("flatten 512->1", "the number of channels is missing, as in 'flatten 512->4->128->1'"),
        ("flatten reduced 512->4->1", "flatten always reduces"),
        ("512->64->1 dropout much", "dropout 'much' is not a number"),
        ("512->64->1 norm layer norm batch", "a setting is given twice"),
        ("512->64->1 norm group", "unknown value 'group'"),
        ("512->1 norm layer", "it would have no effect"),
        ("512->1 activation silu", "neither a hidden layer nor a convolution"),
        ("512->64->1 heads 2", "heads is only for family attention"),
        ("attention 512->1 heads 3", "it must divide the 512 channels"),
        ({"family": "mlp", "widths": [3], "channels": 2}, "has no 1x1 convolution"),
        ({"family": "mine:make", "widths": [3]}, "widths: settings of built-in families"),
        ({"family": "linear", "widths": [3]}, "has no hidden widths"),
        ({"family": "mlp"}, "needs widths"),
        ({"family": "bottleneck"}, "channels must be above 0"),
        ({"family": "mpl", "widths": [3]}, "unknown family 'mpl'"),
        ({"family": "mlp", "widths": [0]}, "every width must be from 1"),
        ({"options": {"a": 1}}, "options are for plug-ins"),
    ],
)
def test_a_head_that_makes_no_sense_is_refused(raw: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build(ValueHeadConfig, raw, "value_head")


WIDTH = st.integers(1, 64).map(lambda width: 8 * width)


@st.composite
def heads(draw: st.DrawFn) -> ValueHeadConfig:
    family = draw(st.sampled_from(FAMILIES))
    raw: dict[str, Any] = {"family": family, "inputs": draw(WIDTH)}
    if family in ("bottleneck", "flatten") or (
        family not in ("linear", "mlp") and draw(st.booleans())
    ):
        raw["channels"] = draw(WIDTH)
    if family != "linear":
        least = 1 if family == "mlp" else 0
        raw["widths"] = draw(st.lists(WIDTH, min_size=least, max_size=3))
    if raw.get("widths"):
        raw["norm"] = draw(st.sampled_from(["none", "batch", "layer"]))
        raw["activation"] = draw(st.sampled_from(["relu", "silu", "mish", "gelu"]))
    if family == "attention":
        raw["heads"] = draw(st.sampled_from([1, 2, 4, 8]))
    raw["dropout"] = draw(st.floats(0.0, 0.99))
    return build(ValueHeadConfig, raw, "value_head")


@given(heads())
def test_the_name_of_a_head_stands_for_all_of_it(head: ValueHeadConfig) -> None:
    assert build(ValueHeadConfig, head.name, "value_head") == head
    assert build(ValueHeadConfig, head.model_dump(), "value_head") == head


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ("smal", "unknown trunk preset 'smal'"),
        ({"family": "resnext"}, "unknown family 'resnext'"),
        ({"options": {"a": 1}}, "the built-in trunk has none"),
        ({"preset": "tiny", "global_pooling_every": 3}, "there are 2 blocks: none would pool"),
        ({"family": "mine:make", "norm": "group"}, "norm: settings of the built-in trunk"),
        ({"strides": [1, 2, 0, 2]}, "every entry must be 1 or more"),
    ],
)
def test_a_trunk_that_makes_no_sense_is_refused(raw: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build(TrunkConfig, raw, "trunk")


def test_resnet18_is_the_network_that_would_not_learn() -> None:
    trunk = build(TrunkConfig, "resnet18", "trunk")
    assert trunk.stem_kernel == 5
    assert trunk.channels == (64, 128, 256, 512)
    assert trunk.blocks == (2, 2, 2, 2)
    assert trunk.strides == (1, 2, 2, 2)
    assert trunk.features == 512


def test_stages_of_unequal_length_are_refused_with_their_lengths() -> None:
    with pytest.raises(ConfigError, match="have 2, 4 and 4 entries"):
        build(TrunkConfig, {"channels": [8, 8]}, "trunk")


def test_an_import_path_is_taken_for_a_plug_in() -> None:
    names = {
        "trunk": "mine.trunks:make",
        "value_head": "mine.heads:make",
        "policy_head": "mine.heads:policy",
        "readout": "mine:readout",
    }
    config = build(TrialConfig, names, "")
    assert config.trunk.family == config.trunk.name == "mine.trunks:make"
    assert config.policy_head.family == "mine.heads:policy"
    assert config.value_head.family == "mine.heads:make"
    assert config.readout.name == "mine:readout"


def test_a_configuration_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        TrialConfig().batch_size = 3  # type: ignore[misc]


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({"ownership": -0.1}, "trial.auxiliary.ownership: must be 0 or more"),
        ({"owner": 0.1}, "trial.auxiliary.owner: unknown key; did you mean 'ownership'?"),
        ({"future_stones": 0.1}, "trial.auxiliary.future_stones: expected a mapping"),
        ({"future_stones": {"plies": 0}}, "trial.auxiliary.future_stones.plies"),
    ],
)
def test_a_wrong_auxiliary_weight_is_named(raw: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        build(TrialConfig, {"auxiliary": raw}, "trial")
    assert message in str(caught.value)
