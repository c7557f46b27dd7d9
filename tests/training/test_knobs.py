"""Each setting of the model's sections changes the result; a new setting must be added here."""

from __future__ import annotations

from typing import Any

import pytest
from torch import Tensor, nn

from hexsearch.config.auxiliary import AuxiliaryConfig, FutureStonesConfig
from hexsearch.config.policy_head import PolicyHeadConfig
from hexsearch.config.readout import ReadoutConfig
from hexsearch.config.section import Section, build
from hexsearch.config.trial import EncoderConfig, TrialConfig
from hexsearch.config.trunk import TrunkConfig
from hexsearch.config.value_head import ValueHeadConfig
from hexsearch.data.dataset import Dataset
from hexsearch.model.readout import Bce
from hexsearch.training.trial import Trial

HERE = __name__
PLUGINS = "tests.model.test_plugins"
TINY = {"preset": "tiny", "blocks": [1, 2], "features": 32}
MLP = {"family": "mlp", "inputs": 32, "widths": [16]}


class PluggedHead(nn.Module):
    def __init__(self, inputs: int, scale: float = 1.0) -> None:
        super().__init__()
        self.layer, self.scale = nn.Linear(inputs, 1), scale

    def forward(self, features: Tensor) -> Tensor:
        out: Tensor = self.layer(features.amax(dim=(2, 3))) * self.scale
        return out.squeeze(1)


class PluggedReadout(Bce):
    def __init__(self, scale: float = 1.0) -> None:
        self.scale = scale

    def loss(self, raw: Tensor, target: Tensor) -> Tensor:
        return self.scale * super().loss(raw, target)


def trunk(**settings: Any) -> dict[str, Any]:
    return {"trunk": {**TINY, **settings}}


def head(**settings: Any) -> dict[str, Any]:
    return {"value_head": {**MLP, **settings}}


BASE = {**trunk(), **head()}
# Blue begins and wins more often, so the prior is not 50% where colours stay what they are.
ABSOLUTE = {**BASE, "encoder": {"perspective": "absolute"}, "augment": False}
ATTENTION = {"family": "attention", "widths": []}
FUTURE = {**BASE, "auxiliary": {"future_stones": {"weight": 1.0}}}
# By section and field: two settings of a trial that differ in that field.
KNOBS: dict[type[Section], dict[str, tuple[dict[str, Any], dict[str, Any]]]] = {
    TrunkConfig: {
        "family": (BASE, {"trunk": {"family": f"{PLUGINS}:PluggedTrunk", "features": 32}}),
        "preset": ({"trunk": "tiny", "value_head": "512->1"}, {"trunk": "small"}),
        "stem_kernel": (BASE, trunk(stem_kernel=5)),
        "channels": (BASE, trunk(channels=[8, 24])),
        "blocks": (BASE, trunk(blocks=[2, 2])),
        "strides": (BASE, trunk(strides=[1, 1])),
        "block": (BASE, trunk(block="preact")),
        "squeeze_excitation": (BASE, trunk(squeeze_excitation=True)),
        "global_pooling_every": (BASE, trunk(global_pooling_every=2)),
        "equivariant": (BASE, trunk(equivariant=True)),
        "features": (BASE, {**trunk(features=16), **head(inputs=16)}),
        "norm": (BASE, trunk(norm="layer")),
        "activation": (BASE, trunk(activation="mish")),
        "options": (
            {**BASE, "trunk": {"family": f"{PLUGINS}:PluggedTrunk", "features": 32}},
            {
                "trunk": {
                    "family": f"{PLUGINS}:PluggedTrunk",
                    "features": 32,
                    "options": {"kernel": 1},
                }
            },
        ),
    },
    ValueHeadConfig: {
        "family": (BASE, head(family="mean_max")),
        "inputs": (BASE, {**trunk(features=16), **head(inputs=16)}),
        "channels": (
            {**BASE, **head(family="bottleneck", channels=8)},
            head(family="bottleneck", channels=9),
        ),
        "widths": (BASE, head(widths=[16, 16])),
        "dropout": (BASE, head(dropout=0.5)),
        "norm": (BASE, head(norm="layer")),
        "activation": (BASE, head(activation="gelu")),
        "heads": ({**BASE, **head(**ATTENTION, heads=2)}, head(**ATTENTION, heads=4)),
        "options": (
            {**BASE, "value_head": {"family": f"{HERE}:PluggedHead", "inputs": 32}},
            {
                "value_head": {
                    "family": f"{HERE}:PluggedHead",
                    "inputs": 32,
                    "options": {"scale": 2.0},
                }
            },
        ),
    },
    PolicyHeadConfig: {
        "family": (BASE, {"policy_head": f"{PLUGINS}:PluggedPolicy"}),
        "weight": (BASE, {"policy_head": {"weight": 0.1}}),
        "options": (
            {**BASE, "policy_head": f"{PLUGINS}:PluggedPolicy"},
            {"policy_head": {"family": f"{PLUGINS}:PluggedPolicy", "options": {"scale": 2.0}}},
        ),
    },
    ReadoutConfig: {
        "name": (BASE, {"readout": "tanh_mse"}),
        "label_smoothing": (BASE, {"readout": {"label_smoothing": 0.1}}),
        "start_at_prior": (ABSOLUTE, {"readout": {"start_at_prior": True}}),
        "decode": (
            {**BASE, "readout": "raw_mse"},
            {"readout": {"name": "raw_mse", "decode": "mismatched"}},
        ),
        "options": (
            {**BASE, "readout": f"{HERE}:PluggedReadout"},
            {"readout": {"name": f"{HERE}:PluggedReadout", "options": {"scale": 3.0}}},
        ),
    },
    AuxiliaryConfig: {
        "moves_left": (BASE, {"auxiliary": {"moves_left": 0.5}}),
        "ownership": (BASE, {"auxiliary": {"ownership": 0.5}}),
        "winning_chain": (BASE, {"auxiliary": {"winning_chain": 0.5}}),
        "future_stones": (BASE, FUTURE),
    },
    FutureStonesConfig: {
        "weight": (FUTURE, {"auxiliary": {"future_stones": {"weight": 0.5}}}),
        "plies": (FUTURE, {"auxiliary": {"future_stones": {"weight": 1.0, "plies": 3}}}),
    },
    EncoderConfig: {
        "perspective": (BASE, {"encoder": {"perspective": "absolute"}}),
        "edge_ring": (BASE, {"encoder": {"edge_ring": False}}),
        "history": (BASE, {"encoder": {"history": True}}),
    },
}


def learned(dataset: Dataset, raw: dict[str, Any]) -> list[float]:
    """Answers on validation positions after three steps."""
    config = build(TrialConfig, {"batch_size": 32, **raw}, "trial")
    trial = Trial.of(config, dataset, max_positions=96, seed=0)
    trial.train_to(96)
    evaluation, policy_loss = trial.evaluate()
    return [*evaluation.win_prob_red[:200].tolist(), policy_loss]


@pytest.mark.parametrize("section", KNOBS, ids=lambda section: section.__name__)
def test_the_table_holds_every_setting(section: type[Section]) -> None:
    assert set(KNOBS[section]) == set(section.model_fields)


@pytest.mark.parametrize(
    ("base", "change"),
    [
        pytest.param(*pair, id=f"{section.__name__}.{name}")
        for section, fields in KNOBS.items()
        for name, pair in fields.items()
    ],
)
def test_each_setting_changes_what_is_learned(
    dataset: Dataset, base: dict[str, Any], change: dict[str, Any]
) -> None:
    assert learned(dataset, base) == learned(dataset, base)
    assert learned(dataset, base) != learned(dataset, {**base, **change})
