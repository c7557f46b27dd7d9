from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from hexsearch.config.section import build
from hexsearch.config.trial import TrialConfig
from hexsearch.data.dataset import Dataset
from hexsearch.errors import CheckpointError, ConfigError
from hexsearch.model.network import count_parameters
from hexsearch.training.checkpoint import load_checkpoint, save_checkpoint
from hexsearch.training.frozen_trunk import FrozenTrunk, SharedTrunk, read_frozen_trunk
from hexsearch.training.trial import Trial
from tests.training.shared_trunks import (
    HEADS,
    TAUGHT,
    essence,
    head_weights,
    same,
    trial_config,
)
from tests.training.trials import make

DECAYED: dict[str, Any] = {"optimiser": {"weight_decay": 0.5}}


def checkpoint(dataset: Dataset, path: Path, **settings: Any) -> Path:
    trial = make(dataset, seed=7, max_positions=256, **settings)
    trial.train_to(256)
    trial.report()
    save_checkpoint(path, {"state": trial.state()})
    return path


@pytest.fixture(scope="module")
def trained(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> FrozenTrunk:
    return read_frozen_trunk(checkpoint(dataset, tmp_path_factory.mktemp("trunk") / "model.pt"))


def frozen(
    dataset: Dataset,
    trunk: FrozenTrunk,
    heads: list[dict[str, Any]] = HEADS,
    seed: int = 0,
    **settings: Any,
) -> Trial:
    configs = [trunk.beneath(trial_config(**settings, **head)) for head in heads]
    return Trial(configs, dataset, max_positions=512, seed=seed, trunk=SharedTrunk("probe", trunk))


def shared_weights(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {
        name: tensor.clone()
        for name, tensor in weights.items()
        if name.startswith(("trunk.", "policy_head."))
    }


@pytest.mark.parametrize("settings", [{}, DECAYED, {"optimiser": {"ema_half_life": 100}}], ids=str)
def test_trunk_policy_head_and_their_statistics_keep_every_bit(
    dataset: Dataset, trained: FrozenTrunk, settings: dict[str, Any]
) -> None:
    trial = frozen(dataset, trained, **settings)
    before = [head_weights(trial, number) for number in range(len(HEADS))]
    before = [{name: tensor.clone() for name, tensor in head.items()} for head in before]
    trial.train_to(256)
    trial.report()
    assert trial.costs  # measuring switches modes as well
    trial.train_to(512)
    trial.report()
    for network in (trial.network, trial.answering):
        kept = shared_weights(network.state_dict())
        assert any("running_mean" in name for name in kept)
        assert same(kept, shared_weights(trained.weights))
    for number, head in enumerate(before):
        assert not same(head, head_weights(trial, number))


def test_only_the_heads_have_gradients_and_optimiser_state(
    dataset: Dataset, trained: FrozenTrunk
) -> None:
    trial = frozen(dataset, trained, heads=HEADS[:1])
    trial.train_to(128)
    for part in (trial.body.trunk, trial.body.policy_head):
        assert all(p.grad is None and not p.requires_grad for p in part.parameters())
    state = trial.state()
    (head,) = state["owners"]
    assert len(head["optimiser"]["state"]) == len(list(trial.body.heads[0].parameters()))


def test_the_heads_start_as_on_a_trunk_that_trains(dataset: Dataset, trained: FrozenTrunk) -> None:
    together = frozen(dataset, trained, seed=3)
    for number, head in enumerate(HEADS):
        apart = make(dataset, seed=3, **head)
        assert same(head_weights(together, number), apart.network.value_head.state_dict())
        assert together.costs[number].parameters == count_parameters(apart.network)


def test_a_head_learns_the_same_whatever_others_are_there(
    dataset: Dataset, trained: FrozenTrunk
) -> None:
    crowd = frozen(dataset, trained)
    crowd.train_to(512)
    reports = essence(crowd)
    for number, head in enumerate(HEADS):
        alone = frozen(dataset, trained, [head])
        alone.train_to(512)
        assert essence(alone)[0] == reports[number]


def test_a_head_descends_on_what_the_frozen_trunk_answers(
    dataset: Dataset, trained: FrozenTrunk
) -> None:
    """A step of plain SGD is the gradient of the value loss on eval-mode features, and no more."""
    rate = 0.5
    plain: dict[str, Any] = {
        "optimiser": {
            "name": "sgd",
            "momentum": 0.0,
            "learning_rate": rate,
            "schedule": "constant",
            "warmup": 0.0,
            "weight_decay": 0.0,
            "clip": 1e9,
        }
    }
    trial = frozen(dataset, trained, HEADS[:1], **plain)
    apart = make(dataset, **HEADS[0], **plain)
    apart.network.trunk.load_state_dict(trial.body.trunk.state_dict())
    apart.network.eval()
    batch = apart.next_batch()
    value = apart.losses(batch).value
    torch.autograd.backward([(value * batch.weight).mean()])
    expected = []
    for parameter in apart.network.value_head.parameters():
        assert parameter.grad is not None
        expected.append(parameter.detach() - rate * parameter.grad)
    trial.train_to(64)
    for weight, wanted in zip(trial.body.heads[0].parameters(), expected, strict=True):
        torch.testing.assert_close(weight, wanted)
    policy = trial.reports()[0].policy_loss
    trial.train_to(512)
    assert trial.reports()[0].policy_loss == policy


def test_interrupted_and_resumed_equals_never_stopped(
    dataset: Dataset, trained: FrozenTrunk, tmp_path: Path
) -> None:
    stop = 192
    straight, first, second = (frozen(dataset, trained) for _ in range(3))
    straight.train_to(stop)
    straight.report()
    straight.train_to(512)
    first.train_to(stop)
    first.report()
    save_checkpoint(tmp_path / "c.pt", {"state": first.state()})
    torch.rand(3)  # the caller's own randomness must not matter
    second.load_state(load_checkpoint(tmp_path / "c.pt")["state"])
    second.train_to(512)
    assert same(second.network.state_dict(), straight.network.state_dict())
    assert essence(second) == essence(straight)


def test_averaged_weights_are_taken_where_evaluation_used_them(
    dataset: Dataset, tmp_path: Path
) -> None:
    path = checkpoint(dataset, tmp_path / "model.pt", optimiser={"ema_half_life": 100})
    state = load_checkpoint(path)["state"]
    trial = frozen(dataset, read_frozen_trunk(path))
    taken = shared_weights(trial.body.state_dict())
    assert same(taken, shared_weights(state["average"]))
    assert not same(taken, shared_weights(state["network"]))


def test_the_checkpoint_decides_on_trunk_encoder_and_policy_head(
    dataset: Dataset, tmp_path: Path
) -> None:
    path = checkpoint(dataset, tmp_path / "model.pt", encoder={"perspective": "absolute"})
    trunk = read_frozen_trunk(path)
    space = trial_config(trunk="small", batch_size=32, policy_head={"weight": 0.0})
    assert trunk.replaced(space) == ["trunk", "encoder", "policy_head"]
    fitted = trunk.beneath(space)
    assert trunk.replaced(fitted) == []
    assert (fitted.trunk.preset, fitted.encoder.perspective) == ("tiny", "absolute")
    assert fitted.batch_size == 32


def test_what_does_not_fit_a_frozen_trunk_is_refused_in_a_line(
    dataset: Dataset, trained: FrozenTrunk
) -> None:
    other = trial_config(encoder={"perspective": "absolute"})
    with pytest.raises(ConfigError, match="the trial's encoder differ from the frozen trunk's"):
        Trial([other], dataset, max_positions=512, seed=0, trunk=SharedTrunk("probe", trained))
    with pytest.raises(ConfigError, match="this trunk was trained on 5x5 boards"):
        trained.require_fit(trained.config, 7)
    with pytest.raises(ConfigError, match="mode joint would train the trunk, which is frozen"):
        Trial(
            [trial_config()],
            dataset,
            max_positions=512,
            seed=0,
            trunk=SharedTrunk("joint", trained),
        )
    narrow = build(
        TrialConfig,
        {
            "trunk": {"preset": "tiny", "features": 64},
            "value_head": {"family": "linear", "inputs": 64},
        },
        "trial",
    )
    with pytest.raises(ConfigError, match=r"trunk of .*model.pt: .*takes 64 features.*has 512"):
        trained.beneath(narrow)


def test_a_trunk_that_auxiliary_heads_taught_is_taken_without_them(
    dataset: Dataset, tmp_path: Path
) -> None:
    path = checkpoint(dataset, tmp_path / "model.pt", **TAUGHT)
    trunk = read_frozen_trunk(path)
    assert any(name.startswith("auxiliary.") for name in trunk.weights)
    trial = frozen(dataset, trunk, **TAUGHT)
    assert all(not config.auxiliary.weights for config in trial.configs)
    trial.train_to(128)
    assert trial.reports()[0].auxiliary_losses == {}
    kept = shared_weights(trial.body.state_dict())
    assert kept and same(kept, shared_weights(trunk.weights))
    assert not any(name.startswith("auxiliary.") for name in trial.body.state_dict())


def test_auxiliary_heads_are_refused_on_a_frozen_trunk(
    dataset: Dataset, trained: FrozenTrunk
) -> None:
    taught = [trial_config(**TAUGHT)]
    message = "auxiliary moves_left, .*: these heads would train the trunk, which is frozen"
    with pytest.raises(ConfigError, match=message):
        Trial(taught, dataset, max_positions=512, seed=0, trunk=SharedTrunk("probe", trained))


def test_a_state_on_another_trunk_is_refused(
    dataset: Dataset, trained: FrozenTrunk, tmp_path: Path
) -> None:
    other = read_frozen_trunk(
        checkpoint(dataset, tmp_path / "model.pt", optimiser={"learning_rate": 1e-4})
    )
    with pytest.raises(CheckpointError, match="differs from this trial in trunk"):
        frozen(dataset, trained).load_state(frozen(dataset, other).state())


def test_a_file_that_is_no_trunk_or_another_one_is_refused(
    dataset: Dataset, trained: FrozenTrunk, tmp_path: Path
) -> None:
    with pytest.raises(CheckpointError, match="no such checkpoint"):
        read_frozen_trunk(tmp_path / "none.pt")
    (tmp_path / "text.pt").write_text("no checkpoint")
    with pytest.raises(CheckpointError, match="damaged, or not a checkpoint"):
        read_frozen_trunk(tmp_path / "text.pt")
    save_checkpoint(tmp_path / "bare.pt", {"state": 3})
    with pytest.raises(CheckpointError, match="holds no trial"):
        read_frozen_trunk(tmp_path / "bare.pt")
    with pytest.raises(CheckpointError, match="is not the checkpoint with which"):
        read_frozen_trunk(trained.path, content_hash="0" * 32)
    state = load_checkpoint(trained.path)["state"]
    del state["network"][next(name for name in state["network"] if name.startswith("trunk."))]
    save_checkpoint(tmp_path / "torn.pt", {"state": state})
    with pytest.raises(CheckpointError, match="its trunk does not fit the configuration"):
        frozen(dataset, read_frozen_trunk(tmp_path / "torn.pt"))
