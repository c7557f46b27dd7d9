from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hexsearch.config.data import DataConfig
from hexsearch.data.archive import build_archive
from hexsearch.data.dataset import Dataset
from hexsearch.errors import CheckpointError, TrialError
from hexsearch.training.checkpoint import load_checkpoint, save_checkpoint
from tests.data.games import random_games
from tests.training.trials import assert_same_state, make, without_times

HEADS = ["512->1", "512->32->1", "512->64->1", "512->128->64->1", "reduced 512->64->1"]
FAMILIES = [
    *HEADS,
    "512->32->16->1 norm layer activation silu",
    "flatten 512->4->64->1",
    "mean_max 512->64->1",
    "gpool reduced 512->32->64->1",
    "attention 512->64->1",
]
PERSPECTIVES = ["absolute", "mover"]
READOUTS = ["bce", "sigmoid_mse", "tanh_mse", "tanh_logcosh"]


def test_the_same_seed_gives_the_same_bits(dataset: Dataset) -> None:
    one, other = make(dataset), make(dataset)
    for trial in (one, other):
        trial.train_to(512)
    assert without_times(one) == without_times(other)
    assert_same_state(one, other)


def test_another_seed_gives_another_network(dataset: Dataset) -> None:
    one, other = make(dataset, seed=0), make(dataset, seed=1)
    for trial in (one, other):
        trial.train_to(128)
    assert without_times(one) != without_times(other)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"optimiser": {"name": "sgd", "learning_rate": 0.05, "schedule": "cosine"}},
        {"curriculum": {"name": "last_k", "k": 6}, "encoder": {"perspective": "absolute"}},
        {"optimiser": {"ema_half_life": 150}},
        {"value_head": {"family": "mlp", "widths": [32], "dropout": 0.3}},
        {"curriculum": "penultimate_and_final", "trunk": {"preset": "tiny", "norm": "group"}},
    ],
    ids=str,
)
@pytest.mark.parametrize("stop", [64, 192, 448])
def test_interrupted_and_resumed_equals_never_stopped(
    dataset: Dataset, tmp_path: Path, settings: dict[str, Any], stop: int
) -> None:
    straight, first, second = (make(dataset, **settings) for _ in range(3))
    straight.train_to(stop)
    straight.report()
    straight.train_to(512)
    first.train_to(stop)
    first.report()
    save_checkpoint(tmp_path / "c.pt", {"state": first.state()})
    torch.rand(3)  # the caller's own randomness must not matter
    second.load_state(load_checkpoint(tmp_path / "c.pt")["state"])
    second.train_to(512)
    assert without_times(second) == without_times(straight)
    second._train_seconds = straight._train_seconds
    assert_same_state(straight, second)


def test_training_leaves_the_global_generator_alone(dataset: Dataset) -> None:
    trial = make(dataset, value_head={"family": "mlp", "widths": [32], "dropout": 0.3})
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    trial.train_to(128)
    assert torch.equal(torch.rand(2), expected)


def _combinations() -> Iterator[Any]:
    """All; the fast suite takes half of the heads, and every read-out and perspective."""
    for place, head in enumerate(FAMILIES):
        for number, readout in enumerate(READOUTS):
            for turn, perspective in enumerate(PERSPECTIVES):
                usual = place % 8 == 2 * number and place // 8 % 2 == turn
                marks = [] if usual else [pytest.mark.slow]
                yield pytest.param(head, readout, perspective, marks=marks)


@pytest.mark.parametrize(("head", "readout", "perspective"), list(_combinations()))
def test_every_combination_learns_32_positions(head: str, readout: str, perspective: str) -> None:
    rng = np.random.default_rng(0)
    few = Dataset(build_archive(random_games(60, size=5, seed=1)), DataConfig(board_size=5))
    trial = make(
        few,
        max_positions=32 * 300,
        value_head=head,
        readout=readout,
        encoder={"perspective": perspective},
        augment=False,
        policy_head={"weight": 0.0},
        optimiser={"learning_rate": 3e-3, "schedule": "one_cycle", "weight_decay": 0.0},
    )
    games = rng.choice(few.train_games, 32)
    plies = rng.integers(6, few.archive.lengths[games])
    nothing = np.zeros(32, dtype=bool)
    batch = trial.stream.builder.build(games, plies, nothing, nothing)
    trial.network.train()
    for _ in range(300):
        trial.train_on(batch)
    raw = trial.network(batch.planes).value_raw
    p = trial.readout.win_prob(raw).detach().clamp(1e-6, 1 - 1e-6)
    log_loss = torch.nn.functional.binary_cross_entropy(p, batch.outcome)
    assert float(log_loss) < 0.05


@pytest.mark.parametrize(
    "change",
    [
        {"batch_size": 32},
        {"value_weight": 3.0},
        {"augment": False},
        {"curriculum": "final"},
        {"curriculum": {"name": "last_k", "k": 4}},
        {"readout": "sigmoid_mse"},
        {"readout": {"name": "bce", "label_smoothing": 0.1}},
        {"policy_head": {"weight": 0.0}},
        {"encoder": {"perspective": "absolute"}},
        {"precision": "bfloat16"},
        {"optimiser": {"learning_rate": 0.01}},
        {"optimiser": {"weight_decay": 0.5}},
        {"optimiser": {"momentum": 0.5}},
        {"optimiser": {"schedule": "cosine"}},
        {"optimiser": {"warmup": 0.5}},
        {"optimiser": {"clip": 0.01}},
        {"optimiser": {"value_lr_factor": 0.1}},
        {"optimiser": {"name": "sgd"}},
        {"optimiser": {"ema_half_life": 100}},
        {"optimiser": {"name": "muon"}},
        {"optimiser": {"value_decay_factor": 100.0}},
        {"micro_batch": 16},
        {"precision": "float16"},
    ],
    ids=str,
)
def test_each_knob_changes_what_is_learned(dataset: Dataset, change: dict[str, Any]) -> None:
    base, changed = make(dataset), make(dataset, **change)
    for trial in (base, changed):
        trial.train_to(256)
    assert base.report().value_loss != changed.report().value_loss


def test_a_learning_rate_out_of_all_reason_fails_the_trial_as_nan(dataset: Dataset) -> None:
    trial = make(
        dataset,
        optimiser={"learning_rate": 100.0, "name": "sgd", "clip": 1e9},
        trunk={"preset": "tiny", "norm": "none"},
    )
    with pytest.raises(TrialError) as caught:
        trial.train_to(512)
    assert caught.value.verdict == "nan"
    assert "not finite at 512 positions" in str(caught.value)


def test_a_value_head_that_may_not_move_is_noticed(dataset: Dataset) -> None:
    trial = make(dataset, optimiser={"value_lr_factor": 0.0})
    trial.train_to(128)
    assert trial.report().gradients.update_ratio["value_head"] == 0.0


def test_a_checkpoint_of_another_trial_is_refused_with_what_differs(dataset: Dataset) -> None:
    state = make(dataset, seed=0).state()
    with pytest.raises(CheckpointError, match="differs from this trial in seed"):
        make(dataset, seed=1).load_state(state)
    with pytest.raises(CheckpointError, match="configuration"):
        make(dataset, batch_size=32).load_state(state)


@pytest.mark.parametrize(
    ("section", "key"),
    [("optimiser", "ema_half_life"), ("readout", "label_smoothing"), ("policy_head", "weight")],
)
def test_a_checkpoint_older_than_a_nested_setting_is_resumed_with_its_default(
    dataset: Dataset, section: str, key: str
) -> None:
    straight, old, resumed = (make(dataset) for _ in range(3))
    straight.train_to(320)
    old.train_to(192)
    state = old.state()
    del state["configs"][0][section][key]
    resumed.load_state(state)
    resumed.train_to(320)
    resumed._train_seconds = straight._train_seconds
    assert_same_state(straight, resumed)


def test_a_checkpoint_without_a_setting_is_refused_where_the_default_is_not_what_is_asked_for(
    dataset: Dataset,
) -> None:
    state = make(dataset, optimiser={"ema_half_life": 100}).state()
    del state["configs"][0]["optimiser"]["ema_half_life"]
    with pytest.raises(CheckpointError, match="configuration"):
        make(dataset, optimiser={"ema_half_life": 100}).load_state(state)


def test_the_evaluation_covers_every_ply_of_every_validation_game(dataset: Dataset) -> None:
    evaluation, _ = make(dataset).evaluate()
    lengths = dataset.archive.lengths[dataset.validation_games]
    assert len(evaluation.game) == int((lengths + 1).sum())
    assert set(evaluation.game) == set(dataset.validation_games)
    assert int(evaluation.final.sum()) == len(lengths)


def test_a_checkpoint_answers_as_it_was_evaluated(dataset: Dataset) -> None:
    trial = make(dataset)
    trial.train_to(256)
    before = trial.evaluate()[0].metrics().overall.value_loss
    reported = trial.report().value_loss
    assert reported != before  # the statistics were renewed
    again = make(dataset)
    again.load_state(trial.state())
    assert again.evaluate()[0].metrics().overall.value_loss == reported
