"""Answers of a user's own network are described in general terms: where, by how much, from what."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hexsearch.config.data import DataConfig
from hexsearch.data.archive import GameArchive, build_archive
from hexsearch.doctor.checks.computation.edits import check_edits
from hexsearch.doctor.checks.computation.loaded_modules import check_loaded_modules
from hexsearch.doctor.checks.computation.seen import check_seen
from hexsearch.doctor.checks.network.calibration import check_compression
from hexsearch.doctor.checks.network.encoders import check_encoder
from hexsearch.doctor.checks.network.independence import check_trained
from hexsearch.doctor.checks.network.policies import check_policy_cells
from hexsearch.doctor.checks.network.strengths import check_strength
from hexsearch.doctor.checks.training.reading import check_answers
from hexsearch.doctor.foreign import ForeignNetwork
from hexsearch.doctor.pipeline import ExaminedPipeline
from hexsearch.game.board import RED
from tests.doctor.conftest import SIZE
from tests.doctor.games import lopsided_games
from tests.doctor.healthy_networks import Encode, encode_absolute, encode_mover
from tests.doctor.scripts import of_the_mover

_CELLS = SIZE * SIZE


@pytest.fixture(scope="module")
def games() -> GameArchive:
    return build_archive(lopsided_games(160, SIZE))


class Oracle(nn.Module):
    """Knows the results and the moves of some games, with noise.

    Args:
        change: what happens to policy logits [P, N*N] and to the logit of Red's chance [P]; it also
            gets the first move of each position's game [P].
    """

    def __init__(
        self,
        games: GameArchive,
        change: Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]] = lambda p, v, f: (p, v),
    ) -> None:
        super().__init__()
        self.change = change
        self.known: dict[bytes, tuple[float, Tensor, int]] = {}
        draw = np.random.default_rng(1)
        for index in range(len(games)):
            game = games.game(index)
            board = np.zeros(_CELLS, dtype=np.int8)
            for ply, cell in enumerate((*game.moves, -1)):
                # A calibrated answer: of this confidence, as many are right as it says.
                sure = 6.0 if cell < 0 else 3.5 * draw.random()
                right = draw.random() < 1 / (1 + np.exp(-sure))
                logit = sure if right == (game.winner == RED) else -sure
                policy = torch.from_numpy(0.5 * draw.normal(size=_CELLS)).float()
                self.known[board.tobytes()] = (logit, policy, game.moves[0])
                if cell >= 0:
                    policy[cell] += 2.0
                    board[cell] = -1 if ply % 2 == 0 else 1

    def forward(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        boards = (planes[:, 1] - planes[:, 0]).to(torch.int8).flatten(1).numpy()
        known = [self.known.get(board.tobytes(), (0.0, torch.zeros(_CELLS), 0)) for board in boards]
        policy = torch.stack([each for _, each, _ in known])
        value = torch.tensor([logit for logit, _, _ in known])
        first = torch.tensor([cell for _, _, cell in known])
        return self.change(policy, value, first)

    def win_prob_red(self, raw: Tensor) -> Tensor:
        return raw.sigmoid()


def _examined(
    games: GameArchive, model: nn.Module, encode: Encode = encode_absolute
) -> ExaminedPipeline:
    foreign = ForeignNetwork(model, encode, SIZE)
    return ExaminedPipeline("own", archive=games, data=DataConfig(board_size=SIZE), foreign=foreign)


def test_an_oracle_has_no_finding(games: GameArchive) -> None:
    pipeline = _examined(games, Oracle(games))
    for check in (check_compression, check_policy_cells, check_strength):
        assert not (found := list(check(pipeline))), found


def test_a_decoding_may_read_values_as_a_column(games: GameArchive) -> None:
    model = Oracle(games)
    model.win_prob_red = lambda raw: raw[:, 0].sigmoid()  # type: ignore[method-assign]
    plain, column = _examined(games, Oracle(games)).observed, _examined(games, model).observed
    assert plain is not None
    assert column is not None
    assert np.array_equal(plain.answered, column.answered)


def test_answers_that_are_inverted_in_some_games_are_named_by_their_condition(
    games: GameArchive,
) -> None:
    low = Oracle(games, lambda p, v, first: (p, torch.where(first >= 3 * SIZE, -v, v)))
    (finding,) = check_strength(_examined(games, low))
    assert "inverted where the row of the first move is at least 3" in finding.cause, finding


def test_answers_that_lean_to_one_colour_are_named(games: GameArchive) -> None:
    leaning = Oracle(games, lambda p, v, first: (p, v + 2.0))
    (finding,) = check_compression(_examined(games, leaning))
    assert "answers lean to Red, by a factor of" in finding.cause, finding


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda policy: policy / 20, "on another scale"),
        (lambda policy: policy[:, torch.randperm(_CELLS)], "another numbering of the cells"),
    ],
)
def test_policies_on_another_scale_and_with_permuted_cells_are_named(
    change: Callable[[Tensor], Tensor], words: str, games: GameArchive
) -> None:
    def changed(policy: Tensor, value: Tensor, first: Tensor) -> tuple[Tensor, Tensor]:
        torch.manual_seed(3)
        return change(policy), value

    (finding,) = check_policy_cells(_examined(games, Oracle(games, changed)))
    assert words in finding.cause, finding


def test_moves_that_were_not_turned_with_their_boards_are_named(games: GameArchive) -> None:
    def mixed(policy: Tensor, value: Tensor, first: Tensor) -> tuple[Tensor, Tensor]:
        return torch.logaddexp(policy, policy.flip(1)), value

    (finding,) = check_policy_cells(_examined(games, Oracle(games, mixed)))
    assert "from the same move turned by 180 degrees" in finding.cause, finding


def test_a_value_of_a_side_that_no_plane_shows_is_named(games: GameArchive) -> None:
    model = Oracle(games)
    model.win_prob_red = of_the_mover  # type: ignore[assignment]
    blind = _examined(games, model, lambda stones, to_move: encode_absolute(stones, 0))
    (finding,) = check_encoder(blind)
    assert "no plane shows who is to move" in finding.cause
    assert not list(check_encoder(_examined(games, model, encode_mover)))


class Normed(nn.Module):
    """Convolutions with batch norms, whose statistics are those of the planes of some games."""

    def __init__(self, games: GameArchive, shown: Callable[[Tensor], Tensor] = lambda x: x) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second = nn.Conv2d(3, 16, 3, padding=1), nn.Conv2d(16, 16, 3, padding=1)
        self.norms = nn.ModuleList([nn.BatchNorm2d(16, momentum=None) for _ in range(2)])
        self.rectify: Callable[[Tensor], Tensor] = torch.relu
        self.read: Callable[[Tensor], Tensor] = lambda planes: planes
        planes = _examined(games, self).foreign.planes(_positions(games))  # type: ignore[union-attr]
        with torch.no_grad():
            self(shown(planes))
        self.eval()

    def forward(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        x = self.rectify(self.norms[0](self.first(self.read(planes))))
        x = torch.relu(self.norms[1](self.second(x)))
        return x.mean(dim=1).flatten(1), x.mean(dim=(1, 2, 3))


def _positions(games: GameArchive):  # type: ignore[no-untyped-def]
    examined = _examined(games, Oracle(games))
    assert examined.observed is not None
    return examined.observed.positions


def test_inputs_as_in_training_are_no_finding(games: GameArchive) -> None:
    assert not list(check_seen(_examined(games, Normed(games))))


@pytest.mark.parametrize(
    ("shown", "words"),
    [
        (lambda planes: (planes - 0.2) / 0.4, "planes standardised"),
        (lambda planes: planes[:, [2, 1, 0]], "planes 2 and 0 exchanged"),
        (lambda planes: torch.where(planes == 1, 255.0, planes), "255"),
    ],
)
def test_planes_of_training_are_told_by_the_statistics_of_the_first_norm(
    shown: Callable[[Tensor], Tensor], words: str, games: GameArchive
) -> None:
    (finding,) = check_seen(_examined(games, Normed(games, shown)))
    assert finding.severity == "error"
    assert words in finding.cause, finding


def test_positions_of_training_are_told_by_the_statistics_of_the_first_norm(
    games: GameArchive,
) -> None:
    def last(planes: Tensor) -> Tensor:
        return planes[planes[:, 2, 0, 0] == 0.5]

    (finding,) = check_seen(_examined(games, Normed(games, last)))
    assert "trained on finished boards only" in finding.cause, finding


def test_levels_of_planes_are_told_where_no_known_change_explains_them(games: GameArchive) -> None:
    odd = Normed(games, lambda planes: planes * torch.tensor([1.0, 1.0, 7.0]).view(1, 3, 1, 1) + 3)
    (finding,) = check_seen(_examined(games, odd))
    assert "3." in finding.cause
    assert "in training" in finding.cause, finding


def test_another_computation_is_placed_between_two_norms(games: GameArchive) -> None:
    model = Normed(games)
    model.rectify = torch.neg
    (finding,) = check_seen(_examined(games, model))
    assert "between norms.0 and norms.1" in finding.cause, finding


class Stale(nn.Module):
    """The oracle's value behind a norm whose statistics are not those of its inputs."""

    def __init__(self, games: GameArchive, off: float) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.oracle = Oracle(games)
        self.first, self.norm = nn.Conv2d(3, 8, 1), nn.BatchNorm2d(8, momentum=None)
        self.last = nn.BatchNorm1d(4, momentum=None)
        foreign = _examined(games, self).foreign
        assert foreign is not None
        with torch.no_grad():
            self(foreign.planes(_positions(games)))
            assert self.norm.running_var is not None
            assert self.last.running_mean is not None
            assert self.last.running_var is not None
            self.norm.running_var *= 1.6
            self.last.running_mean += off * self.last.running_var.sqrt()
        self.eval()

    def forward(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        self.norm(self.first(planes))
        policy, logit = self.oracle(planes)
        return policy, 2 * self.last(logit[:, None].repeat(1, 4)).mean(dim=1)

    def win_prob_red(self, raw: Tensor) -> Tensor:
        return raw.sigmoid()


def test_statistics_that_are_not_those_of_the_inputs_are_named(games: GameArchive) -> None:
    assert not list(check_seen(_examined(games, Stale(games, 0.0))))
    (finding,) = check_seen(_examined(games, Stale(games, 0.9)))
    assert "statistics are not those of what the network is given" in finding.cause, finding


class Ending(nn.Module):
    """Reads the oracle's value from features that are flattened by row, column and channel."""

    def __init__(self, games: GameArchive, last: bool) -> None:
        super().__init__()
        self.oracle, self.last = Oracle(games), last
        self.value = nn.Linear(2 * _CELLS, 1, bias=False)
        with torch.no_grad():
            self.value.weight.zero_()
            self.value.weight[0, 7] = 1.0  # the second channel of the fourth cell

    def forward(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        policy, logit = self.oracle(planes)
        features = torch.randn(len(planes), 2, SIZE, SIZE)
        features[:, 1, 0, 3] = logit
        flat = features.permute(0, 2, 3, 1) if self.last else features
        return policy, self.value(flat.flatten(1)).squeeze(1)

    def win_prob_red(self, raw: Tensor) -> Tensor:
        return raw.sigmoid()


def test_features_that_are_flattened_in_another_order_are_named(games: GameArchive) -> None:
    assert not list(check_edits(_examined(games, Ending(games, last=True))))
    (finding,) = check_edits(_examined(games, Ending(games, last=False)))
    assert "flattened by row, column, channel" in finding.cause, finding


class Counting(nn.Module):
    """A value of the stones without their places."""

    def forward(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        tokens = planes.flatten(2).transpose(1, 2)
        value = (tokens * torch.tensor([1.0, 1.3, 0.2])).sum(dim=2).exp().mean(dim=1)
        return tokens.sum(dim=2), value


def test_cells_without_a_place_are_named(games: GameArchive) -> None:
    pipeline = _examined(games, Counting())
    causes = [finding.cause for finding in check_trained(pipeline)]
    assert any("cells have no position" in cause for cause in causes), causes


def test_a_plane_that_the_value_does_not_read_is_named(games: GameArchive) -> None:
    model = Normed(games)
    assert not list(check_answers(_examined(games, model)))

    def without(planes: Tensor) -> Tensor:
        return planes * torch.tensor([1.0, 0.0, 1.0]).view(1, 3, 1, 1)

    model.read = without
    (finding,) = check_answers(_examined(games, model))
    assert "does not depend on plane 1" in finding.cause, finding


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda weight: (weight * 8).round() / 8, "rounded to few levels"),
        (lambda weight: weight * (weight.abs() > 0.05), "are exactly 0"),
    ],
)
def test_weights_that_are_rounded_or_cut_are_named(
    change: Callable[[Tensor], Tensor], words: str, games: GameArchive
) -> None:
    model = Normed(games)
    assert not any(words in f.cause for f in check_loaded_modules(_examined(games, model)))
    with torch.no_grad():
        model.second.weight.copy_(change(model.second.weight))
    found = list(check_loaded_modules(_examined(games, model)))
    assert any(words in finding.cause for finding in found), found


def _upper(planes: Tensor) -> Tensor:
    kept: NDArray[np.float32] = np.zeros((SIZE, SIZE), dtype=np.float32)
    kept[:3] = 1
    return planes * torch.from_numpy(kept)


def test_rows_that_the_value_does_not_read_are_named(games: GameArchive) -> None:
    model = Normed(games)
    model.read = _upper
    (finding,) = check_answers(_examined(games, model))
    assert "row(s) 3, 4" in finding.cause, finding
