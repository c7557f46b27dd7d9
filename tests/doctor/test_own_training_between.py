"""Trainings that show boards with noise, or two boards at once (mixup)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from hexsearch.data.archive import GameArchive
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
