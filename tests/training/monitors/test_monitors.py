from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from hexsearch.model.network import Network
from hexsearch.training.metrics import SliceMetrics, slice_metrics
from hexsearch.training.monitors.activations import (
    ActivationHealth,
    ActivationMonitor,
    effective_rank,
    scatter,
)
from hexsearch.training.monitors.gradients import GradientHealth, GradientMonitor
from hexsearch.training.monitors.verdict import VERDICTS, find_verdict


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


def test_norms_are_true_l2_norms_of_each_part_before_and_after_clipping() -> None:
    network = hand_made()
    give_gradients(network)
    monitor = GradientMonitor(network, clip=1.0)
    monitor.before_clipping()
    joint = torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
    monitor.before_step(joint)
    health = monitor.health()
    assert health.norms == {"trunk": 5.0, "policy_head": 0.0, "value_head": 2.0}
    scale = 1.0 / 29**0.5
    assert health.clipped_norms["trunk"] == pytest.approx(5.0 * scale, rel=1e-4)
    assert health.clipped_norms["value_head"] == pytest.approx(2.0 * scale, rel=1e-4)
    assert health.clip_rate == 1.0


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


@pytest.mark.parametrize(
    ("policy_weights", "cosine"), [((1.0, 1.0), 1.0), ((-1.0, -1.0), -1.0), ((1.0, -1.0), 0.0)]
)
def test_the_cosine_is_that_of_the_two_losses_gradients_on_the_trunk(
    policy_weights: tuple[float, float], cosine: float
) -> None:
    network = hand_made()
    features = network.trunk(torch.ones(1, 2))
    value = features.sum()  # gradient (1, 1) on the trunk's two weights
    policy = 3.0 * (features * torch.tensor(policy_weights)).sum()
    monitor = GradientMonitor(network, clip=1.0)
    monitor.compare_losses(8.0 * value, 8.0 * policy, scale=8.0)
    health = monitor.health()
    assert health.trunk_cosine == pytest.approx(cosine, abs=1e-6)
    assert health.trunk_value_norm == pytest.approx(2**0.5)
    assert health.trunk_policy_norm == pytest.approx(3 * 2**0.5)
    torch.autograd.backward(value + policy)  # the graph is still there


def test_a_loss_that_does_not_reach_the_trunk_has_norm_0() -> None:
    network = hand_made()
    features = network.trunk(torch.ones(1, 2))
    monitor = GradientMonitor(network, clip=1.0)
    monitor.compare_losses(network.value_head(features.detach()).sum(), features.sum())
    health = monitor.health()
    assert (health.trunk_value_norm, health.trunk_cosine) == (0.0, 0.0)


def test_a_step_that_overflowed_leaves_the_running_means_alone() -> None:
    network = hand_made()
    give_gradients(network)
    monitor = GradientMonitor(network, clip=1.0)
    monitor.before_clipping()
    before = monitor.health().norms
    network.parts()["trunk"].weight.grad = torch.tensor([float("inf"), 0.0])
    monitor.before_clipping()
    assert monitor.health().norms["trunk"] == before["trunk"]


def watch(network: Network, planes: Tensor, outcome: Tensor | None = None) -> ActivationMonitor:
    """One look at the trunk and the value head."""
    monitor = ActivationMonitor(network, torch.sigmoid)
    with monitor.watching(torch.zeros(len(planes)) if outcome is None else outcome):
        network.value_head(network.trunk(planes))
    return monitor


def test_activations_are_seen_only_while_watched() -> None:
    network = hand_made()
    network.trunk(torch.ones(4, 2))
    monitor = watch(network, torch.tensor([[1.0, 0.0], [3.0, 0.0]]))
    network.trunk(torch.full((4, 2), 99.0))
    seen = monitor.health()["trunk_features"]
    assert (seen.minimum, seen.maximum, seen.mean) == (0.0, 9.0, 3.0)
    assert seen.dead == 0.5
    assert seen.std == pytest.approx(np.std([3.0, 0.0, 9.0, 0.0]))
    assert seen.spread == pytest.approx((3.0 + 0.0) / 2)
    np.testing.assert_allclose(
        seen.quantiles, np.quantile([3.0, 0.0, 9.0, 0.0], [0.01, 0.25, 0.5, 0.75, 0.99]), rtol=1e-6
    )


def test_a_channel_of_a_map_is_dead_only_if_it_is_the_same_everywhere() -> None:
    features = torch.zeros(2, 4, 3, 3)
    features[0, 1, 2, 2] = 1.0
    features[:, 3] = 7.0  # a unit that never changes says nothing either
    network = Network(nn.Identity(), value_head=nn.Identity(), policy_head=nn.Identity())
    assert watch(network, features).health()["trunk_features"].dead == 0.75


def test_the_saturated_share_of_bounded_activations_and_answers() -> None:
    trunk = nn.Sequential(nn.Identity(), nn.Tanh())
    network = Network(trunk, value_head=nn.Flatten(0), policy_head=nn.Identity())
    planes = torch.tensor([[9.0], [-9.0], [0.3], [0.1]])
    seen = watch(network, planes).health()
    assert seen["trunk.1"].saturated == 0.5
    assert seen["value_raw"].saturated == 0.0
    network.trunk = nn.Identity()
    assert watch(network, planes * 2).health()["value_raw"].saturated == 0.5


def test_the_answers_correlation_with_the_labels() -> None:
    network = Network(nn.Identity(), value_head=nn.Flatten(0), policy_head=nn.Identity())
    planes = torch.tensor([[-1.0], [0.5], [2.0], [-0.5]])
    outcome = torch.tensor([0.0, 1.0, 1.0, 0.0])
    seen = watch(network, planes, outcome).health()["value_raw"]
    expected = np.corrcoef(torch.sigmoid(planes).flatten(), outcome)[0, 1]
    assert seen.label_correlation == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("rank", [1, 2, 5])
def test_the_effective_rank_counts_equally_strong_directions(rank: int) -> None:
    directions = torch.linalg.qr(torch.randn(40, rank, generator=torch.Generator().manual_seed(1)))
    weights = torch.linalg.qr(
        torch.randn(64, rank + 1, generator=torch.Generator().manual_seed(2))
        - torch.ones(64, rank + 1)
    )[0]
    weights = torch.linalg.qr(weights - weights.mean(dim=0))[0][:, :rank]
    rows = 5.0 + weights @ directions[0].T
    assert float(effective_rank(scatter(rows))) == pytest.approx(rank, rel=1e-3)
    assert float(effective_rank(scatter(rows.T))) <= 40
    assert float(effective_rank(scatter(torch.ones(8, 3)))) == 0.0


@pytest.mark.parametrize("seed", [17, 24, 26, 107])
def test_the_effective_rank_of_features_most_of_which_are_dead(seed: int) -> None:
    # On some CPUs, the decomposition in float32 does not converge here.
    generator = torch.Generator().manual_seed(seed)
    rows = torch.zeros(256, 64)
    live = torch.randperm(64, generator=generator)[
        : int(torch.randint(3, 24, (1,), generator=generator))
    ]
    sizes = torch.randn(256, 2, generator=generator), torch.randn(2, len(live), generator=generator)
    noise = torch.randn(256, len(live), generator=generator)
    rows[:, live] = sizes[0] @ sizes[1] * 0.3 + 0.01 * noise
    assert 1.0 <= float(effective_rank(scatter(rows))) <= 2.2


def test_a_look_computes_in_float32_where_training_does_not() -> None:
    network = Network(nn.Identity(), value_head=nn.Flatten(0), policy_head=nn.Identity())
    planes = 100.0 + torch.randn(64, 8, generator=torch.Generator().manual_seed(3))
    plain, monitor = (ActivationMonitor(network, torch.sigmoid) for _ in range(2))
    with plain.watching(torch.zeros(64)):
        network.trunk(planes)
    with torch.autocast("cpu", dtype=torch.bfloat16), monitor.watching(torch.zeros(64)):
        network.trunk(planes)
    assert monitor.health() == plain.health()


def test_a_monitor_goes_on_from_its_state() -> None:
    network = hand_made()
    give_gradients(network)
    one, other = GradientMonitor(network, 1.0), GradientMonitor(network, 1.0)
    one.before_clipping()
    one.before_step(torch.tensor(5.0))
    one.after_step()
    other.load_state(one.state(), torch.device("cpu"))
    assert other.health() == one.health()


def gradients(**changes: Any) -> GradientHealth:
    sound = GradientHealth(
        norms={"trunk": 1.0, "value_head": 0.5},
        update_ratio={"trunk": 0.001, "value_head": 0.01},
        trunk_value_norm=0.3,
        looks=5,
    )
    return replace(sound, **changes)


ALIVE = ActivationHealth(0.5, 1.0, 0.0, 4.0, dead=0.1, spread=0.5)
ANSWER = replace(ALIVE, saturated=0.2)
SICK = ActivationHealth(0.0, 0.0, 0.0, 0.0, dead=0.95, spread=0.0)


def answers(value_loss: float) -> SliceMetrics:
    sound = slice_metrics(np.array([0.3, 0.7]), np.array([0.0, 1.0]), np.arange(2))
    return replace(sound, value_loss=value_loss)


@pytest.mark.parametrize(
    ("seen", "features", "answer", "spread", "value_loss", "verdict"),
    [
        (gradients(), ALIVE, ANSWER, 0.2, 0.20, "healthy"),
        (gradients(norms={"value_head": 0.0}), ALIVE, ANSWER, 0.2, 0.20, "vanishing"),
        (gradients(trunk_value_norm=0.0), ALIVE, ANSWER, 0.2, 0.20, "vanishing"),
        (gradients(trunk_value_norm=1e-12), ALIVE, ANSWER, 0.2, 0.20, "vanishing"),
        (gradients(trunk_value_norm=1e-12), ALIVE, ANSWER, 0.2, 0.001, "healthy"),
        (gradients(update_ratio={"trunk": 0.0}), ALIVE, ANSWER, 0.2, 0.20, "not_learning"),
        (gradients(update_ratio={"value_head": 0.0}), ALIVE, ANSWER, 0.2, 0.20, "not_learning"),
        (gradients(update_ratio={"trunk": 0.0}, looks=1), ALIVE, ANSWER, 0.2, 0.2, "healthy"),
        (gradients(update_ratio={"trunk": 0.4}), ALIVE, ANSWER, 0.2, 0.20, "exploding"),
        (gradients(), SICK, ANSWER, 0.2, 0.20, "dead"),
        (gradients(), ALIVE, replace(ANSWER, saturated=0.99), 0.5, 0.40, "saturated"),
        (gradients(), ALIVE, replace(ANSWER, saturated=0.99), 0.5, 0.01, "healthy"),
        (gradients(), ALIVE, ANSWER, 0.001, 0.24, "constant_output"),
        (gradients(), ALIVE, ANSWER, 0.2, 0.26, "not_learning"),
    ],
)
def test_each_sickness_gets_its_verdict(
    seen: GradientHealth,
    features: ActivationHealth,
    answer: ActivationHealth,
    spread: float,
    value_loss: float,
    verdict: str,
) -> None:
    activations = {"trunk_features": features, "value_raw": answer}
    found = find_verdict(
        seen, activations, answers(value_loss), spread, prior_loss=0.247, progress=0.5
    )
    assert found.name == verdict
    assert found.name in VERDICTS
    assert bool(found.evidence) == (verdict != "healthy")


def test_answers_do_not_count_before_the_warm_up_is_over() -> None:
    for progress, verdict in ((0.1, "healthy"), (0.5, "constant_output")):
        found = find_verdict(gradients(), {}, answers(0.25), 0.0, 0.247, progress)
        assert found.name == verdict
