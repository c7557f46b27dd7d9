"""Trainings that show boards with noise, or two boards at once (mixup)."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from hexsearch.data.archive import GameArchive
from hexsearch.doctor.checks.own_training.stepping.settings import fallen_rate
from hexsearch.doctor.own_training.losses.targets import over_the_batch
from hexsearch.doctor.own_training.outputs import Output
from tests.doctor.own_scripts import Games, Net, Play, Script, bce
from tests.doctor.test_own_training_forms import findings
from tests.doctor.test_own_training_later import batch, drawn, played

__all__ = ["played"]

Step = Callable[[Net, Tensor, Tensor, Tensor], Tensor]  # network, planes, moves, winners to a loss


def mixed_up(net: Net, planes: Tensor, cells: Tensor, won: Tensor, by_row: bool) -> Tensor:
    """Zhang et al., "mixup: Beyond empirical risk minimization", ICLR 2018."""
    count = len(planes) if by_row else 1
    share = torch.distributions.Beta(0.4, 0.4).sample((count,))
    other = torch.randperm(len(planes))
    broad = share[:, None, None, None]
    policy, raw = net(broad * planes + (1 - broad) * planes[other])
    first = functional.cross_entropy(policy, cells, reduction="none")
    second = functional.cross_entropy(policy, cells[other], reduction="none")
    value = bce(raw, share * won + (1 - share) * won[other])
    return (share * first + (1 - share) * second).mean() + value


def by_batch(net: Net, planes: Tensor, cells: Tensor, won: Tensor) -> Tensor:
    return mixed_up(net, planes, cells, won, by_row=False)


def by_row(net: Net, planes: Tensor, cells: Tensor, won: Tensor) -> Tensor:
    return mixed_up(net, planes, cells, won, by_row=True)


def noisy(net: Net, planes: Tensor, cells: Tensor, won: Tensor) -> Tensor:
    policy, raw = net(planes + 0.1 * torch.randn_like(planes))
    return functional.cross_entropy(policy, cells) + bce(raw, won)


def inverted(step: Step) -> Step:
    return lambda net, planes, cells, won: step(net, planes, cells, 1 - won)


def scaled(net: Net, planes: Tensor, cells: Tensor, won: Tensor) -> Tensor:
    policy, raw = net(1.3 * planes)
    return functional.cross_entropy(policy, cells) + bce(raw, won)


def causes(step: Step, played: GameArchive) -> list[str]:
    def train(games: Games) -> Any:
        torch.manual_seed(0)
        net, rows = Net(), Script().rows(games)
        optimiser = torch.optim.Adam(net.parameters(), 1e-3)
        for _ in range(30):
            optimiser.zero_grad()
            torch.autograd.backward(step(net, *batch(rows, drawn(rows))))
            optimiser.step()

    return [each.cause for each in findings(played, train, Play())]


@pytest.mark.parametrize("step", [by_batch, by_row, noisy])
def test_noise_and_mixtures_of_boards_are_sound(step: Step, played: GameArchive) -> None:
    assert causes(step, played) == []


@pytest.mark.parametrize("step", [by_batch, noisy])
def test_labels_are_read_through_noise_and_mixtures(step: Step, played: GameArchive) -> None:
    assert any("inverted" in cause for cause in causes(inverted(step), played))


def test_scaled_planes_are_no_noise(played: GameArchive) -> None:
    (cause,) = causes(scaled, played)
    assert "plane 0 holds 0, 1.3 in training and 0, 1 at inference" in cause


def standardised(net: Net, planes: Tensor, cells: Tensor, won: Tensor) -> Tensor:
    """Each cell by a mean and a deviation of its own."""
    draw = torch.Generator().manual_seed(1)
    mean, spread = (torch.rand(planes.shape[1:], generator=draw) for _ in range(2))
    policy, raw = net((planes - mean) / (spread + 0.1))
    return functional.cross_entropy(policy, cells) + bce(raw, won)


def test_standardised_planes_are_told(played: GameArchive) -> None:
    assert "standardised by mean and deviation" in causes(standardised, played)[0]


@pytest.mark.parametrize("dim", [0, 1])
def test_a_softmax_over_the_batch_is_known(dim: int) -> None:
    logits = torch.randn(12, 9, generator=torch.Generator().manual_seed(0))
    policy = Output("policy", logits.log_softmax(dim=dim), 0, torch.zeros(12, 9))
    assert over_the_batch(policy, np.zeros(12, dtype=np.int64)) == (dim == 0)


@pytest.mark.parametrize(
    ("rates", "falls"),
    [([0.1, 0.1, 0.01, 0.001, 0.001], True), ([0.1, 0.09, 0.08, 0.07], False), ([0.1] * 4, False)],
)
def test_milestones_that_count_batches_are_told(rates: list[float], falls: bool) -> None:
    steps: Any = [SimpleNamespace(groups=[{"lr": rate}]) for rate in rates]
    found = fallen_rate(steps, "weights hardly move")
    assert (found is not None) == falls
    if found is not None:
        assert "from 0.1 to 0.001 within 3 step(s)" in found.evidence
