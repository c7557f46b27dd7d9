"""Steps and losses that learn nothing or not from every batch; values of the side to move."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from hexsearch.data.archive import GameArchive
from hexsearch.doctor.checks.network.independence import independence_findings
from tests.doctor.own_scripts import (
    SIZE,
    Games,
    Net,
    Play,
    Script,
    bce,
)
from tests.doctor.test_own_training_between import Step, causes
from tests.doctor.test_own_training_forms import findings
from tests.doctor.test_own_training_later import batch, drawn, played

__all__ = ["played"]


def trained(
    played: GameArchive,
    prepare: Callable[[Net], object] = lambda net: None,
    anew: bool = False,
    each: int = 1,
    rate: float = 1e-3,
    named: type[torch.optim.Optimizer] = torch.optim.Adam,
) -> list[str]:
    """Causes of a training whose optimiser is made anew for each step, or steps once in so many."""

    def train(games: Games) -> Any:
        torch.manual_seed(0)
        net, rows = Net(), Script().rows(games)
        prepare(net)
        optimiser = named(net.parameters(), lr=rate)  # type: ignore[call-arg]
        for number in range(30 * each):
            planes, cells, won = batch(rows, drawn(rows))
            if anew:
                optimiser = named(net.parameters(), lr=rate)  # type: ignore[call-arg]
            optimiser.zero_grad()
            policy, raw = net(planes)
            torch.autograd.backward(functional.cross_entropy(policy, cells) + bce(raw, won))
            if number % each == each - 1:
                optimiser.step()

    return [found.cause for found in findings(played, train, Play())]


def set_vectors(number: float) -> Callable[[Net], None]:
    def prepare(net: Net) -> None:
        for parameter in net.parameters():
            if parameter.ndim == 1:
                nn.init.constant_(parameter, number)

    return prepare


def test_scales_of_norms_that_are_zero(played: GameArchive) -> None:
    (cause,) = trained(played, set_vectors(0.0))
    assert "scales (weights) of the norms are set to 0" in cause
    assert not trained(played, set_vectors(0.5))


def test_an_optimiser_that_is_made_anew_for_each_step(played: GameArchive) -> None:
    (cause,) = trained(played, anew=True)
    assert "made anew for each step" in cause
    assert not trained(played, anew=True, named=torch.optim.SGD, rate=0.05)  # it has no state


def test_batches_that_are_cleared_and_not_learned_from(played: GameArchive) -> None:
    (cause,) = trained(played, each=4)
    assert "only the last of several batches" in cause


def test_a_rate_that_is_fifty_times_too_high(played: GameArchive) -> None:
    (cause,) = trained(played, rate=0.05)
    assert "learning rate is far too high" in cause
    assert not trained(played, rate=0.01)


def accumulated(net: Net, planes: Tensor, cells: Tensor, won: Tensor) -> Tensor:
    """In two halves, whose gradients are added."""
    policy, raw = net(planes[:32])
    half = functional.cross_entropy(policy, cells[:32]) + bce(raw, won[:32])
    torch.autograd.backward(half / 2)
    policy, raw = net(planes[32:])
    losses = functional.cross_entropy(policy, cells[32:]), bce(raw, won[32:])
    return torch.stack(losses).mean()


def of_means(net: Net, planes: Tensor, cells: Tensor, won: Tensor) -> Tensor:
    policy, raw = net(planes)
    gap: Tensor = raw.tanh().mean() - (2 * won - 1).mean()
    return functional.cross_entropy(policy, cells) + gap.square()


def masked_by_the_target(net: Net, planes: Tensor, cells: Tensor, won: Tensor) -> Tensor:
    policy, raw = net(planes)
    legal = functional.one_hot(cells, SIZE**2) > 0
    return functional.cross_entropy(policy.masked_fill(~legal, -1e9), cells) + bce(raw, won)


def of_occupied_cells(net: Net, planes: Tensor, cells: Tensor, won: Tensor) -> Tensor:
    policy, raw = net(planes)
    occupied = planes[:, :2].sum(dim=1).flatten(1) > 0
    return functional.cross_entropy(policy.masked_fill(~occupied, -1e4), cells) + bce(raw, won)


def of_the_first_row(net: Net, planes: Tensor, cells: Tensor, won: Tensor) -> Tensor:
    policy, raw = net(planes)
    return functional.cross_entropy(policy, cells) + bce(raw[:1], won[:1])


def with_a_sum(net: Net, planes: Tensor, cells: Tensor, won: Tensor) -> Tensor:
    policy, raw = net(planes)
    summed = functional.binary_cross_entropy_with_logits(raw, won, reduction="sum")
    return functional.cross_entropy(policy, cells) + 8.0 * summed


def with_a_weight(net: Net, planes: Tensor, cells: Tensor, won: Tensor) -> Tensor:
    policy, raw = net(planes)
    weighted = functional.binary_cross_entropy_with_logits(raw, won, pos_weight=torch.tensor(5.0))
    return functional.cross_entropy(policy, cells) + weighted


@pytest.mark.parametrize(
    ("step", "words"),
    [
        (of_means, "the mean over the batch is taken before the loss"),
        (masked_by_the_target, "a mask of legal moves that is made from the target"),
        (of_occupied_cells, "masked out of the policy loss"),
        (of_the_first_row, "looks at few of the rows of a batch"),
        (with_a_sum, "the policy loss weighs 0.00"),
        (with_a_weight, "one outcome weighs more than the other"),
    ],
)
def test_losses_that_do_not_look_at_single_rows(
    step: Step, words: str, played: GameArchive
) -> None:
    (cause,) = causes(step, played)
    assert words in cause


def with_moves_of_winners(net: Net, planes: Tensor, cells: Tensor, won: Tensor) -> Tensor:
    policy, raw = net(planes)
    each = functional.cross_entropy(policy, cells, reduction="none")
    return (each * (won == planes[:, 2, 0, 0])).mean() + bce(raw, won)


@pytest.mark.parametrize("step", [accumulated, with_moves_of_winners])
def test_parts_of_a_batch_and_moves_of_winners_are_sound(step: Step, played: GameArchive) -> None:
    assert not causes(step, played)


class Canonical(nn.Module):
    """Shows each position to its layers as that of one side, and turns the policy back."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.layers = nn.Sequential(nn.Conv2d(2, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 2, 3))
        self.rows = nn.Parameter(torch.randn(SIZE - 2, 1))

    def forward(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        red = (planes[:, 2:] > 0.5).expand(-1, 2, -1, -1)
        board = torch.where(red, planes[:, [1, 0]].transpose(2, 3), planes[:, :2])
        policy, value = self.layers(board).unbind(1)
        policy = functional.pad(policy, (1, 1, 1, 1))
        policy = torch.where(red[:, 0], policy.transpose(1, 2), policy)
        return policy.flatten(1), (value * self.rows).sum(dim=(1, 2))


@pytest.mark.parametrize("for_mover", [True, False])
def test_a_value_of_the_side_to_move_may_stay_the_same_for_exchanged_colours(
    for_mover: bool, played: GameArchive
) -> None:
    model = Canonical().eval()
    rows = Script().rows([(list(played.game(n).moves), True) for n in range(8)])
    planes = torch.from_numpy(np.stack([row[0] for row in rows[::5]]))
    with torch.no_grad():
        found = list(independence_findings(model, planes, for_mover))
    assert ["without 1 - p there" in each.cause for each in found] == [True] * (not for_mover)
