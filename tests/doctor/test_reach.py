"""What serves the value, what is random, and what is wrong for one colour, is measured."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hexsearch.config.data import StagesConfig
from hexsearch.data.archive import GameArchive, build_archive
from hexsearch.doctor.checks.board_sizes import size_findings
from hexsearch.doctor.checks.computation.loaded_weights import (
    _switched_off,
    _without_biases,
    check_loaded_weights,
)
from hexsearch.doctor.checks.data.auxiliary import check_auxiliary
from hexsearch.doctor.checks.data.columns import check_finished
from hexsearch.doctor.checks.network.encoders import check_encoder
from hexsearch.doctor.checks.network.independence import independence_findings
from hexsearch.doctor.checks.training.reach import (
    check_linear_answers,
    check_reach,
    check_variation,
    linear_findings,
)
from hexsearch.doctor.foreign import ForeignNetwork
from hexsearch.doctor.game_forms import last_boards
from hexsearch.doctor.hypotheses.noise import one_sided
from hexsearch.doctor.hypotheses.policies import AMONG_FREE, policy_scores
from hexsearch.doctor.networks import Observed, observe
from hexsearch.doctor.pipeline import ExaminedPipeline
from hexsearch.game.record import Game
from hexsearch.training.metrics import Evaluation
from tests.doctor.conftest import pipeline, tiny
from tests.doctor.games import lopsided_games
from tests.doctor.healthy_networks import ENCODERS
from tests.doctor.slips import Patch, in_losses
from tests.doctor.slips_eleventh_data import _from_the_winners_side
from tests.doctor.slips_tenth_data import _column_against_row

_PLUGINS = "tests.doctor.plugins_tenth:"


def test_a_value_that_is_read_from_the_stem_is_named(archive: GameArchive) -> None:
    assert not list(check_reach(pipeline(archive, tiny())))
    config = tiny(network=f"{_PLUGINS}ValueFromTheStem", policy_head={"weight": 1.0})
    (finding,) = check_reach(pipeline(archive, config))
    assert finding.severity == "warning"
    assert "computed from an early layer (inner.stem.weight)" in finding.cause


def test_a_value_that_is_the_same_for_all_positions_is_named(archive: GameArchive) -> None:
    assert not list(check_variation(pipeline(archive, tiny())))
    config = tiny(value_head={"family": f"{_PLUGINS}NormBeforeTheMean"})
    (finding,) = check_variation(pipeline(archive, config))
    assert "an operation behind value_head.norm is the same for all positions" in finding.cause


def test_an_auxiliary_loss_of_each_with_every_one_is_named(
    archive: GameArchive, monkeypatch: Patch
) -> None:
    config = tiny(auxiliary={"moves_left": 0.1})
    assert not list(check_auxiliary(pipeline(archive, config)))
    in_losses(_column_against_row)(monkeypatch)
    (finding,) = check_auxiliary(pipeline(archive, config))
    assert "as it should be, but its slope" in finding.evidence
    assert "every target of the batch" in finding.cause


class _Restless(nn.Module):
    """Adds something to its value that changes from call to call."""

    def __init__(self, draws: bool) -> None:
        super().__init__()
        self.draws, self.state = draws, 0.0

    def forward(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        value = planes.flatten(1).mean(dim=1)
        self.state = 0.5 * self.state + float(value[0])
        extra = torch.randn(len(value)) if self.draws else torch.full_like(value, self.state)
        return planes[:, 0].flatten(1), value + extra


@pytest.mark.parametrize(
    ("draws", "words"), [(True, "answers are random"), (False, "a state that is not reset")]
)
def test_random_numbers_are_told_from_a_state(draws: bool, words: str) -> None:
    planes = torch.rand(32, 2, 4, 4, generator=torch.Generator().manual_seed(0))
    before = str(np.random.get_state())
    (finding,) = independence_findings(_Restless(draws), planes)
    assert words in finding.cause
    assert str(np.random.get_state()) == before


def _evaluation(chance_of_blue: float, lean: float) -> Observed:
    """Answers on 400 positions, a fifth of them finished, by games that each has won half of."""
    rng = np.random.default_rng(0)
    red_won = rng.integers(0, 2, 400).astype(float)
    final = np.arange(400) % 5 == 0
    p = np.clip(0.5 + lean + 0.2 * (red_won - 0.5), 0, 1)
    p[final] = np.where(red_won[final] == 1, 0.97, 1 - chance_of_blue)
    zeros = np.zeros(400, dtype=np.int64)
    evaluation = Evaluation(p, red_won, zeros.astype(np.int8), zeros, final, np.arange(400), zeros)
    return cast(Observed, type("Answers", (), {"evaluation": evaluation})())


def test_wins_of_one_colour_that_are_taught_as_the_others_are_named() -> None:
    found = one_sided(_evaluation(0.5, 0.25))
    assert found is not None
    assert found[:2] == ("Blue", "Red")
    assert found[2:4] == pytest.approx((0.5, 0.97))
    assert one_sided(_evaluation(0.97, 0.0)) is None
    assert one_sided(_evaluation(0.5, 0.0)) is None  # boards of one colour that are not understood


def test_a_policy_of_legal_moves_is_read_by_their_numbers(archive: GameArchive) -> None:
    def encode(stones: NDArray[np.int8], to_move: int) -> NDArray[np.float32]:
        return ENCODERS["absolute"](stones, to_move)

    network = ForeignNetwork(
        lambda planes: (planes[:, 0].flatten(1), planes[:, 2].mean(dim=(1, 2))), encode, 5
    )
    observed = observe(network, archive, np.arange(40), StagesConfig(), 0)
    free = observed.positions.stones.reshape(len(observed.played), -1) == 0
    policy: NDArray[Any] = np.zeros_like(observed.policy)
    for row, cell in enumerate(observed.played):
        policy[row, free[row, : max(cell, 0)].sum()] = 5.0
    knows = Observed(
        observed.positions, observed.evaluation, observed.raw, observed.answered, policy,
        observed.played,
    )  # fmt: skip
    best = max(policy_scores(knows, 5), key=lambda score: score.gain)
    assert best.name == AMONG_FREE


def test_finished_boards_that_are_all_shown_empty_are_named(archive: GameArchive) -> None:
    def encode(stones: NDArray[np.int8], to_move: int) -> NDArray[np.float32]:
        shown = (stones.T if to_move > 0 else stones) * to_move
        return np.stack([shown == 1, shown == -1]).astype(np.float32)

    def model(planes: Tensor) -> tuple[Tensor, Tensor]:
        return planes[:, 0].flatten(1), planes.sum(dim=(1, 2, 3))

    network = ForeignNetwork(model, encode, 5)
    observed = observe(network, archive, np.arange(60), StagesConfig(), 0)
    given = ExaminedPipeline("own", foreign=network)
    given.__dict__["observed"] = observed
    causes = [finding.cause for finding in check_encoder(given)]
    assert any("every finished board without any stone" in cause for cause in causes), causes


class _Plain(nn.Module):
    """Two layers, with or without an activation between them."""

    def __init__(self, bends: bool) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.first, self.second = nn.Linear(25, 8), nn.Linear(8, 1)
        for weight in self.parameters():
            weight.data = torch.randn(weight.shape, generator=generator)
        self.bends = bends

    def forward(self, planes: Tensor) -> Tensor:
        inside = self.first(planes.flatten(1))
        out: Tensor = self.second(inside.relu() if self.bends else inside)
        return out.detach().double()


def test_a_linear_value_is_named() -> None:
    planes = torch.rand(16, 1, 5, 5, generator=torch.Generator().manual_seed(0))
    assert not list(linear_findings(_Plain(True), planes))
    (finding,) = linear_findings(_Plain(False), planes)
    assert "no activation acts between the layers" in finding.cause


def _loaded_weights(change: Callable[[Tensor], Tensor], lean: float = 0.0) -> list[str]:
    """Causes that are found for a network of four layers whose weights were changed."""
    generator = torch.Generator().manual_seed(0)
    layers = nn.Sequential(*(nn.Linear(16, 16) for _ in range(4)))
    for layer in layers:
        layer.weight.data = change(0.1 * torch.randn(16, 16, generator=generator))
    given = ExaminedPipeline("own", foreign=ForeignNetwork(layers, ENCODERS["absolute"], 4))
    given.__dict__["observed"] = _evaluation(0.97, lean)
    return [finding.cause for finding in check_loaded_weights(given)]


def test_weights_as_no_training_leaves_them_are_named() -> None:
    def at_most(weight: Tensor) -> Tensor:
        return torch.where(weight.abs() > 0.1, 0.0, weight)

    def at_least(weight: Tensor) -> Tensor:
        return torch.where(weight.abs() < 0.05, 0.0, weight)

    assert _loaded_weights(lambda weight: weight) == []
    (lengths,) = _loaded_weights(lambda weight: nn.functional.normalize(weight, dim=1))
    assert "the lengths of the weights are lost" in lengths
    (largest,) = _loaded_weights(at_most)
    assert "the largest weights were removed" in largest
    assert _loaded_weights(at_least) == []  # it answers well, so it is pruned well
    (smallest,) = _loaded_weights(at_least, 0.45)
    assert "small weights were removed (pruned)" in smallest
    assert _loaded_weights(lambda weight: weight * torch.tensor([1.0] * 12 + [0.0] * 4), 0.45) == []


def test_finished_boards_of_one_label_are_named(archive: GameArchive, monkeypatch: Patch) -> None:
    config = tiny(encoder={"perspective": "mover"})
    assert not list(check_finished(pipeline(archive, config)))
    _from_the_winners_side(monkeypatch)
    (finding,) = check_finished(pipeline(archive, config))
    assert "encoded from the winner's side" in finding.cause


def test_games_of_a_smaller_board_are_told_by_their_size() -> None:
    small = [
        Game(5, tuple(c // 4 * 5 + c % 4 for c in game.moves), game.winner, False, "small", n)
        for n, game in enumerate(lopsided_games(40, 4))
    ]
    whole = lopsided_games(100, 5)
    assert not list(size_findings(build_archive(whole)))
    (finding,) = size_findings(build_archive([*small, *whole]))
    assert "games are of a smaller board, 4x4" in finding.cause


def test_games_that_end_on_the_boards_of_training_games_are_told(archive: GameArchive) -> None:
    dataset = pipeline(archive, tiny()).dataset
    assert dataset is not None
    games = dataset.train_games[:60]
    turned = [archive.game(int(game)) for game in games]
    cells = [tuple(24 - cell for cell in game.moves) for game in turned]
    others = [
        Game(5, (moves[2], moves[1], moves[0], *moves[3:]), game.winner, True, "others", n)
        for n, (moves, game) in enumerate(zip(cells, turned, strict=True))
    ]
    assert last_boards(build_archive(others), np.arange(60)) == last_boards(archive, games)


def test_a_model_that_looks_stones_up_is_not_given_other_numbers(archive: GameArchive) -> None:
    table = nn.Embedding(3, 4)

    def model(planes: Tensor) -> tuple[Tensor, Tensor]:
        tokens = table((planes[:, 0] + 2 * planes[:, 1]).long().flatten(1))
        return tokens.sum(dim=2).detach(), tokens.sum(dim=(1, 2)).detach()

    def encode(stones: NDArray[np.int8], to_move: int) -> NDArray[np.float32]:
        if to_move == 0:
            raise KeyError(to_move)
        return np.stack([stones == -1, stones == 1]).astype(np.float32)

    network = ForeignNetwork(model, encode, 5)
    network.for_mover = True  # finished boards are then encoded as if the game went on
    given = ExaminedPipeline("own", foreign=network)
    given.__dict__["observed"] = observe(network, archive, np.arange(60), StagesConfig(), 0)
    assert not list(check_linear_answers(given))
    assert not [f for f in check_encoder(given) if "finished" in f.cause]


def test_lost_signs_and_biases_are_named() -> None:
    (signs,) = _loaded_weights(torch.abs)
    assert "absolute values were saved or loaded" in signs
    norms = nn.Sequential(nn.BatchNorm2d(8), nn.BatchNorm2d(8))
    assert _switched_off(norms) is None
    for scale in (parameter.data for name, parameter in norms.named_parameters() if "w" in name):
        scale[:5] = 0.0
    off = _switched_off(norms)
    assert off is not None and "62% of these in all" in off[0]
    planes = torch.zeros(2, 8, 7, 7)
    fused = nn.Sequential(*(nn.Conv2d(8, 8, 3, padding=1, bias=False) for _ in range(3)))
    found = _without_biases(fused, lambda: fused(planes))
    assert found is not None and "no norm follows them" in found[0]
    normed = nn.Sequential(fused, nn.BatchNorm2d(8)).eval()
    assert _without_biases(normed, lambda: normed(planes)) is None


@pytest.mark.parametrize("normed", [False, True])
def test_biases_of_zero_are_lost_unless_a_norm_follows(normed: bool) -> None:
    parts: list[nn.Module] = []
    for _ in range(3):
        parts += [nn.Conv2d(8, 8, 3), *([nn.BatchNorm2d(8)] if normed else [])]
    network = nn.Sequential(*parts, nn.Flatten(), nn.Linear(8, 8)).eval()
    planes = torch.zeros(2, 8, 7, 7)
    assert _without_biases(network, lambda: network(planes)) is None
    for part in parts:
        if isinstance(part, nn.Conv2d) and part.bias is not None:
            part.bias.data.zero_()
    found = _without_biases(network, lambda: network(planes))
    assert (found is None) == normed
    assert found is None or "the biases of 3 of 3 convolutions" in found[0]
