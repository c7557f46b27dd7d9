"""What runs, what a loss depends on, and which function numbers are, is measured."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from hexsearch.data.archive import GameArchive, build_archive
from hexsearch.data.batch import Batch
from hexsearch.doctor.checks.training.ranges import check_ranges
from hexsearch.doctor.checks.training.readouts import check_contract
from hexsearch.doctor.checks.training.seeds import check_seeds
from hexsearch.doctor.checks.training.structure import _in_train_mode, check_settings
from hexsearch.doctor.checks.training.train_mode import check_train_mode
from hexsearch.doctor.foreign import ForeignNetwork
from hexsearch.doctor.hypotheses.boards.adjacency import connects, other_adjacency
from hexsearch.doctor.hypotheses.general.beyond import follows_a_cell
from hexsearch.doctor.hypotheses.general.calls import calls
from hexsearch.doctor.hypotheses.general.functions import function_of
from hexsearch.doctor.hypotheses.general.logit_slopes import explain_by_slopes
from hexsearch.doctor.hypotheses.general.orders import reordered_within, repeated_rows
from hexsearch.doctor.pipeline import needed
from hexsearch.game.board import BLUE, RED, winners
from hexsearch.game.distance import connection_distances
from hexsearch.model.network import Network, NetworkOutput
from tests.doctor.conftest import pipeline, quick, tiny
from tests.doctor.sets_of_slips import EIGHTH_PUT_ASIDE
from tests.doctor.slips import Patch, in_losses, in_network, in_value_loss
from tests.doctor.slips_eighth_data import _ended_early
from tests.doctor.slips_eighth_training import SLIPS


class _Parts(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(3, 3), nn.ReLU(), nn.Dropout(0.5))
        self.hidden = [nn.Linear(3, 3)]

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.layers(x)
        return out


def test_a_module_in_a_list_runs_as_a_stranger() -> None:
    network = _Parts().eval()
    found = calls(network, lambda: network.hidden[0](network(torch.ones(1, 3))))
    assert list(found.strangers.values()) == ["Linear"]
    assert "hidden (list)" in next(iter(found.strangers))
    assert not found.left_out
    assert not found.training


def test_norms_that_eval_does_not_reach_are_said_to_be_kept_in_a_list() -> None:
    network: Any = _Parts().eval()
    network.hidden = [nn.BatchNorm1d(3)]
    run = network.hidden[0]
    (finding,) = _in_train_mode(calls(network, lambda: run(network(torch.ones(2, 3)))))
    assert "eval() does not reach them, in hidden (list)" in finding.cause
    network.layers.train()
    (finding,) = _in_train_mode(calls(network, lambda: run(network(torch.ones(2, 3)))))
    assert "eval() is missing" in finding.cause


class _Lowered(nn.Module):
    """Puts out less in train mode than in eval mode."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.inner(x)
        return out - 0.7 if self.training else out


def test_a_module_that_computes_something_else_in_training_is_named(
    archive: GameArchive, monkeypatch: Patch
) -> None:
    assert not list(check_train_mode(pipeline(archive, tiny())))
    in_network(lambda n: setattr(n, "value_head", _Lowered(n.value_head)))(monkeypatch)
    (finding,) = check_train_mode(pipeline(archive, tiny()))
    assert "value_head computes something else in training" in finding.cause
    assert "-0.7 in each" in finding.cause


@pytest.mark.parametrize("more", [0, 1])
def test_features_that_are_cut_in_training_by_the_network_itself_are_named(
    more: int, archive: GameArchive, monkeypatch: Patch
) -> None:
    original = Network.forward

    def halved(self: Network, planes: Tensor, auxiliary: bool = False) -> NetworkOutput:
        if not self.training:
            return original(self, planes, auxiliary)
        for _ in range(1 + more):  # may call its modules more often, too
            features = self.trunk(planes)
        features = features * (torch.arange(features.shape[1]) % 2)[:, None, None]
        return NetworkOutput(self.policy_head(features), self.value_head(features))

    monkeypatch.setattr(Network, "forward", halved)
    (finding,) = check_train_mode(pipeline(archive, tiny()))
    assert "the network's own forward() computes something else in training" in finding.cause


def test_a_seed_that_is_set_inside_a_plug_in_is_named(archive: GameArchive) -> None:
    assert not list(check_seeds(pipeline(archive, tiny())))
    head = tiny(value_head={"family": "tests.doctor.plugins:EqualHead"})
    (finding,) = check_seeds(pipeline(archive, head))
    assert "a seed is set inside the network (value head)" in finding.cause


@pytest.mark.parametrize(
    ("module", "words"),
    [
        (nn.BatchNorm2d(8, momentum=0.99), "0.01 here"),
        (nn.BatchNorm2d(8, eps=1.0), "epsilon of 1 in norms"),
        (nn.Dropout(0.95), "the share that is dropped"),
    ],
)
def test_settings_that_are_seldom_meant_are_named(
    module: nn.Module, words: str, archive: GameArchive
) -> None:
    foreign = ForeignNetwork(nn.Sequential(nn.BatchNorm2d(8), nn.Dropout(0.5), module), _nothing, 5)
    (finding,) = check_settings(pipeline(archive, tiny(), foreign=foreign))
    assert words in finding.cause


def _nothing(stones: object, to_move: int) -> Any:
    raise AssertionError("no position is encoded")


def test_a_read_out_that_is_not_proper_is_told_by_how_much(archive: GameArchive) -> None:
    assert not list(check_contract(pipeline(archive, tiny(readout={"name": "tanh_logcosh"}))))
    cautious = tiny(readout={"name": "tests.doctor.plugins:Cautious"})
    (finding,) = check_contract(pipeline(archive, cautious))
    assert "win_prob is too near to one half" in finding.cause


def test_features_that_hardly_differ_between_positions_are_named(archive: GameArchive) -> None:
    family = "tests.doctor.plugins:sigmoid_layers"
    faded = tiny(trunk={"family": family, "features": 32}, value_head="32->1")
    found = list(check_ranges(pipeline(archive, faded)))
    assert any("positions give nearly the same features" in f.cause for f in found), found


def test_answers_that_follow_one_cell_are_told() -> None:
    draw = np.random.default_rng(0)
    stones = draw.integers(-1, 2, (400, 5, 5)).astype(np.int8)
    noise = 0.02 * draw.normal(size=400)
    assert "c2, number 7" in follows_a_cell(0.5 + 0.3 * (stones[:, 1, 2] == 0) + noise, stones)
    assert follows_a_cell(0.5 + 0.05 * stones.sum(axis=(1, 2)), stones) == ""


def test_an_activation_that_does_not_run_is_left_out() -> None:
    network = _Parts()
    found = calls(network, lambda: network.layers[2](network.layers[0](torch.ones(1, 3))))
    assert found.left_out == {"layers.1": "ReLU"}
    assert found.training == ("layers.2",)


def test_a_network_that_does_not_run_at_all_leaves_nothing_out() -> None:
    assert calls(_Parts(), lambda: None).left_out == {}


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (lambda x: 1 / (1 + np.exp(-x)), "the sigmoid of the right one"),
        (lambda x: np.tanh(2 * x - 1) / 2 + 0.5, "0.5 times the tanh of (2 times the right one"),
        (lambda x: np.round(x), "the rounding of the right one"),
        (lambda x: x**2, "the square of the right one"),
    ],
)
def test_a_function_of_the_right_numbers_is_named(made: Any, words: str) -> None:
    right = np.random.default_rng(0).random(300)
    assert words in function_of(made(right), right)


def test_numbers_that_are_shuffled_in_each_batch_are_told_from_noise() -> None:
    rng = np.random.default_rng(0)
    right, batch = (rng.random(640) < 0.4).astype(float), np.arange(640) // 64
    shuffled = np.concatenate([rng.permutation(part) for part in np.split(right, 10)])
    game = rng.integers(0, 60, 640)
    assert reordered_within(shuffled, right, {"game": game, "batch": batch}) == "batch"
    noisy = np.where(rng.random(640) < 0.3, 1 - right, right)
    assert reordered_within(noisy, right, {"batch": batch}) == ""


def test_rows_that_repeat_the_first_ones_are_counted() -> None:
    right = np.random.default_rng(0).random(256)
    rows = np.arange(256)
    found = right[rows // 64 * 64 + rows % 16]
    assert repeated_rows(found, right, found != right, 64) == 16
    assert repeated_rows(right[::-1], right, np.ones(256, dtype=bool), 64) == 0


def test_numbers_that_are_no_function_of_the_right_ones_are_not_explained() -> None:
    rng = np.random.default_rng(0)
    assert function_of(rng.random(300), rng.random(300)) == ""


def test_logits_that_a_policy_loss_does_not_see_are_described(
    archive: GameArchive, monkeypatch: Patch
) -> None:
    def without_the_last_row(losses: Any, batch: Batch, stepper: Any) -> Any:
        logits = stepper.network(batch.planes).policy_logits
        filled = torch.cat([logits[:, :20], logits[:, 20:].detach() * 0.3], dim=1)
        return losses._replace(policy=functional.cross_entropy(filled, batch.policy_target))

    in_losses(without_the_last_row)(monkeypatch)
    trial = needed(pipeline(archive, tiny()).watched)
    batch = replace(trial.steps[0].batch, auxiliary={})
    best = explain_by_slopes(trial, batch)
    assert best is not None
    assert "where the row is" in best.cause or "number of the cell is at least 20" in best.cause


def test_a_policy_loss_that_sees_all_logits_has_nothing_to_explain(archive: GameArchive) -> None:
    trial = needed(pipeline(archive, tiny()).watched)
    assert explain_by_slopes(trial, replace(trial.steps[0].batch, auxiliary={})) is None


def test_games_that_end_by_eight_neighbours_are_named(archive: GameArchive) -> None:
    games = [_ended_early(archive.game(index)) for index in range(len(archive))]
    short = build_archive(game for game in games if len(game.moves))
    boards_of = [index for index, game in enumerate(games) if game != archive.game(index)]
    assert "eight neighbours" in other_adjacency(short, np.array(boards_of))


def test_a_diagonal_connects_only_with_the_step_for_it() -> None:
    stones = np.eye(4, dtype=bool)
    square = ((0, 1), (1, 0), (0, -1), (-1, 0))
    assert not connects(stones, square, downwards=True)
    assert connects(stones, (*square, (1, 1), (-1, -1)), downwards=True)
    # Hex has the other diagonal.
    hex_steps = (*square, (1, -1), (-1, 1))
    boards = np.where(stones[:, ::-1], BLUE, 0)[None].astype(np.int8)
    assert connects(boards[0] == BLUE, hex_steps, downwards=True) == (winners(boards)[0] == BLUE)
    assert connection_distances(boards)[0][0] == 0
    assert not connects(boards[0] == RED, hex_steps, downwards=False)


@pytest.mark.parametrize(
    "name",
    [
        "blocks kept in a plain list",
        "illegal moves filled with a small number",
        "schedule begins anew after a resume",
        "value loss made a new tensor",
    ],
)
def test_a_reported_slip_is_one_finding_by_its_name(
    name: str, archive: GameArchive, monkeypatch: Patch
) -> None:
    slip = SLIPS[name]
    assert name not in EIGHTH_PUT_ASIDE
    slip.inject(monkeypatch)
    found = [f for f in quick(archive, tiny(**slip.settings)).findings if f.severity != "info"]
    assert len(found) == 1, found
    assert slip.is_named_in(found[0].cause), found


def test_a_detached_loss_is_told_from_a_detached_head(
    archive: GameArchive, monkeypatch: Patch
) -> None:
    in_value_loss(lambda value, batch: value.detach())(monkeypatch)
    found = quick(archive, tiny()).errors
    assert "no graph of operations" in found[0].evidence
