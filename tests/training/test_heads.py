from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from hexsearch.data.dataset import Dataset
from hexsearch.errors import CheckpointError, ConfigError, TrialError
from hexsearch.training.checkpoint import load_checkpoint, save_checkpoint
from hexsearch.training.heads import Mode
from hexsearch.training.trial import Trial
from tests.training.shared_trunks import (
    HEADS,
    NO_CLIP,
    TAUGHT,
    essence,
    head_weights,
    same,
    shared,
    trial_config,
)
from tests.training.trials import make


def flat(trial: Trial) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in trial.body.parameters()])


def test_every_head_starts_as_in_a_trial_of_its_own(dataset: Dataset) -> None:
    together = shared(dataset, seed=3)
    for number, head in enumerate(HEADS):
        apart = Trial.of(trial_config(**head), dataset, max_positions=512, seed=3)
        assert same(head_weights(together, number), apart.network.value_head.state_dict())
        assert same(together.body.trunk.state_dict(), apart.network.trunk.state_dict())


@pytest.mark.parametrize("head", [HEADS[0], HEADS[2]], ids=str)
def test_two_equal_heads_learn_what_one_alone_learns_to_the_last_bit(
    dataset: Dataset, head: dict[str, Any]
) -> None:
    """The trunk takes the mean of the heads' gradients."""
    together = shared(dataset, [head] * 2, **NO_CLIP)
    apart = Trial.of(trial_config(**head, **NO_CLIP), dataset, max_positions=512, seed=0)
    together.train_to(512)
    apart.train_to(512)
    assert same(together.body.trunk.state_dict(), apart.network.trunk.state_dict())
    for number in (0, 1):
        assert same(head_weights(together, number), apart.network.value_head.state_dict())
    assert together.reports()[1].value_loss == apart.report().value_loss


def test_in_probe_mode_a_head_learns_the_same_whatever_others_are_there(dataset: Dataset) -> None:
    crowd = shared(dataset, mode="probe")
    crowd.train_to(512)
    crowd_reports = essence(crowd)
    for number, head in enumerate(HEADS):
        alone = shared(dataset, [head], mode="probe")
        alone.train_to(512)
        assert essence(alone)[0] == crowd_reports[number]
        assert same(head_weights(alone, 0), head_weights(crowd, number))


def test_in_joint_mode_every_head_moves_the_trunk_and_in_probe_mode_none(
    dataset: Dataset,
) -> None:
    trunks = {}
    modes: tuple[Mode, ...] = ("joint", "probe")
    for mode in modes:
        for number in (1, 2):
            trial = shared(dataset, HEADS[:number], mode=mode)
            trial.train_to(128)
            trunks[mode, number] = trial.body.trunk.state_dict()
    assert not same(trunks["joint", 1], trunks["joint", 2])
    assert same(trunks["probe", 1], trunks["probe", 2])


@pytest.mark.parametrize("mode", ["joint", "probe"])
def test_micro_batches_make_the_step_of_the_whole_batch_for_every_head(
    dataset: Dataset, mode: Mode
) -> None:
    settings: dict[str, Any] = {
        "trunk": {"preset": "tiny", "norm": "none"},
        "optimiser": {"name": "sgd", "learning_rate": 0.05},
    }
    heads = [{"value_head": "512->1"}, {"value_head": "512->32->1", "readout": "tanh_mse"}]
    whole = shared(dataset, heads, mode, **settings)
    pieces = shared(dataset, heads, mode, **settings, micro_batch=24)
    start = flat(whole)
    for trial in (whole, pieces):
        trial.train_to(256)
    moved = float((flat(whole) - start).norm())
    assert float((flat(whole) - flat(pieces)).norm()) < 1e-4 * moved


def test_muon_moves_the_trunk_and_leaves_the_heads_to_adamw(dataset: Dataset) -> None:
    trunks = []
    for name in ("muon", "adamw"):
        trial = shared(dataset, mode="probe", optimiser={"name": name})
        trial.train_to(64)
        trunks.append(trial.body.trunk.state_dict())
        heads = trial.state()["owners"][1:]
        assert all("state" in owner["optimiser"] for owner in heads)
    assert not same(*trunks)


def test_first_answers_lie_at_the_prior_for_the_head_that_asks_for_it(dataset: Dataset) -> None:
    heads = [HEADS[0], {"value_head": "512->32->1", "readout": {"start_at_prior": True}}]
    asked, plain = shared(dataset, heads), shared(dataset, HEADS[:1])
    assert same(head_weights(asked, 0), head_weights(plain, 0))
    alone = make(dataset, **heads[1])
    assert same(head_weights(asked, 1), alone.network.value_head.state_dict())


@pytest.mark.parametrize("mode", ["joint", "probe"])
@pytest.mark.parametrize("stop", [64, 320])
def test_interrupted_and_resumed_equals_never_stopped(
    dataset: Dataset, tmp_path: Path, mode: Mode, stop: int
) -> None:
    straight, first, second = (shared(dataset, mode=mode) for _ in range(3))
    straight.train_to(stop)
    straight.reports()
    straight.train_to(512)
    first.train_to(stop)
    first.reports()
    save_checkpoint(tmp_path / "c.pt", {"state": first.state()})
    torch.rand(3)  # the caller's own randomness must not matter
    second.load_state(load_checkpoint(tmp_path / "c.pt")["state"])
    second.train_to(512)
    assert same(second.body.state_dict(), straight.body.state_dict())
    assert essence(second) == essence(straight)


def test_a_checkpoint_of_other_heads_is_refused(dataset: Dataset) -> None:
    state = shared(dataset, HEADS[:2]).state()
    with pytest.raises(CheckpointError, match="differs from this trial in configuration"):
        shared(dataset, HEADS[1:]).load_state(state)
    with pytest.raises(CheckpointError, match="mode"):
        shared(dataset, HEADS[:2], mode="probe").load_state(state)


def test_heads_that_cannot_share_a_trunk_are_refused_with_a_line_each(dataset: Dataset) -> None:
    configs = [
        trial_config(value_head="512->1"),
        trial_config(value_head="512->32->1", batch_size=32),
        trial_config(
            value_head={"family": "linear", "inputs": 64}, trunk={"preset": "tiny", "features": 64}
        ),
    ]
    with pytest.raises(ConfigError) as caught:
        Trial(configs, dataset, max_positions=512, seed=0)
    assert len(caught.value.problems) == 2
    assert "512->32->1: its trial differs from that of 512->1 in batch_size" in str(caught.value)
    assert "in trunk" in str(caught.value)


def test_a_probe_without_a_policy_loss_is_refused(dataset: Dataset) -> None:
    with pytest.raises(ConfigError, match="nothing would train the trunk"):
        shared(dataset, mode="probe", policy_head={"weight": 0.0})


def test_a_head_that_diverges_is_named(dataset: Dataset) -> None:
    trial = shared(dataset)
    with torch.no_grad():  # as a diverged step leaves it
        for weights in trial.body.parameters():
            weights.fill_(float("inf"))
    with pytest.raises(TrialError, match=r"training loss of 512->1.* is not finite"):
        trial.train_to(512)


def test_equal_heads_beside_auxiliary_ones_learn_what_one_alone_learns(dataset: Dataset) -> None:
    head = HEADS[0]
    together = shared(dataset, [head] * 2, **NO_CLIP, **TAUGHT)
    apart = Trial.of(trial_config(**head, **NO_CLIP, **TAUGHT), dataset, max_positions=512, seed=0)
    before = torch.cat([p.detach().flatten() for p in apart.network.parameters()])
    together.train_to(128)
    apart.train_to(128)
    ours, theirs = (
        torch.cat([p.detach().flatten() for p in network.parameters()])
        for network in (together.body.with_head(0), apart.network)
    )
    # The trunk's gradients are summed in another order.
    assert float((ours - theirs).norm()) < 1e-3 * float((before - theirs).norm())
    one, other = together.reports()[0], apart.report()
    assert set(one.auxiliary_losses) == set(trial_config(**TAUGHT).auxiliary.weights)
    assert one.auxiliary_losses == pytest.approx(other.auxiliary_losses, rel=1e-3)
    assert one.train_auxiliary_losses == pytest.approx(other.train_auxiliary_losses, rel=1e-3)


def test_auxiliary_heads_teach_the_trunk_of_a_probe_too(dataset: Dataset) -> None:
    settings: dict[str, Any] = {"policy_head": {"weight": 0.0}, **TAUGHT}
    crowd = shared(dataset, HEADS[:2], mode="probe", **settings)
    before = {name: weight.clone() for name, weight in crowd.body.trunk.state_dict().items()}
    alone = shared(dataset, HEADS[:1], mode="probe", **settings)
    for trial in (crowd, alone):
        trial.train_to(128)
    assert not same(crowd.body.trunk.state_dict(), before)
    assert same(crowd.body.trunk.state_dict(), alone.body.trunk.state_dict())
    assert same(head_weights(crowd, 0), head_weights(alone, 0))


@pytest.mark.parametrize("mode", ["joint", "probe"])
def test_auxiliary_heads_are_resumed_bit_for_bit(
    dataset: Dataset, tmp_path: Path, mode: Mode
) -> None:
    straight, first, second = (shared(dataset, HEADS[:2], mode, **TAUGHT) for _ in range(3))
    straight.train_to(320)
    first.train_to(192)
    save_checkpoint(tmp_path / "c.pt", {"state": first.state()})
    second.load_state(load_checkpoint(tmp_path / "c.pt")["state"])
    second.train_to(320)
    assert same(second.body.state_dict(), straight.body.state_dict())
    assert essence(second) == essence(straight)
    assert any(name.startswith("auxiliary") for name in second.head_states()[0]["network"])
