from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from hexsearch.model.network import Network
from hexsearch.training.monitors import (
    ActivationHealth,
    ActivationMonitor,
    GradientHealth,
    GradientMonitor,
    judge,
)


class Scale(nn.Module):
    """Multiplies by a weight for each of its units."""

    def __init__(self, *weights: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(weights))

    def forward(self, values: Tensor) -> Tensor:
        return values * self.weight


def hand_made() -> Network:
    return Network(trunk=Scale(3.0, 4.0), value_head=Scale(2.0, 0.0), policy_head=Scale(1.0, 1.0))


def give_gradients(network: Network) -> None:
    for part, gradient in (
        ("trunk", [3.0, 4.0]),
        ("value_head", [0.0, 2.0]),
        ("policy_head", [0.0, 0.0]),
    ):
        network.parts()[part].weight.grad = torch.tensor(gradient)


def test_norms_are_true_l2_norms_of_each_part_before_clipping() -> None:
    network = hand_made()
    give_gradients(network)
    monitor = GradientMonitor(network, clip=1.0)
    joint = torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
    monitor.before_step(joint)
    norms = monitor.health().norms
    assert norms["trunk"] == pytest.approx(5.0, rel=1e-4)
    assert norms["value_head"] == pytest.approx(2.0, rel=1e-4)
    assert norms["policy_head"] == 0.0
    assert monitor.health().clip_rate == 1.0


def test_the_update_ratio_is_the_change_over_the_weights() -> None:
    network = hand_made()
    give_gradients(network)
    monitor = GradientMonitor(network, clip=100.0)
    monitor.before_step(torch.tensor(5.4))
    torch.optim.SGD(network.parameters(), lr=0.1).step()
    monitor.after_step()
    ratios = monitor.health().update_ratio
    assert ratios["trunk"] == pytest.approx(0.5 / 5.0, rel=1e-4)
    assert ratios["value_head"] == pytest.approx(0.2 / 2.0, rel=1e-4)
    assert ratios["policy_head"] == 0.0
    assert monitor.health().clip_rate == 0.0


def test_activations_are_seen_only_while_watched() -> None:
    network = hand_made()
    monitor = ActivationMonitor(network)
    network.trunk(torch.ones(4, 2))
    assert monitor.health() == {}
    disarm = monitor.watch()
    network.trunk(torch.tensor([[1.0, 0.0], [3.0, 0.0]]))
    disarm()
    network.trunk(torch.full((4, 2), 99.0))
    seen = monitor.health()["trunk_features"]
    assert (seen.minimum, seen.maximum, seen.mean) == (0.0, 9.0, 3.0)
    assert seen.dead == 0.5


def test_a_channel_of_a_map_is_dead_only_if_it_is_silent_everywhere() -> None:
    network = hand_made()
    network.trunk = nn.Identity()
    monitor = ActivationMonitor(network)
    features = torch.zeros(2, 4, 3, 3)
    features[0, 1, 2, 2] = 1.0
    disarm = monitor.watch()
    network.trunk(features)
    disarm()
    assert monitor.health()["trunk_features"].dead == 0.75


def test_a_monitor_goes_on_from_its_state() -> None:
    network = hand_made()
    give_gradients(network)
    one, other = GradientMonitor(network, 1.0), GradientMonitor(network, 1.0)
    one.before_step(torch.tensor(5.0))
    one.after_step()
    other.load_state(one.state())
    assert other.health() == one.health()


HEALTHY = GradientHealth({"trunk": 1.0, "value_head": 0.5}, {"trunk": 0.001, "value_head": 0.01})
ALIVE = ActivationHealth(0.5, 1.0, 0.0, 4.0, dead=0.1, spread=0.5)


@pytest.mark.parametrize(
    ("gradients", "features", "spread", "value_loss", "verdict"),
    [
        (HEALTHY, ALIVE, 0.2, 0.20, "healthy"),
        (GradientHealth({"trunk": 1.0, "value_head": 0.0}), ALIVE, 0.2, 0.20, "vanishing"),
        (GradientHealth({"value_head": 1.0}, {"trunk": 0.0}), ALIVE, 0.2, 0.20, "vanishing"),
        (GradientHealth({"value_head": 1.0}, {"trunk": 0.4}), ALIVE, 0.2, 0.20, "exploding"),
        (HEALTHY, ActivationHealth(0, 0, 0, 0, dead=0.95, spread=0), 0.2, 0.20, "dead"),
        (HEALTHY, ALIVE, 0.001, 0.24, "constant_output"),
        (HEALTHY, ALIVE, 0.2, 0.26, "not_learning"),
    ],
)
def test_each_sickness_gets_its_verdict(
    gradients: GradientHealth,
    features: ActivationHealth,
    spread: float,
    value_loss: float,
    verdict: str,
) -> None:
    found = judge(gradients, {"trunk_features": features}, spread, value_loss, 0.247, progress=0.5)
    assert found.name == verdict
    assert bool(found.evidence) == (verdict != "healthy")


def test_answers_are_not_judged_before_the_warm_up_is_over() -> None:
    for progress, verdict in ((0.1, "healthy"), (0.5, "constant_output")):
        assert judge(HEALTHY, {"trunk_features": ALIVE}, 0.0, 0.25, 0.247, progress).name == verdict
