"""Faults that people had in public projects, as training functions and as answers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from hexsearch.data.archive import GameArchive
from hexsearch.doctor.checks.computation.own_norms import check_own_norms
from hexsearch.doctor.checks.network.answers import check_recognition
from hexsearch.doctor.checks.network.movers import check_mover_reading
from hexsearch.doctor.checks.training.reach import linear_findings
from hexsearch.doctor.foreign import ForeignNetwork
from hexsearch.doctor.own_training.outputs import hook_on
from hexsearch.doctor.pipeline import ExaminedPipeline
from tests.doctor.own_scripts import SIZE, Board, Games, Net, Planes, Play, Script, bce, encode
from tests.doctor.test_own_training_between import Step, causes
from tests.doctor.test_own_training_forms import findings
from tests.doctor.test_own_training_later import batch, drawn, played

__all__ = ["played"]


class ManyHeads(nn.Module):
    """With a method of its own for training: a reply beside the move, and owners of cells."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Conv2d(3, 12, 3, padding=1)
        self.norm = nn.GroupNorm(4, 12)
        self.moves = nn.Conv2d(12, 2, 1)
        self.pooled, self.value = nn.Linear(12, 8), nn.Linear(8, 1)
        self.owners = nn.Conv2d(12, 1, 1)

    def every(self, planes: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        features = functional.mish(self.norm(self.body(planes)))
        moves = self.moves(features).flatten(2)
        value = self.value(functional.mish(self.pooled(features.mean(dim=(2, 3)))))
        return moves[:, 0], moves[:, 1], value[:, 0], self.owners(features).flatten(1)

    def forward(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        policy, _, value, _ = self.every(planes)
        return policy, value


@pytest.mark.parametrize("inverted", [False, True])
def test_heads_beside_the_policy_are_told_from_it(inverted: bool, played: GameArchive) -> None:
    def train(games: Games) -> None:
        torch.manual_seed(0)
        net, rows = ManyHeads(), Script().rows(games)
        optimiser = torch.optim.Adam(net.parameters(), 1e-3)
        for _ in range(30):
            planes, cells, won = batch(rows, drawn(rows))
            policy, reply, value, owners = net.every(planes)
            other = (cells + 1) % SIZE**2
            loss = functional.cross_entropy(policy, cells) + bce(
                value, 1 - won if inverted else won
            )
            loss = loss + 0.2 * functional.cross_entropy(reply, other)
            loss = loss + (owners.tanh() - planes[:, 1].flatten(1)).square().mean()
            optimiser.zero_grad()
            torch.autograd.backward(loss)
            optimiser.step()

    found = [each.cause for each in findings(played, train, Play())]
    assert ["inverted" in cause for cause in found] == [True] * inverted


def empty(net: Net, planes: Tensor, cells: Tensor, won: Tensor) -> Tensor:
    policy, raw = net(planes)
    return functional.cross_entropy(policy, cells) + 0.0 * bce(raw, won)


def of_a_teacher(net: Net, planes: Tensor, cells: Tensor, won: Tensor) -> Tensor:
    """Numbers that agree with the result in two thirds of the rows."""
    policy, raw = net(planes)
    target = (0.5 + 0.15 * (2 * won - 1) + 0.35 * torch.randn(len(won))).clamp(0.02, 0.98)
    return functional.cross_entropy(policy, cells) + bce(raw, target)


def with_noise(net: Net, planes: Tensor, cells: Tensor, won: Tensor) -> Tensor:
    policy, raw = net(planes)
    wrong = (torch.rand(len(won)) < 0.3).float()
    return functional.cross_entropy(policy, cells) + bce(raw, (won - wrong).abs())


@pytest.mark.parametrize(
    ("step", "words"),
    [
        (empty, "no loss trains the value"),
        (of_a_teacher, "targets are not the results of the games but numbers between them"),
        (with_noise, "label noise"),
    ],
)
def test_targets_that_are_no_results(step: Step, words: str, played: GameArchive) -> None:
    (cause,) = causes(step, played)
    assert words in cause


def with_distances(stones: Board, to_move: int) -> Planes:
    """The usual planes, and one on which the cells nearest to the first corner weigh more."""
    rows, columns = np.indices(stones.shape)
    weighted = (stones == 1) * (1.0 + rows + 2.0 * columns) / 32
    return np.concatenate([encode(stones, to_move), weighted[None]]).astype(np.float32)


def test_planes_that_an_augmentation_does_not_turn(played: GameArchive) -> None:
    def train(games: Games) -> Any:
        torch.manual_seed(0)
        net, rows = Net(), Script(shown=with_distances).rows(games)
        net.body[0] = nn.Conv2d(4, 12, 3, padding=1)
        optimiser = torch.optim.Adam(net.parameters(), 1e-3)
        for step in range(30):
            planes, cells, won = batch(rows, drawn(rows))
            if step % 2:
                turned = planes.flip(2, 3)
                planes = torch.cat([turned[:, :3], planes[:, 3:]], dim=1)
                cells = SIZE**2 - 1 - cells
            optimiser.zero_grad()
            policy, raw = net(planes)
            torch.autograd.backward(functional.cross_entropy(policy, cells) + bce(raw, won))
            optimiser.step()

    play = Play()
    play.net.body[0] = nn.Conv2d(4, 12, 3, padding=1)
    (found,) = findings(played, train, play, with_distances)
    assert "does not turn plane 3 with the others" in found.cause


def erased(gradient: Tensor) -> None:
    gradient.zero_()


def test_a_bias_that_a_softmax_takes_away_may_stand_still(played: GameArchive) -> None:
    def train(games: Games) -> Any:
        torch.manual_seed(0)
        net, rows = Net(), Script().rows(games)
        assert net.policy.bias is not None
        hook_on(net.policy.bias, erased)
        optimiser = torch.optim.SGD(net.parameters(), 1e-2)
        for _ in range(30):
            planes, cells, won = batch(rows, drawn(rows))
            optimiser.zero_grad()
            policy, raw = net(planes)
            torch.autograd.backward(functional.cross_entropy(policy, cells) + bce(raw, won))
            optimiser.step()

    assert not [f for f in findings(played, train, Play()) if "no gradient reaches" in f.cause]


def test_classes_of_a_constant_value_are_not_linear() -> None:
    classes = torch.linspace(-3, 3, 7)
    planes = torch.rand(16, 3, 5, 5)
    assert not list(linear_findings(lambda shown: classes.expand(len(shown), -1), planes))
    assert list(linear_findings(lambda shown: shown.flatten(1)[:, :7], planes))


class FromMoversView(nn.Module):
    """A value that is computed from the mover's own and other stones alone."""

    def __init__(self, told: bool) -> None:
        super().__init__()
        self.told = told
        torch.manual_seed(3)
        self.value = nn.Linear(2 * SIZE**2, 1)

    def forward(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        raw = 3 * self.value(planes[:, :2].flatten(1))[:, 0]
        side = planes[:, 2, 0, 0] if self.told else 1.0
        return planes[:, 0].flatten(1), raw * side

    def win_prob_red(self, raw: Tensor) -> Tensor:
        return raw.sigmoid()


def movers_view(stones: Board, to_move: int) -> Planes:
    side = to_move or -1
    own, other = stones == side, stones == -side
    if to_move == 1:
        own, other = own.T, other.T
    return np.stack([own, other, np.full(stones.shape, side)]).astype(np.float32)


@pytest.mark.parametrize("told", [False, True])
def test_a_value_of_one_colour_that_cannot_tell_colours(told: bool, played: GameArchive) -> None:
    foreign = ForeignNetwork(FromMoversView(told).eval(), movers_view, SIZE)
    found = list(check_mover_reading(ExaminedPipeline("own", archive=played, foreign=foreign)))
    named = [each for each in found if "is not told which colour" in each.cause]
    assert len(named) == (not told)


class Recogniser(nn.Module):
    """Knows the results of games by their first move, or those of boards by their stones."""

    def __init__(self, archive: GameArchive) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.known: dict[bytes, float] = {}
        for number in range(len(archive)):
            game = archive.game(number)
            board = np.zeros(SIZE**2, dtype=np.int8)
            for ply, cell in enumerate(game.moves):
                board[cell] = 1 if ply % 2 else -1
                self.known[board.tobytes()] = 4.0 * game.winner

    def forward(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        boards = (planes[:, 1] - planes[:, 0]).flatten(1).to(torch.int8).numpy()
        raw = [self.known.get(board.tobytes(), 0.5) for board in boards]
        return planes[:, 0].flatten(1), torch.tensor(raw)

    def win_prob_red(self, raw: Tensor) -> Tensor:
        return raw.sigmoid()


@pytest.mark.parametrize("knows", [True, False])
def test_results_that_are_known_by_heart(knows: bool, played: GameArchive) -> None:
    model: nn.Module = Recogniser(played) if knows else Play()
    foreign = ForeignNetwork(model.eval(), encode, SIZE)
    found = list(check_recognition(ExaminedPipeline("own", archive=played, foreign=foreign)))
    assert ["knows their results by heart" in each.cause for each in found] == [True] * knows


class OwnNorm(nn.Module):
    def __init__(self, scaled: bool = True) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(4)) if scaled else None
        self.register_buffer("moving_mean", torch.zeros(4))
        self.register_buffer("moving_variance", torch.ones(4))


@pytest.mark.parametrize(("updated", "scaled"), [(True, True), (False, True), (False, False)])
def test_statistics_of_norms_written_by_hand(updated: bool, scaled: bool) -> None:
    model = nn.Sequential(OwnNorm(scaled), OwnNorm(scaled))
    if updated:
        model[1].get_buffer("moving_mean").add_(0.1)
    foreign = ForeignNetwork(model, encode, SIZE)
    found = list(check_own_norms(ExaminedPipeline("own", foreign=foreign)))
    named = scaled and not updated
    assert ["never updated" in each.cause for each in found] == [True] * named
