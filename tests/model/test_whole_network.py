"""A whole network of the user's own: its contract, its place in a space, and training on it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from hexsearch.config.files.json_schema import study_schema
from hexsearch.config.section import build
from hexsearch.config.study import StudyConfig
from hexsearch.config.trial import TrialConfig
from hexsearch.errors import ConfigError, ContractError
from hexsearch.model.network import build_network
from hexsearch.search.space import variant_key, with_values
from hexsearch.search.space_parsing import build_space
from hexsearch.study.preflight import check_components
from hexsearch.training.heads import check_heads

NETWORK = """
import random
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, planes, side, size, width=8):
        super().__init__()
        self.stem = nn.Conv2d(planes, width, 3, padding=1)
        self.norm = nn.BatchNorm2d(width)
        self.policy = nn.Linear(width, size * size)
        self.value = nn.Linear(width, 1)
        self.scale = 1.0
        {init}

    def forward(self, planes):
        features = torch.relu(self.norm(self.stem(planes))).mean(dim=(2, 3))
        policy, value = self.policy(features), self.scale * self.value(features)
        {forward}
        return policy, value
"""


@pytest.fixture(autouse=True)
def importable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)


def write(folder: Path, name: str, init: str = "pass", forward: str = "pass") -> str:
    (folder / f"{name}.py").write_text(NETWORK.format(init=init, forward=forward))
    return f"{name}:Net"


def trial(**settings: Any) -> TrialConfig:
    return build(TrialConfig, settings, "trial")


def checked(network: str, **search: Any) -> None:
    raw = {"question": "?", "trial": {"network": network}, "search": search}
    check_components(build_space(build(StudyConfig, raw, "")), size=5)


def test_a_sound_network_keeps_its_contract(tmp_path: Path) -> None:
    checked(write(tmp_path, "sound_net"))


@pytest.mark.parametrize(
    ("init", "forward", "said"),
    [
        ("pass", "value = value.expand(-1, 3)", r"returned value \[5, 3\], expected \[5\]"),
        ("pass", "policy = policy[:, :-1]", r"returned policy \[5, 24\], expected \[5, 25\]"),
        ("pass", "return policy", r"returned a Tensor, expected \(policy, value\)"),
        ("pass", "value = value.detach()", "no gradient of its value reaches a weight"),
        ("pass", "policy = policy.round().detach()", "no gradient of its policy reaches a weight"),
        ("pass", "value = value / 0", "returned a value that is not finite"),
        ("self.policy.weight.data.fill_(random.random())", "pass", "built twice from one seed"),
        ("pass", "policy = nn.functional.dropout(policy)", "differently in eval mode"),
        ("pass", "value = value - value.mean()", "alone and in a batch"),
        (
            "self.calls = [0]",
            "self.calls[0] += 1; value = value * self.calls[0]",
            "differently in eval mode",
        ),
    ],
)
def test_a_network_that_breaks_its_contract_is_refused(
    init: str, forward: str, said: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    name = f"broken_net_{request.node.callspec.indices['init']}"
    with pytest.raises(ContractError, match=said):
        checked(write(tmp_path, name, init, forward))


def test_what_is_learnt_outside_of_the_state_dict_is_refused(tmp_path: Path) -> None:
    init = "self.offset = torch.randn(1)"  # neither parameter nor buffer
    with pytest.raises(ContractError, match="stored and loaded"):
        checked(write(tmp_path, "forgetful_net", init, "value = value + self.offset"))


def test_each_searched_network_is_held_to_the_contract(tmp_path: Path) -> None:
    path = write(tmp_path, "picky_net", "assert width != 4, 'too narrow'")
    dimension = {"network.options.width": {"choice": [8, 4]}}
    with pytest.raises(ContractError, match="too narrow"):
        checked(path, **dimension)


@pytest.mark.parametrize("beside", ["trunk", "value_head"])
def test_a_network_is_refused_beside_a_part_that_it_replaces(beside: str) -> None:
    part = {"trunk": "tiny", "value_head": "512->1"}
    with pytest.raises(ConfigError, match=f"network is given beside {beside}: a whole network"):
        trial(network="some_net:build", **{beside: part[beside]})


@pytest.mark.parametrize(
    "settings",
    [
        {"policy_head": "heads:Own"},
        {"auxiliary": {"moves_left": 0.1}},
        {"readout": {"name": "bce", "start_at_prior": True}},
        {"optimiser": {"value_lr_factor": 2.0}},
    ],
)
def test_settings_of_parts_are_refused_for_a_whole_network(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="is one whole; leave it out"):
        trial(network="some_net:build", **settings)


def test_what_is_no_import_path_is_refused_in_words() -> None:
    with pytest.raises(ConfigError, match="'resnet' is not an import path"):
        trial(network="resnet")


def test_a_trial_is_read_back_as_it_was_written() -> None:
    config = trial(network={"family": "some_net:build", "options": {"width": 4}})
    written = config.model_dump(mode="json")
    assert "trunk" not in written and "value_head" not in written
    assert build(TrialConfig, written, "") == config
    assert "network" not in trial().model_dump()


def test_dimensions_reach_the_arguments_of_the_factory(tmp_path: Path) -> None:
    path = write(tmp_path, "searched_net")
    default = trial(network=path, encoder={"edge_ring": False})
    narrow, wide = (with_values(default, {"network.options.width": w}) for w in (4, 16))
    assert variant_key(narrow) != variant_key(wide)
    weights = [build_network(config, 2, 5, seed=0).trunk.state_dict() for config in (narrow, wide)]
    assert [w["inner.stem.weight"].shape[0] for w in weights] == [4, 16]


def test_a_search_may_choose_between_the_built_in_network_and_a_users_own() -> None:
    own = with_values(trial(), {"network": "some_net:build"})
    assert own.network is not None and own.head_name == "some_net:build"
    assert with_values(own, {"network": None}) == trial()
    with pytest.raises(ConfigError, match="network is given beside value_head"):
        with_values(trial(), {"network": "some_net:build", "value_head": "512->64->1"})


def test_heads_cannot_share_a_whole_network() -> None:
    configs = [trial(network="some_net:build", readout=name) for name in ("bce", "tanh_mse")]
    with pytest.raises(ConfigError, match="has no trunk that other value heads could share"):
        check_heads(configs, "joint")


def test_a_network_answers_through_the_parts_that_training_knows(tmp_path: Path) -> None:
    path = write(tmp_path, "answering_net")
    network = build_network(trial(network=path, encoder={"edge_ring": False}), 2, 5, seed=3).eval()
    planes = torch.rand(4, 2, 5, 5)
    policy, value = network.trunk.get_submodule("inner")(planes)
    output = network(planes)
    assert torch.equal(output.policy_logits, policy)
    assert torch.equal(output.value_raw, value[:, 0])
    again = build_network(trial(network=path, encoder={"edge_ring": False}), 2, 5, seed=3).eval()
    assert torch.equal(again(planes).value_raw, output.value_raw)


def test_the_schema_knows_networks() -> None:
    schema = study_schema()
    assert "network" in schema["$defs"]["TrialConfig"]["properties"]
    assert "network" in schema["properties"]["search"]["properties"]
