"""Trainings whose parts come one after the other, and classes, buffers and tensors of their own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from hexsearch.data.archive import GameArchive, build_archive
from hexsearch.doctor.checks.network.symmetries import symmetry_findings
from hexsearch.doctor.checks.training.modules import equal_units
from tests.doctor.own_scripts import SIZE, Games, Net, Play, Script, bce
from tests.doctor.test_own_training_forms import Actor, Critic, Pair, PlayOf, findings
from tests.doctor.test_play import random_game

Rows = list[tuple[Any, int, float]]


@pytest.fixture(scope="module")
def played() -> GameArchive:
    rng = np.random.default_rng(6)
    return build_archive([random_game(SIZE, rng) for _ in range(60)])


def batch(rows: Rows, chosen: list[int]) -> tuple[Tensor, Tensor, Tensor]:
    planes, cells, won = zip(*(rows[index] for index in chosen), strict=True)
    return torch.from_numpy(np.stack(planes)), torch.tensor(cells), torch.tensor(won)


def drawn(rows: Rows) -> list[int]:
    return torch.randperm(len(rows))[:64].tolist()


def steps(
    net: nn.Module, rows: Rows, before: Callable[[int], Any], chosen: Callable[[int], list[int]]
) -> None:
    """Thirty steps on both losses."""
    optimiser = torch.optim.Adam(net.parameters(), 1e-3)
    for number in range(30):
        before(number)
        planes, cells, won = batch(rows, chosen(number))
        optimiser.zero_grad()
        policy, raw = net(planes)
        torch.autograd.backward(functional.cross_entropy(policy, cells) + bce(raw, won))
        optimiser.step()


@pytest.mark.parametrize("updated", [True, False])
def test_weights_may_be_changed_without_an_optimiser(updated: bool, played: GameArchive) -> None:
    def train(games: Games) -> None:
        torch.manual_seed(0)
        net, rows = Net(), Script().rows(games)
        for _ in range(10):
            planes, cells, won = batch(rows, drawn(rows))
            policy, raw = net(planes)
            loss = functional.cross_entropy(policy, cells) + bce(raw, won)
            gradients = torch.autograd.grad(loss, list(net.parameters()))
            with torch.no_grad():
                for weight, gradient in zip(net.parameters(), gradients, strict=True):
                    weight.sub_(0.05 * updated * gradient)

    found = findings(played, train, Play())
    assert ["step() is never called" in each.cause for each in found] == [True] * (not updated)


@pytest.mark.parametrize("thawed_at", [5, None])
def test_a_body_may_be_frozen_for_some_steps(thawed_at: int | None, played: GameArchive) -> None:
    def train(games: Games) -> None:
        torch.manual_seed(0)
        net = Net()
        net.body.requires_grad_(False)
        rows = Script().rows(games)
        last = 1000 if thawed_at is None else thawed_at
        steps(net, rows, lambda n: net.body.requires_grad_(n >= last), lambda n: drawn(rows))

    found = findings(played, train, Play())
    assert len(found) == (thawed_at is None)
    assert all("is frozen: body" in f.cause and f.severity == "warning" for f in found)


def test_a_training_on_tensors_without_a_module_has_no_finding(played: GameArchive) -> None:
    def train(games: Games) -> None:
        torch.manual_seed(0)
        weights = [
            (torch.randn(3 * SIZE**2, outputs) * 0.05).requires_grad_() for outputs in (SIZE**2, 1)
        ]
        rows = Script().rows(games)
        optimiser = torch.optim.Adam(weights, 1e-3)
        for _ in range(30):
            planes, cells, won = batch(rows, drawn(rows))
            policy, raw = (planes.flatten(1) @ each for each in weights)
            optimiser.zero_grad()
            loss = functional.cross_entropy(policy, cells) + bce(raw[:, 0], won)
            torch.autograd.backward(loss)
            optimiser.step()

    assert not findings(played, train, Play())


def sharpness_aware(net: Net, optimiser: torch.optim.Optimizer, loss: Callable[[], Tensor]) -> None:
    """A step by the gradient at the point that the first gradient leads to."""
    torch.autograd.backward(loss())
    moved = [(each, 0.01 * each.grad.sign()) for each in net.parameters() if each.grad is not None]
    with torch.no_grad():
        for weight, change in moved:
            weight.add_(change)
    optimiser.zero_grad()
    torch.autograd.backward(loss())
    with torch.no_grad():
        for weight, change in moved:
            weight.sub_(change)
    optimiser.step()


def scaled_loss(net: Net, optimiser: torch.optim.Optimizer, loss: Callable[[], Tensor]) -> None:
    """A step of mixed precision, with gradients that are clipped after they were unscaled."""
    scaler = torch.amp.GradScaler("cpu")
    torch.autograd.backward(scaler.scale(loss()))
    scaler.unscale_(optimiser)
    nn.utils.clip_grad_norm_(net.parameters(), 1.0)
    scaler.step(optimiser)
    scaler.update()


@pytest.mark.parametrize("step", [sharpness_aware, scaled_loss])
def test_gradients_may_be_scaled_or_computed_twice(
    step: Callable[[Net, torch.optim.Optimizer, Callable[[], Tensor]], None], played: GameArchive
) -> None:
    def train(games: Games) -> None:
        torch.manual_seed(0)
        net, rows = Net(), Script().rows(games)
        optimiser = torch.optim.Adam(net.parameters(), 1e-3)
        for _ in range(30):
            planes, cells, won = batch(rows, drawn(rows))

            def loss(p: Tensor = planes, c: Tensor = cells, w: Tensor = won) -> Tensor:
                policy, raw = net(p)
                return functional.cross_entropy(policy, c) + bce(raw, w)

            optimiser.zero_grad()
            step(net, optimiser, loss)

    assert not findings(played, train, Play())


class Committee(nn.Module):
    """The mean of the logits of two networks."""

    def __init__(self) -> None:
        super().__init__()
        self.members = nn.ModuleList([Net(), Net()])

    def forward(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        policies, values = zip(*(each(planes) for each in self.members), strict=True)
        return torch.stack(policies).mean(0), 4 * torch.stack(values).mean(0)


def test_members_of_a_committee_may_be_trained_alone(played: GameArchive) -> None:
    def train(games: Games) -> None:
        torch.manual_seed(0)
        rows = Script().rows(games)
        for member in Committee().members:
            steps(member, rows, lambda n: None, lambda n: drawn(rows))

    assert not findings(played, train, PlayOf(Committee()))


@pytest.mark.parametrize("first", ["actor", "critic"])
def test_one_network_may_be_trained_after_the_other(first: str, played: GameArchive) -> None:
    def train(games: Games) -> None:
        torch.manual_seed(0)
        rows = Script().rows(games)
        actor, critic = Actor(), Critic()
        weights = [each for each in actor.parameters() if each.requires_grad]
        of_both = {"actor": (weights, actor), "critic": (list(critic.parameters()), critic)}
        for name in sorted(of_both, reverse=first == "critic"):
            held, net = of_both[name]
            optimiser = torch.optim.Adam(held, 1e-3)
            for _ in range(40):
                planes, cells, won = batch(rows, drawn(rows))
                optimiser.zero_grad()
                out = net(planes)
                torch.autograd.backward(
                    functional.cross_entropy(out, cells) if name == "actor" else bce(out, won)
                )
                optimiser.step()

    assert not [f for f in findings(played, train, PlayOf(Pair())) if f.severity == "error"]


class Outcomes(Net):
    """With logits of Blue's win, a draw and Red's win."""

    def __init__(self) -> None:
        super().__init__()
        self.value = nn.Linear(12, 3)

    def forward(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        features = self.body(planes)
        return self.policy(features).flatten(1), self.value(features.mean(dim=(2, 3)))


def of_red(raw: Tensor) -> Tensor:
    chances = raw.softmax(1)
    return chances[:, 2] + chances[:, 1] / 2


def of_blue(raw: Tensor) -> Tensor:
    return of_red(raw.flip(1))


def outcome(raw: Tensor, won: Tensor) -> Tensor:
    return functional.cross_entropy(raw, (2 * won).long())


@pytest.mark.parametrize(
    ("label", "read", "words"),
    [
        (lambda red_won, mover, game: float(red_won), of_red, ""),
        (lambda red_won, mover, game: float(red_won), of_blue, "another order than they are"),
        (lambda red_won, mover, game: 0.5, of_red, "labelled as draws, and Hex has none"),
    ],
    ids=["sound", "classes exchanged", "draws"],
)
def test_classes_of_a_value_are_read_as_they_are_trained(
    label: Callable[[bool, int, int], float],
    read: Callable[[Tensor], Tensor],
    words: str,
    played: GameArchive,
) -> None:
    script = Script(network=Outcomes, label=label, loss=outcome)
    found = findings(played, script, PlayOf(Outcomes(), read))
    assert bool(found) == bool(words)
    assert all(words in each.cause for each in found)


@pytest.mark.parametrize(
    ("chosen", "words"),
    [
        (lambda n, rng: [int(i) for i in rng.integers(0, 60, 64) + 10 * n], "a buffer (of replay"),
        (lambda n, rng: list(range(64)), "every batch is the same one"),
        (lambda n, rng: list(range(20 * n, 20 * n + 64)), "positions are not shuffled"),
    ],
    ids=["a small buffer", "one batch", "in order"],
)
def test_batches_of_few_games_are_told_apart(
    chosen: Callable[[int, np.random.Generator], list[int]], words: str, played: GameArchive
) -> None:
    def train(games: Games) -> None:
        torch.manual_seed(0)
        rng = np.random.default_rng(0)
        steps(Net(), Script().rows(games), lambda n: None, lambda n: chosen(n, rng))

    found = findings(played, train, Play())
    assert [words in each.cause for each in found] == [True], found


class Patches(nn.Module):
    """Attention over patches of 3x3 cells, with or without their places."""

    def __init__(self, placed: bool) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.embed = nn.Conv2d(2, 8, 3, stride=3)
        self.place = nn.Parameter(torch.randn(9, 8) * placed)
        self.attend = nn.MultiheadAttention(8, 2, batch_first=True)
        self.value, self.policy = nn.Linear(8, 1), nn.Linear(8, 81)

    def forward(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        tokens = self.embed(planes).flatten(2).transpose(1, 2) + self.place
        mixed = self.attend(tokens, tokens, tokens)[0].tanh().mean(dim=1)
        return self.policy(mixed), self.value(mixed)


@pytest.mark.parametrize("placed", [False, True])
def test_tokens_must_know_their_place(placed: bool) -> None:
    planes = (torch.rand(16, 2, 9, 9, generator=torch.Generator().manual_seed(4)) < 0.3).float()
    net = Patches(placed).eval()
    with torch.no_grad():
        found = list(symmetry_findings(net, planes, net(planes)))
    assert ["bag of patches" in each.cause for each in found] == [True] * (not placed)


@pytest.mark.parametrize(("size", "count"), [(1e-9, 0), (0.1, 1)])
def test_weights_that_have_shrunk_to_nothing_are_not_called_equal(size: float, count: int) -> None:
    layer = nn.Linear(6, 6)
    nn.init.constant_(layer.weight, size)
    assert len(list(equal_units(layer))) == count
