"""Values that a wrong loss, a wrong target or a wrong read-out leaves are told by their cause."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from hexsearch.data.archive import GameArchive, build_archive
from hexsearch.doctor.checks.computation.loaded_modules import check_loaded_modules
from hexsearch.doctor.checks.computation.loaded_weights import check_loaded_weights
from hexsearch.doctor.checks.network.calibration import check_compression, check_label_noise
from hexsearch.doctor.checks.network.independence import check_trained
from hexsearch.doctor.checks.network.outputs import check_sizes
from hexsearch.doctor.checks.network.values import check_range, check_reading
from hexsearch.doctor.checks.results import check_results
from hexsearch.doctor.foreign import ForeignNetwork
from hexsearch.doctor.hypotheses.boards.exchanged import blind_to_exchange
from hexsearch.doctor.pipeline import needed
from hexsearch.game.record import Game
from tests.doctor.conftest import SIZE
from tests.doctor.games import lopsided_games
from tests.doctor.healthy_networks import encode_absolute, encode_mover
from tests.doctor.test_answers import Oracle, _examined
from tests.doctor.test_constant_values import Perceptron

_CELLS = SIZE * SIZE
_FINAL = 5.9  # logit of an oracle on finished boards, and on no others
Change = Callable[[Tensor], Tensor]


@pytest.fixture(scope="module")
def games() -> GameArchive:
    return build_archive(lopsided_games(160, SIZE))


class Reports(Oracle):
    """An oracle whose logits of Red's chance are changed, and read in another way."""

    def __init__(
        self, games: GameArchive, change: Change, read: Change = lambda raw: raw.sigmoid()
    ) -> None:
        super().__init__(games, lambda policy, value, first: (policy, change(value)))
        self.read = read

    def win_prob_red(self, raw: Tensor) -> Tensor:
        return self.read(raw)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda v: -300 - 10 * v, "grown without bound"),
        (lambda v: torch.where(v > 1, v, 50 * (v - 1)), "driven to 0 without bound"),
        (lambda v: torch.where(v < -1, v, 50 * (v + 1)), "driven to 1 without bound"),
        (lambda v: v, ""),
    ],
)
def test_raw_values_without_bound_are_reported(
    change: Change, words: str, games: GameArchive
) -> None:
    found = list(check_sizes(_examined(games, Reports(games, change))))
    assert [words in each.cause for each in found] == ([True] if words else []), found


def test_two_sigmoids_are_told_from_labels_of_one_colour(games: GameArchive) -> None:
    def driven(logit: Tensor) -> Tensor:
        # What such a loss leaves of chances that are not sure.
        return (2 * (logit / 4).sigmoid() - 1).clamp_min(1e-3)

    (found,) = check_label_noise(_examined(games, Reports(games, driven, lambda raw: raw)))
    assert "two sigmoids stand one behind the other" in found.cause
    assert not list(check_label_noise(_examined(games, Oracle(games))))


def _faint(logit: Tensor) -> Tensor:
    """Answers near one half, of which one in eight is wrong on finished boards, too."""
    return 0.03 * torch.where(torch.arange(len(logit)) % 8 == 0, -logit, logit)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda v: torch.where(v.abs() > _FINAL, v, 0.1 * v), "only the last position of a game"),
        (lambda v: 0.03 * v, "labels were smoothed as much"),
        (_faint, "labels were smoothed nearly to one half"),
    ],
)
def test_answers_near_one_half_are_told_apart(
    change: Change, words: str, games: GameArchive
) -> None:
    (found,) = check_compression(_examined(games, Reports(games, change)))
    assert words in found.cause


def test_targets_of_0_and_1_for_a_value_from_minus_1_are_named(games: GameArchive) -> None:
    def read(raw: Tensor) -> Tensor:
        return (raw.tanh() + 1) / 2

    (found,) = check_reading(
        _examined(games, Reports(games, lambda v: v.sigmoid().clamp_max(0.999).atanh(), read))
    )
    assert "trained on targets of 0 and 1" in found.cause


@pytest.mark.parametrize(
    ("read", "words"),
    [
        (lambda raw: raw.softmax(dim=0), "depends on the other positions of the batch"),
        (lambda raw: ((raw - raw.mean()) / raw.std()).sigmoid(), "depends on the other positions"),
        (lambda raw: (raw + torch.randn(raw.shape)).sigmoid(), "draws random numbers"),
    ],
)
def test_a_readout_that_depends_on_more_than_its_raw_value_is_named(
    read: Change, words: str, games: GameArchive
) -> None:
    (found,) = check_trained(_examined(games, Reports(games, lambda v: v, read)))
    assert words in found.cause
    assert not list(check_trained(_examined(games, Oracle(games))))


def test_answers_that_are_not_finite_with_finite_weights_are_named(games: GameArchive) -> None:
    (found,) = check_range(_examined(games, Reports(games, lambda v: v * float("nan"))))
    assert "although all weights are" in found.cause


class _Linear(nn.Module):
    """A value that is the sum over Red's stones, with or without minus that over Blue's."""

    def __init__(self, sign: float) -> None:
        super().__init__()
        draw = torch.Generator().manual_seed(0)
        self.weights = torch.randn((SIZE, SIZE), generator=draw)
        self.sign = sign

    def forward(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        red = (planes[:, 1] * self.weights).sum((1, 2))
        blue = (planes[:, 0] * self.weights.T).sum((1, 2))
        return planes[:, 0].flatten(1), red + self.sign * blue

    def win_prob_red(self, raw: Tensor) -> Tensor:
        return raw.sigmoid()


@pytest.mark.parametrize(("sign", "blind"), [(1.0, True), (-1.0, False)])
def test_answers_that_stay_when_colours_are_exchanged_are_named(
    sign: float, blind: bool, games: GameArchive
) -> None:
    pipeline = _examined(games, _Linear(sign))
    told = blind_to_exchange(pipeline.foreign, needed(pipeline.observed))
    assert ("colours were exchanged at random" in told) == blind


def test_dead_units_are_told_from_initial_weights(games: GameArchive) -> None:
    model = Perceptron()
    with torch.no_grad():
        model.second.bias.fill_(-9.0)
    (found,) = check_loaded_modules(_examined(games, model, encode_mover))
    assert "1 of 2 relus are dead" in found.cause and found.root == "dead"


def test_weights_that_began_with_0_are_told_from_decayed_ones(games: GameArchive) -> None:
    model = Perceptron(lambda raw: raw[:, 0])
    with torch.no_grad():
        for weight in model.parameters():
            weight.zero_()
        model.value.bias.fill_(0.2)
    (found,) = check_loaded_weights(_examined(games, model, encode_mover))
    assert "they began with 0" in found.cause


class _Normalised(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.norm = nn.Conv2d(3, 16, 3, padding=1), nn.BatchNorm2d(16)
        self.policy, self.value = nn.Conv2d(16, 1, 1), nn.Linear(16 * _CELLS, 1)

    def forward(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        x = torch.relu(self.norm(self.first(planes)))
        return self.policy(x).flatten(1), self.value(x.flatten(1))[:, 0]

    def win_prob_red(self, raw: Tensor) -> Tensor:
        return raw.sigmoid()


def test_a_training_of_a_few_batches_is_told_by_its_batch_norms(games: GameArchive) -> None:
    network = ForeignNetwork(_Normalised().eval(), encode_absolute, SIZE)
    assert isinstance(network.model, nn.Module)
    pipeline = _examined(games, network.model)
    planes = network.planes(needed(pipeline.observed).positions)
    for start in range(12):
        network.model.train()(planes[start * 64 : start * 64 + 64])
    (found,) = check_loaded_modules(_examined(games, network.model.eval()))
    assert "it has seen 12 batches" in found.cause


def _given(games: GameArchive, change: Callable[[list[int]], list[int]]) -> GameArchive:
    records = [games.game(index) for index in range(len(games))]
    return build_archive(
        [Game(g.size, tuple(change(list(g.moves))), g.winner, False, "g", g.line) for g in records]
    )


def _by_column(moves: list[int]) -> list[int]:
    """The moves of each colour, sorted column by column."""

    def key(cell: int) -> int:
        return cell % SIZE * SIZE + cell // SIZE

    moves[::2], moves[1::2] = sorted(moves[::2], key=key), sorted(moves[1::2], key=key)
    return moves


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda moves: moves[:-1], "the last move of each game, which wins it, is missing"),
        (_by_column, "of each colour in ascending order, column by column"),
    ],
)
def test_games_whose_moves_are_not_those_played_are_reported(
    change: Callable[[list[int]], list[int]], words: str, games: GameArchive
) -> None:
    given = _examined(_given(games, change), Perceptron(), encode_mover)
    causes = [each.cause for each in check_results(given)]
    assert any(words in cause for cause in causes), causes
    played = _examined(games, Perceptron(), encode_mover)
    assert not any(words in each.cause for each in check_results(played))


def test_an_oracle_knows_finished_boards_alone_by_its_largest_logit(games: GameArchive) -> None:
    """What the tests above rest on."""
    observed = needed(_examined(games, Oracle(games)).observed)
    assert np.array_equal(np.abs(observed.raw) > _FINAL, observed.evaluation.final)
