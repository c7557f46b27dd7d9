from __future__ import annotations

from typing import Any

import torch
from torch import nn

from hexsearch.config.section import build
from hexsearch.config.trial import TrialConfig
from hexsearch.model.cost import count_flops, measure_cost
from hexsearch.model.network import build_network, count_parameters


def test_flops_of_a_hand_made_network_are_counted_exactly() -> None:
    network = nn.Sequential(
        nn.Conv2d(2, 8, 3, padding=1),  # 7 * 7 places, 8 channels, 2 * 9 products
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Conv2d(8, 4, 1, stride=2),  # 4 * 4 places, 4 channels, 8 products
        nn.Flatten(),
        nn.Linear(64, 5),
    ).eval()
    products = 7 * 7 * 8 * 18 + 4 * 4 * 4 * 8 + 64 * 5
    with torch.no_grad():
        assert count_flops(network, torch.zeros(1, 2, 7, 7)) == 2 * products
        assert count_flops(network, torch.zeros(3, 2, 7, 7)) == 6 * products


def test_the_cost_of_a_network_leaves_it_as_it_was() -> None:
    network = build_network(build(TrialConfig, {"trunk": "tiny"}, "trial"), 2, 7, seed=0).train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    torch.manual_seed(0)
    expected = torch.rand(2)
    torch.manual_seed(0)
    cost = measure_cost(network, 2, 7, torch.device("cpu"), network)
    assert cost.parameters == count_parameters(network)
    assert cost.mflops > 0 and cost.microseconds > 0
    assert network.training and torch.equal(torch.rand(2), expected)
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_a_trunk_without_strides_costs_more_than_one_with() -> None:
    def flops(**settings: Any) -> int:
        config = build(TrialConfig, {"trunk": {"preset": "tiny", **settings}}, "trial")
        network = build_network(config, 2, 13, seed=0).eval()
        return count_flops(network, torch.zeros(1, 2, 13, 13))

    assert flops(strides=[2, 2]) < flops() < flops(strides=[1, 1])
