"""Faulty trainings get their verdict, and healthy ones get none."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from hexsearch.config.data import DataConfig
from hexsearch.data.archive import build_archive
from hexsearch.data.batches import TrainingStream
from hexsearch.data.dataset import Dataset
from hexsearch.errors import TrialError
from hexsearch.training.trial import Trial
from tests.doctor.games import lopsided_games
from tests.training.trials import make

MAX_POSITIONS = 64 * 160


@pytest.fixture(scope="module")
def games() -> Dataset:
    """Games from which something can be learnt quickly."""
    return Dataset(build_archive(lopsided_games(600, 5)), DataConfig(board_size=5))


def verdict(trial: Trial) -> tuple[str, str]:
    try:
        trial.train_to(trial.max_positions)
        found = trial.report().verdict
    except TrialError as error:
        return error.verdict, str(error)
    return found.name, found.evidence


def test_a_learning_rate_of_0_learns_nothing(games: Dataset) -> None:
    trial = make(games, max_positions=MAX_POSITIONS, optimiser={"learning_rate": 1e-30})
    name, evidence = verdict(trial)
    assert name == "not_learning" and "weights by 0" in evidence


def test_a_learning_rate_of_a_hundred_explodes(games: Dataset) -> None:
    trial = make(games, max_positions=MAX_POSITIONS, optimiser={"learning_rate": 100.0})
    assert verdict(trial)[0] in ("exploding", "nan")


def test_a_trunk_whose_units_never_fire_is_dead(games: Dataset) -> None:
    trial = make(games, max_positions=64 * 60)
    for module in trial.network.trunk.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.constant_(module.bias, -100.0)
    name, evidence = verdict(trial)
    assert name == "dead" and "100%" in evidence


def test_a_detached_head_lets_the_gradient_vanish(games: Dataset) -> None:
    trial = make(games, max_positions=64 * 60)
    head = trial.network.value_head
    head.register_forward_pre_hook(lambda module, inputs: (inputs[0].detach(),))
    assert verdict(trial) == ("vanishing", "no gradient of the value loss reaches the trunk")


def test_an_input_that_is_not_a_number_ends_the_trial_as_nan(
    games: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    sound = TrainingStream.batch

    def spoilt(self: TrainingStream, cursor: int, size: int) -> Any:
        batch = sound(self, cursor, size)
        batch.planes[0, 0, 0, 0] = torch.nan
        return batch

    monkeypatch.setattr(TrainingStream, "batch", spoilt)
    assert verdict(make(games, max_positions=64 * 4))[0] == "nan"


def test_certain_answers_that_are_wrong_are_saturated(games: Dataset) -> None:
    trial = make(
        games, max_positions=64 * 60, readout="sigmoid_mse", optimiser={"value_lr_factor": 1e-9}
    )
    output = next(m for m in trial.network.value_head.modules() if isinstance(m, nn.Linear))
    nn.init.constant_(output.bias, 50.0)
    name, evidence = verdict(trial)
    assert name == "saturated" and "100% of value_raw" in evidence


HEALTHY: list[dict[str, Any]] = [
    {},
    {"optimiser": {"name": "sgd", "learning_rate": 0.05}},
    {"optimiser": {"name": "muon"}},
    {"optimiser": {"schedule": "cosine"}},
    {"optimiser": {"schedule": "constant", "learning_rate": 1e-3}},
    {"optimiser": {"ema_half_life": 1000}},
    {"optimiser": {"clip": 0.5}},
    {"optimiser": {"weight_decay": 0.1}},
    {"optimiser": {"value_lr_factor": 3.0}},
    {"readout": "sigmoid_mse"},
    {"readout": "tanh_mse"},
    {"readout": "tanh_logcosh"},
    {"readout": {"name": "bce", "label_smoothing": 0.1}},
    {"value_head": "512->64->1"},
    {"value_head": "512->128->64->1"},
    {"value_head": "reduced 512->64->1"},
    {"encoder": {"perspective": "absolute"}},
    {"trunk": {"preset": "tiny", "norm": "group"}},
    {"trunk": {"preset": "tiny", "activation": "gelu"}},
    {"micro_batch": 32},
    {"policy_head": {"weight": 0.1}},
    {"batch_size": 128},
]


@pytest.mark.slow
@pytest.mark.parametrize("settings", HEALTHY, ids=str)
def test_a_healthy_training_is_left_in_peace(games: Dataset, settings: dict[str, Any]) -> None:
    trial = make(games, max_positions=2 * MAX_POSITIONS, **settings)
    for share in (1, 2, 3, 4):
        trial.train_to(trial.max_positions * share // 4)
        found = trial.report().verdict
        assert found.is_healthy, (share, found)
