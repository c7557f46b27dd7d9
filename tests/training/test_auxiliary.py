"""Auxiliary heads in training: they train the trunk, and change nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from hexsearch.config.auxiliary import AUXILIARY_HEADS
from hexsearch.config.data import DataConfig
from hexsearch.data.archive import build_archive
from hexsearch.data.batches import evaluation_batches
from hexsearch.data.dataset import Dataset
from hexsearch.game.record import Game
from hexsearch.model.auxiliary import auxiliary_losses
from hexsearch.model.network import count_parameters
from hexsearch.training.trial import Trial
from tests.data.games import random_games
from tests.training.trials import make

ALL: dict[str, Any] = {
    "moves_left": 0.2,
    "ownership": 0.2,
    "winning_chain": 0.2,
    "future_stones": {"weight": 0.2, "plies": 4},
}
# One leaves a map smaller than the board, the other one as large, inside of a ring.
TRUNKS: dict[str, Any] = {
    name: {"trunk": {"preset": "tiny", "features": 64, "strides": strides}, "value_head": "64->1"}
    for name, strides in (("strided", [1, 2]), ("full", [1, 1]))
}


def only(name: str, weight: float = 0.2) -> dict[str, Any]:
    return {name: {"weight": weight, "plies": 4} if name == "future_stones" else weight}


def weights_of(trial: Trial, *parts: str) -> dict[str, Tensor]:
    return {
        name: tensor.clone()
        for name, tensor in trial.network.state_dict().items()
        if name.startswith(parts)
    }


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)


OTHERS = ("trunk", "policy_head", "value_head")


def test_without_weights_nothing_is_built(dataset: Dataset) -> None:
    trial = make(dataset, auxiliary={})
    assert weights_of(trial, "auxiliary") == {}
    assert list(trial.network.parts()) == list(OTHERS)
    assert trial.next_batch().auxiliary == {}
    trial.train_to(64)
    report = trial.report()
    assert report.auxiliary_losses == report.train_auxiliary_losses == {}


@pytest.mark.parametrize("name", AUXILIARY_HEADS)
def test_a_head_starts_the_same_whichever_others_are_there(dataset: Dataset, name: str) -> None:
    off, alone, crowd = (make(dataset, auxiliary=each) for each in ({}, only(name), ALL))
    assert same(weights_of(off, *OTHERS), weights_of(alone, *OTHERS))
    assert same(weights_of(off, *OTHERS), weights_of(crowd, *OTHERS))
    part = f"auxiliary.{name}."
    assert weights_of(alone, "auxiliary") and same(
        weights_of(alone, "auxiliary"), weights_of(crowd, part)
    )


def test_heads_of_next_to_no_weight_change_no_bit_of_the_rest(dataset: Dataset) -> None:
    """They draw no number, and change no batch, that the rest depends on."""
    settings: dict[str, Any] = {"value_head": {"family": "mlp", "widths": [16], "dropout": 0.3}}
    off = make(dataset, **settings)
    on = make(dataset, **settings, auxiliary={**only("future_stones", 1e-30), "ownership": 1e-30})
    for trial in (off, on):
        trial.train_to(320)
    assert same(weights_of(off, *OTHERS), weights_of(on, *OTHERS))
    assert off.report().value_loss == on.report().value_loss


def test_with_weight_they_change_what_the_trunk_learns(dataset: Dataset) -> None:
    off, on = make(dataset), make(dataset, auxiliary=ALL)
    for trial in (off, on):
        trial.train_to(128)
    assert not same(weights_of(off, "trunk"), weights_of(on, "trunk"))


@pytest.mark.parametrize("trunk", TRUNKS)
@pytest.mark.parametrize("name", AUXILIARY_HEADS)
def test_the_gradient_of_each_head_reaches_the_trunk(
    dataset: Dataset, name: str, trunk: str
) -> None:
    trial = make(dataset, auxiliary=only(name), **TRUNKS[trunk])
    loss = trial.losses(trial.next_batch()).auxiliary[name]
    first = next(trial.network.trunk.parameters())
    (gradient,) = torch.autograd.grad(loss, first)
    assert bool(gradient.any())


@pytest.mark.parametrize("trunk", TRUNKS)
def test_all_heads_learn_32_positions(trunk: str) -> None:
    few = Dataset(build_archive(random_games(60, size=5, seed=1)), DataConfig(board_size=5))
    steps = 120
    trial = make(
        few,
        max_positions=32 * steps,
        batch_size=32,
        auxiliary={name: 1.0 if name != "future_stones" else {"weight": 1.0} for name in ALL},
        **TRUNKS[trunk],
        augment=False,
        optimiser={"learning_rate": 1e-2, "weight_decay": 0.0},
    )
    batch = trial.next_batch()
    trial.network.train()
    with torch.no_grad():
        before = trial.losses(batch).auxiliary
    for _ in range(steps):
        trial.train_on(batch)
    with torch.no_grad():
        after = trial.losses(batch).auxiliary
    shares = {name: float(after[name] / loss) for name, loss in before.items()}
    assert max(shares.values()) < 0.15, shares


@pytest.mark.parametrize("micro_batch", [16, 24, 63])
def test_micro_batches_make_the_step_of_the_whole_batch(micro_batch: int) -> None:
    """Games that were given up count in some losses and not in others."""
    played = random_games(200, size=5)
    given_up = [Game(5, g.moves[:-2], g.winner, False, g.source, g.line) for g in played[::3]]
    some = Dataset(build_archive([*played, *given_up]), DataConfig(board_size=5))
    common: dict[str, Any] = {
        "trunk": {"preset": "tiny", "norm": "none"},
        "optimiser": {"name": "sgd", "learning_rate": 0.05, "clip": 0.5},
        "auxiliary": {name: 3.0 if name != "future_stones" else {"weight": 3.0} for name in ALL},
    }
    whole, pieces = make(some, **common), make(some, **common, micro_batch=micro_batch)
    before = torch.cat([p.detach().flatten() for p in whole.network.parameters()])
    for trial in (whole, pieces):
        trial.train_to(256)
    after, other = (
        torch.cat([p.detach().flatten() for p in trial.network.parameters()])
        for trial in (whole, pieces)
    )
    assert float((after - other).norm()) < 1e-4 * float((after - before).norm())
    one, two = whole.report().train_auxiliary_losses, pieces.report().train_auxiliary_losses
    assert set(one) == set(AUXILIARY_HEADS)
    assert one == pytest.approx(two)


def test_what_does_not_count_changes_no_loss_and_nothing_that_counts_costs_nothing() -> None:
    output = {"moves_left": torch.randn(4), "ownership": torch.randn(4, 3, 9)}
    left, owner = torch.tensor([3, -1, 0, -1]), torch.randint(0, 3, (4, 9))
    owner[1] = -1
    counts = {"moves_left": left, "ownership": owner.to(torch.int8)}
    losses = auxiliary_losses(output, counts)
    kept = torch.tensor([0, 2])
    fewer = auxiliary_losses(
        {"moves_left": output["moves_left"][kept], "ownership": output["ownership"]},
        {"moves_left": left[kept], "ownership": counts["ownership"]},
    )
    torch.testing.assert_close(losses["moves_left"], fewer["moves_left"])
    by_hand = torch.nn.functional.cross_entropy(output["ownership"][[0, 2, 3]], owner[[0, 2, 3]])
    torch.testing.assert_close(losses["ownership"], by_hand)
    none = {name: torch.full_like(target, -1) for name, target in counts.items()}
    assert all(float(loss) == 0.0 for loss in auxiliary_losses(output, none).values())


def test_a_guess_of_the_right_number_of_plies_has_no_loss() -> None:
    pairs = torch.tensor([0, 1, 7])
    right = {"moves_left": 2 * pairs / 20}
    assert float(auxiliary_losses(right, {"moves_left": pairs})["moves_left"]) == 0.0
    off_by_20 = {"moves_left": 2 * pairs / 20 + 1.0}
    loss = auxiliary_losses(off_by_20, {"moves_left": pairs})["moves_left"]
    assert float(loss) == pytest.approx(0.5 * (1.0 - 0.25))  # linear from 10 plies on


def test_reports_hold_each_loss_unweighted(dataset: Dataset) -> None:
    trial = make(dataset, auxiliary=ALL, value_weight=3.0, optimiser={"learning_rate": 1e-9})
    trial.network.train()
    with torch.no_grad():
        losses = trial.losses(trial.next_batch())
    trial.train_to(64)
    report = trial.report()
    assert report.train_value_loss == pytest.approx(float(losses.value.mean()))
    assert report.train_policy_loss == pytest.approx(float(losses.policy))
    for name, loss in losses.auxiliary.items():
        assert report.train_auxiliary_losses[name] == pytest.approx(float(loss)), name
    written = report.to_json()
    assert written["auxiliary_losses"] == report.auxiliary_losses
    assert set(report.auxiliary_losses) == set(AUXILIARY_HEADS)
    (whole,) = evaluation_batches(
        trial.stream.builder, dataset.validation, 10_000, auxiliary=trial.config.auxiliary
    )
    with torch.no_grad():
        output = trial.network.eval()(trial.execution.show(whole.planes), True)
    for name, loss in auxiliary_losses(output.auxiliary or {}, whole.auxiliary).items():
        assert report.auxiliary_losses[name] == pytest.approx(float(loss), rel=1e-4), name


def test_answers_run_no_auxiliary_head(dataset: Dataset) -> None:
    trial = make(dataset, auxiliary=ALL)
    asked: list[str] = []
    for name, head in trial.network.auxiliary.items():
        head.register_forward_hook(lambda *_, name=name: asked.append(name))
    trial.evaluate()
    trial.network(trial.next_batch().planes)
    assert asked == []
    trial.train_to(64)
    assert asked == list(AUXILIARY_HEADS)


def test_the_cost_of_answers_is_that_of_a_network_without_them(dataset: Dataset) -> None:
    off, on = make(dataset), make(dataset, auxiliary=ALL, optimiser={"ema_half_life": 100})
    assert on.cost.parameters == count_parameters(on.network) == count_parameters(off.network)
    assert on.cost.mflops == off.cost.mflops
    heads = on.network.auxiliary.parameters()
    assert on.cost.auxiliary_parameters == sum(p.numel() for p in heads) > 0
    assert off.cost.auxiliary_parameters == 0


def test_each_head_owns_its_parameters(dataset: Dataset) -> None:
    trial = make(dataset, auxiliary=ALL)
    owners = {group["owner"] for group in trial.optimiser.param_groups}
    assert owners == {*OTHERS, *(f"{name}_head" for name in AUXILIARY_HEADS)}
    trial.train_to(64)
    gradients = trial.report().gradients
    for name in AUXILIARY_HEADS:
        assert gradients.norms[f"{name}_head"] > 0
        assert gradients.update_ratio[f"{name}_head"] > 0


def test_a_checkpoint_from_before_there_were_auxiliary_heads_goes_on(dataset: Dataset) -> None:
    straight, old, resumed = (make(dataset) for _ in range(3))
    straight.train_to(320)
    old.train_to(192)
    state = old.state()
    del state["configs"][0]["auxiliary"]
    resumed.load_state(state)
    resumed.train_to(320)
    assert same(weights_of(resumed, ""), weights_of(straight, ""))


def test_a_position_of_a_given_up_game_teaches_only_what_is_known(dataset: Dataset) -> None:
    game = random_games(1, size=5)[0]
    stopped = replace(game, moves=game.moves[:-2], finished=False)
    some = Dataset(
        build_archive([*random_games(50, size=5, seed=4), *[stopped] * 50]),
        DataConfig(board_size=5),
    )
    trial = make(some, auxiliary=ALL)
    batch = trial.next_batch(2000)
    finished = torch.from_numpy(some.archive.finished.astype(bool))[batch.game]
    assert 0 < int(finished.sum()) < len(finished)
    known = batch.auxiliary["ownership"].ge(0).any(1) | batch.final
    assert np.array_equal(known.numpy(), finished.numpy())
    assert bool((batch.auxiliary["moves_left"].ge(0) == finished).all())
