from __future__ import annotations

import pytest

from hexsearch.config.section import build
from hexsearch.config.trial import TrialConfig
from hexsearch.config.trunk import TrunkConfig
from hexsearch.config.value_head import ValueHeadConfig
from hexsearch.errors import ConfigError


@pytest.mark.parametrize(
    "spelling",
    ["512->1", "512->32->1", "512->64->1", "512->128->64->1", "reduced 512->64->1"],
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
        ("reduced 512->1", "needs the channels"),
        ({"family": "linear", "widths": [3]}, "has no hidden widths"),
        ({"family": "mlp"}, "needs widths"),
        ({"family": "bottleneck"}, "needs it above 0"),
        ({"family": "mpl", "widths": [3]}, "unknown family 'mpl'"),
        ({"family": "mlp", "widths": [0]}, "every width must be 1 or more"),
        ({"options": {"a": 1}}, "options are for plug-ins"),
    ],
)
def test_a_head_that_makes_no_sense_is_refused(raw: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build(ValueHeadConfig, raw, "value_head")


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
    config = build(TrialConfig, {"value_head": "mine.heads:make", "readout": "mine:readout"}, "")
    assert config.value_head.family == "mine.heads:make"
    assert config.readout.name == "mine:readout"


def test_a_configuration_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        TrialConfig().batch_size = 3  # type: ignore[misc]
