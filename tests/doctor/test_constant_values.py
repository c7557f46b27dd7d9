"""Values that are cut off, or constant for any of several reasons, are told by their cause."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hexsearch.data.archive import GameArchive, build_archive
from hexsearch.doctor.checks.computation.edits import check_edits
from hexsearch.doctor.checks.computation.loaded_modules import check_loaded_modules
from hexsearch.doctor.checks.computation.loaded_weights import check_loaded_weights
from hexsearch.doctor.checks.computation.occupied import check_occupied
from hexsearch.doctor.checks.computation.overwritten import check_overwritten
from hexsearch.doctor.checks.network.encoders import check_encoder
from hexsearch.doctor.checks.network.movers import check_mover_reading
from hexsearch.doctor.checks.network.outputs import check_cut_answers
from hexsearch.doctor.checks.network.strengths import check_strength
from hexsearch.doctor.examine import examine
from hexsearch.doctor.hypotheses.general.initial_weights import has_vanished, is_drawn
from tests.doctor.conftest import SIZE
from tests.doctor.games import lopsided_games
from tests.doctor.healthy_networks import Encode, encode_absolute, encode_mover
from tests.doctor.test_answers import Oracle, _examined

_CELLS = SIZE * SIZE
Change = Callable[[Tensor], Tensor]


@pytest.fixture(scope="module")
def games() -> GameArchive:
    return build_archive(lopsided_games(160, SIZE))


class Perceptron(nn.Module):
    """An untrained network with a value for the side to move."""

    def __init__(self, read: Change = lambda raw: raw[:, 0].tanh()) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second = nn.Linear(2 * _CELLS, 64), nn.Linear(64, 64)
        self.value, self.policy = nn.Linear(64, 1), nn.Linear(64, _CELLS)
        self.read = read

    def forward(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        x = torch.relu(self.second(torch.relu(self.first(planes.flatten(1)))))
        return self.policy(x), self.read(self.value(x))

    def win_prob_red(self, raw: Tensor, to_move: Tensor) -> Tensor:
        chance = (raw + 1) / 2
        return torch.where(to_move > 0, chance, 1 - chance)


class ForRed(Perceptron):
    def win_prob_red(self, raw: Tensor) -> Tensor:  # type: ignore[override]
        return raw


def test_a_value_of_initial_weights_is_not_called_a_constant_label(games: GameArchive) -> None:
    pipeline = _examined(games, Perceptron(), encode_mover)
    (found,) = check_loaded_modules(pipeline)
    assert "the network has initial weights, or nearly" in found.cause
    assert [each.root for each in examine(pipeline).errors] == ["untrained"]


@pytest.mark.parametrize(
    ("level", "words"),
    [
        (3.0, "its label was constant"),
        (50.0, "the output is saturated"),
        (-3.0, "its label was constant"),
        (0.55, "0 where the side to move loses and 1 where it wins"),
    ],
)
def test_a_constant_value_of_the_side_to_move(level: float, words: str, games: GameArchive) -> None:
    model = Perceptron()
    with torch.no_grad():
        for layer in (model.first, model.second, model.value):  # as after some training
            layer.weight.add_(0.1 * torch.randn(layer.weight.shape))
        model.value.weight.mul_(0.01)
        model.value.bias.fill_(level)
    (found,) = check_mover_reading(_examined(games, model, encode_mover))
    assert words in found.cause


def test_a_softmax_over_one_output_is_told_from_labels(games: GameArchive) -> None:
    fixed = _examined(games, ForRed(lambda raw: raw.softmax(dim=1)[:, 0]), encode_mover)
    (found,) = check_loaded_modules(fixed)
    assert "a softmax over one output is always 1" in found.cause and found.root == "untrained"
    dead = ForRed(lambda raw: torch.relu(raw[:, 0]))
    with torch.no_grad():
        dead.value.bias.fill_(-9.0)
    (found,) = check_loaded_modules(_examined(games, dead, encode_mover))
    assert "a relu behind the last layer" in found.cause
    moving = _examined(games, ForRed(lambda raw: (5 + raw[:, 0]).sigmoid()), encode_mover)
    assert not any("softmax" in f.cause for f in check_loaded_modules(moving))
    assert any("labels were the same" in f.cause for f in check_strength(moving))


def test_weights_that_decayed_are_told(games: GameArchive) -> None:
    model = ForRed(lambda raw: raw[:, 0] + 0.5)
    assert not list(check_loaded_weights(_examined(games, model, encode_mover)))
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(1e-3)
        model.value.bias.fill_(0.2)
    (found,) = check_loaded_weights(_examined(games, model, encode_mover))
    assert "weight decay (L2 penalty) is far too strong" in found.cause


def test_initial_weights_are_known_after_a_decay_of_their_own() -> None:
    torch.manual_seed(0)
    layer, moved = nn.Linear(50, 100), nn.Linear(50, 100)
    with torch.no_grad():
        layer.weight.mul_(0.9)
        layer.bias.mul_(0.9)
        moved.weight.add_(0.05 * torch.randn(100, 50))
    assert is_drawn(layer) and not is_drawn(moved)
    assert not has_vanished(layer)


@pytest.mark.parametrize(
    ("cut", "words"),
    [(torch.relu, "no chance below 0.50"), (lambda v: -torch.relu(-v), "no chance above 0.50")],
)
def test_a_value_that_is_cut_off_at_one_end_is_named(
    cut: Change, words: str, games: GameArchive
) -> None:
    assert not list(check_cut_answers(_examined(games, Oracle(games))))
    model = Oracle(games, lambda policy, value, first: (policy, cut(value)))
    (found,) = check_cut_answers(_examined(games, model))
    assert words in found.cause and "relu" in found.cause
    biased = Oracle(games, lambda policy, value, first: (policy, value.clamp(max=0.58)))
    assert not list(check_cut_answers(_examined(games, biased)))  # all hidden units may be off


def test_answers_that_are_inverted_for_one_side_to_move_are_named(games: GameArchive) -> None:
    class Mixed(Oracle):
        def forward(self, planes: Tensor) -> tuple[Tensor, Tensor]:
            policy, value = super().forward(planes)
            red = planes[:, 2].mean(dim=(1, 2)) > 0.6
            return policy, torch.where(red & (value.abs() < 5), -value, value)

    (found,) = check_strength(_examined(games, Mixed(games)))
    assert "inverted where Red is to move" in found.cause


@pytest.mark.parametrize(
    ("encode", "whose"),
    [
        (lambda board, side: np.stack([board > 0, np.full(board.shape, side > 0)]), "Blue"),
        (lambda board, side: np.stack([board < 0, np.full(board.shape, side > 0)]), "Red"),
        (
            lambda board, side: np.stack([(board.T > 0 if side > 0 else board < 0)] * 2),
            "the side that has just moved",
        ),
    ],
)
def test_stones_that_the_planes_leave_out_are_named(
    encode: Callable[[NDArray[np.int8], int], NDArray[np.bool_]], whose: str, games: GameArchive
) -> None:
    def planes(board: NDArray[np.int8], side: int) -> NDArray[np.float32]:
        return encode(board, side).astype(np.float32)

    found = list(check_encoder(_examined(games, Perceptron(), planes)))
    assert any(f"the stones of {whose} are missing" in each.cause for each in found), found


def test_a_policy_that_plays_on_stones_is_told_from_others(games: GameArchive) -> None:
    assert not list(check_occupied(_examined(games, Oracle(games))))

    class Later(Oracle):
        def forward(self, planes: Tensor) -> tuple[Tensor, Tensor]:
            policy, value = super().forward(planes)
            return 0.1 * policy + 4.0 * planes[:, :2].sum(dim=1).flatten(1), value

    (found,) = check_occupied(_examined(games, Later(games)))
    assert "stored after its move" in found.cause


@pytest.mark.parametrize(
    ("taken", "whose"),
    [
        (lambda planes, mover: planes[:, 0], "of Blue"),
        (lambda planes, mover: torch.where(mover, planes[:, 1], planes[:, 0]), "of the side to"),
        (lambda planes, mover: planes[:, :2].sum(dim=1), ""),
    ],
)
def test_a_mask_that_covers_the_stones_of_one_side_is_named(
    taken: Callable[[Tensor, Tensor], Tensor], whose: str, games: GameArchive
) -> None:
    class Masked(Oracle):
        def forward(self, planes: Tensor) -> tuple[Tensor, Tensor]:
            policy, value = super().forward(planes)
            stones = taken(planes, planes[:, 2] > 0.6)
            return policy.masked_fill(stones.flatten(1) > 0, -1e9), value

    found = list(check_occupied(_examined(games, Masked(games))))
    assert [f"covers the stones {whose}" in each.cause for each in found] == [True] * bool(whose)


class Shortcut(nn.Module):
    """A block that begins with an activation, perhaps in place."""

    def __init__(self, inplace: bool) -> None:
        super().__init__()
        self.conv, self.act = nn.Conv2d(3, 3, 3, padding=1), nn.ReLU(inplace)

    def forward(self, x: Tensor) -> Tensor:
        changed: Tensor = self.conv(self.act(x))
        return changed + x


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (lambda: nn.Sequential(nn.Conv2d(3, 3, 1), Shortcut(True), Shortcut(True)), True),
        (lambda: nn.Sequential(nn.Conv2d(3, 3, 1), Shortcut(False), Shortcut(False)), False),
        # What is overwritten is not read again.
        (lambda: nn.Sequential(nn.Conv2d(3, 3, 1), nn.Sequential(nn.ReLU(True))), False),
    ],
)
def test_blocks_that_overwrite_what_their_shortcut_adds_are_named(
    body: Callable[[], nn.Module], told: bool, games: GameArchive
) -> None:
    class Blocks(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.body, self.policy = body(), nn.Conv2d(3, 1, 1)

        def forward(self, planes: Tensor) -> tuple[Tensor, Tensor]:
            features = self.body(planes)
            return self.policy(features).flatten(1), features.mean(dim=(1, 2, 3))

        def win_prob_red(self, raw: Tensor) -> Tensor:
            return raw.sigmoid()

    found = list(check_overwritten(_examined(games, Blocks().eval())))
    assert ["in Shortcut) changes" in each.evidence for each in found] == [True] * told


def test_units_with_equal_weights_are_named_in_a_network_of_ones_own(games: GameArchive) -> None:
    model = Perceptron()
    with torch.no_grad():
        model.second.weight.copy_(model.second.weight[:1].expand_as(model.second.weight))
    (found,) = check_loaded_modules(_examined(games, model, encode_mover))
    assert "begin with identical weights" in found.cause


def test_exchanged_planes_are_named_before_other_edits(games: GameArchive) -> None:
    def exchanged(board: NDArray[np.int8], side: int) -> NDArray[np.float32]:
        return encode_absolute(board, side)[[1, 0, 2]]

    encode: Encode = exchanged
    assert not list(check_edits(_examined(games, Oracle(games))))
    (found,) = check_edits(_examined(games, Oracle(games), encode))
    assert "planes 0 and 1 exchanged" in found.cause
