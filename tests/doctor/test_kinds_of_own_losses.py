"""Tests of what is said of losses of a user that are combined, turned around or not detached."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from hexsearch.data.archive import GameArchive
from hexsearch.doctor.checks.training.modules import repeated
from tests.doctor.own_scripts import Games, Net, Play, Script, bce
from tests.doctor.test_own_training_forms import Classes, PlayOf, findings
from tests.doctor.test_own_training_later import batch, drawn, played, steps

__all__ = ["played"]
Loss = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]


def product(policy: Tensor, raw: Tensor, cells: Tensor, won: Tensor) -> Tensor:
    return functional.cross_entropy(policy, cells) * bce(raw, won)


def root(policy: Tensor, raw: Tensor, cells: Tensor, won: Tensor) -> Tensor:
    return functional.cross_entropy(policy, cells) + functional.mse_loss(raw.sigmoid(), won).sqrt()


def turned_around(policy: Tensor, raw: Tensor, cells: Tensor, won: Tensor) -> Tensor:
    each = functional.cross_entropy(policy, cells, reduction="none")
    return ((-each).exp() ** 2 * each).mean() + bce(raw, won)


def bare(policy: Tensor, raw: Tensor, cells: Tensor, won: Tensor) -> Tensor:
    return bce(raw, won) - policy.softmax(dim=1).gather(1, cells[:, None]).mean()


def focal(policy: Tensor, raw: Tensor, cells: Tensor, won: Tensor) -> Tensor:
    each = functional.cross_entropy(policy, cells, reduction="none")
    return ((1 - (-each).exp()) ** 2 * each).mean() + bce(raw, won)


def training(loss: Loss) -> Callable[[Games], None]:
    """Thirty steps on a loss of policy, raw value, cells and results."""

    def train(games: Games) -> None:
        torch.manual_seed(0)
        net, rows = Net(), Script().rows(games)
        optimiser = torch.optim.Adam(net.parameters(), 1e-3)
        for _ in range(30):
            planes, cells, won = batch(rows, drawn(rows))
            optimiser.zero_grad()
            policy, raw = net(planes)
            torch.autograd.backward(loss(policy, raw, cells, won))
            optimiser.step()

    return train


@pytest.mark.parametrize(
    ("loss", "cause"),
    [
        (product, "both losses are multiplied with each other"),
        (root, "the value loss is the root of the mean squared error"),
        (turned_around, r"a focal factor that is turned around .*p in place of 1 - p"),
        (bare, "minus the probability of the move, without its logarithm"),
    ],
)
def test_the_first_finding_names_the_loss(loss: Loss, cause: str, played: GameArchive) -> None:
    first = findings(played, training(loss), Play())[0]
    assert re.search(cause, first.cause), first.cause


def test_a_focal_loss_of_the_policy_is_no_fault(played: GameArchive) -> None:
    assert not findings(played, training(focal), Play())


@pytest.mark.parametrize("kept", [True, False])
def test_learned_weights_need_a_term_that_keeps_them_from_zero(
    kept: bool, played: GameArchive
) -> None:
    def train(games: Games) -> None:
        torch.manual_seed(0)
        net, rows = Net(), Script().rows(games)
        scales = torch.zeros(2, requires_grad=True)
        optimiser = torch.optim.SGD([*net.parameters(), scales], lr=0.02, momentum=0.9)
        for _ in range(30):
            planes, cells, won = batch(rows, drawn(rows))
            policy, raw = net(planes)
            losses = torch.stack([functional.cross_entropy(policy, cells), bce(raw, won)])
            optimiser.zero_grad()
            torch.autograd.backward(((-scales).exp() * losses + kept * scales).sum())
            optimiser.step()

    causes = [each.cause for each in findings(played, train, Play())]
    assert any("loss falls from step to step" in cause for cause in causes) != kept


@pytest.mark.parametrize("detached", [True, False])
def test_a_target_of_the_next_answer_must_be_detached(detached: bool, played: GameArchive) -> None:
    def train(games: Games) -> None:
        torch.manual_seed(0)
        net, rows = Net(), Script().rows(games)
        optimiser = torch.optim.Adam(net.parameters(), 1e-3)
        for _ in range(30):
            chosen = drawn(rows)
            planes, cells, won = batch(rows, chosen)
            following = batch(rows, [min(row + 1, len(rows) - 1) for row in chosen])[0]
            policy, raw = net(planes)
            answer = net(following)[1].sigmoid()
            target = 0.5 * won + 0.5 * (answer.detach() if detached else answer)
            loss = functional.cross_entropy(policy, cells)
            optimiser.zero_grad()
            torch.autograd.backward(loss + functional.mse_loss(raw.sigmoid(), target))
            optimiser.step()

    causes = [each.cause for each in findings(played, train, Play())]
    assert any("is not detached" in cause for cause in causes) != detached


class WonDrawnLost(Classes):
    """Trained on the classes won, drawn and lost of the side to move, and read as one number."""

    def __init__(self) -> None:
        super().__init__()
        self.value = torch.nn.Linear(12, 3)


class Reader(torch.nn.Module):
    """The chance of winning minus that of another class, as a value in -1..1."""

    def __init__(self, lost: int) -> None:
        super().__init__()
        self.net, self.lost = WonDrawnLost(), lost

    def forward(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        policy, classes = self.net(planes)
        chances = classes.softmax(dim=1)
        return policy, chances[:, 0] - chances[:, self.lost]

    def win_prob_red(self, raw: Tensor, to_move: Tensor) -> Tensor:
        return 0.5 + 0.5 * raw * to_move


@pytest.mark.parametrize("lost", [1, 2])
def test_classes_must_be_read_in_the_order_of_the_labels(lost: int, played: GameArchive) -> None:
    def train(games: Games) -> None:
        torch.manual_seed(0)
        net, rows = WonDrawnLost(), Script().rows(games)
        optimiser = torch.optim.Adam(net.parameters(), 1e-3)
        for _ in range(30):
            planes, cells, won = batch(rows, drawn(rows))
            mine = (won > 0.5) == (planes[:, 2].mean(dim=(1, 2)) > 0.5)
            policy, classes = net(planes)
            optimiser.zero_grad()
            torch.autograd.backward(
                functional.cross_entropy(policy, cells)
                + functional.cross_entropy(classes, torch.where(mine, 0, 2))
            )
            optimiser.step()

    causes = [each.cause for each in findings(played, train, PlayOf(Reader(lost)))]
    assert any("another order than they are trained" in cause for cause in causes) == (lost == 1)


def test_policy_targets_of_other_rows_are_said_to_be_those(played: GameArchive) -> None:
    def train(games: Games) -> None:
        torch.manual_seed(0)
        rows = Script().rows(games)
        order = torch.randperm(len(rows)).tolist()
        mixed = [(row[0], rows[other][1], row[2]) for row, other in zip(rows, order, strict=True)]
        steps(Net(), mixed, lambda number: None, lambda number: drawn(mixed))

    first = findings(played, train, Play())[0]
    assert "policy targets are moves of other positions" in first.cause


class Towers(Net):
    """With further blocks in a plain list."""

    def __init__(self) -> None:
        super().__init__()
        self.tower = [torch.nn.Linear(12, 12) for _ in range(2)]

    def heads(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        features = self.body(planes)
        pooled = features.mean(dim=(2, 3))
        for block in self.tower:
            pooled = block(pooled).relu()
        return self.policy(features).flatten(1), self.value(pooled)[:, 0]


def test_modules_in_a_plain_list_are_told_with_their_place(played: GameArchive) -> None:
    def train(games: Games) -> None:
        torch.manual_seed(0)
        net, rows = Towers(), Script().rows(games)
        optimiser = torch.optim.Adam(net.parameters(), 1e-3)
        for _ in range(30):
            planes, cells, won = batch(rows, drawn(rows))
            policy, raw = net.heads(planes)
            optimiser.zero_grad()
            torch.autograd.backward(functional.cross_entropy(policy, cells) + bce(raw, won))
            optimiser.step()

    causes = [each.cause for each in findings(played, train, Play())]
    assert any("plain list or dict (Towers.tower)" in cause for cause in causes), causes


def test_a_part_that_is_frozen_at_first_is_told(played: GameArchive) -> None:
    def train(games: Games) -> None:
        torch.manual_seed(0)
        net, rows = Net(channels=40), Script().rows(games)
        net.body.requires_grad_(False)
        kept = [weight for weight in net.parameters() if weight.requires_grad]
        optimiser = torch.optim.Adam(kept, 1e-3)
        for _ in range(30):
            planes, cells, won = batch(rows, drawn(rows))
            policy, raw = net(planes)
            optimiser.zero_grad()
            torch.autograd.backward(functional.cross_entropy(policy, cells) + bce(raw, won))
            optimiser.step()

    causes = [each.cause for each in findings(played, train, Play())]
    assert any("frozen at its initial weights" in cause for cause in causes), causes


@pytest.mark.parametrize("copies", [True, False])
def test_references_to_one_block_are_told(copies: bool) -> None:
    block = torch.nn.Linear(3, 3)
    blocks = [torch.nn.Linear(3, 3) for _ in range(3)] if copies else [block] * 3
    assert bool(list(repeated(torch.nn.Sequential(*blocks)))) != copies
