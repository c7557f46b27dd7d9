from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from torch import Tensor, nn

from hexsearch.config.readout import READOUTS
from hexsearch.config.section import build
from hexsearch.config.trial import TrialConfig
from hexsearch.data.dataset import Dataset
from hexsearch.errors import ContractError
from hexsearch.game.board import RED
from hexsearch.training.trial import Trial


def make(dataset: Dataset, **settings: Any) -> Trial:
    raw = {
        "trunk": "tiny",
        "encoder": {"perspective": "absolute"},
        "augment": False,
        "curriculum": "final",
        **settings,
    }
    return Trial.of(build(TrialConfig, raw, "trial"), dataset, max_positions=512, seed=0)


def red_share(dataset: Dataset) -> float:
    games = dataset.train_games
    finished = games[dataset.archive.finished[games].astype(bool)]
    return float((dataset.archive.winners[finished] == RED).mean())


@pytest.mark.parametrize("readout", READOUTS)
def test_the_first_answers_lie_around_the_training_prior(dataset: Dataset, readout: str) -> None:
    share = red_share(dataset)
    assert abs(share - 0.5) > 0.03  # else this would show nothing
    trial = make(dataset, readout={"name": readout, "start_at_prior": True})
    assert float(np.mean(trial.evaluate()[0].win_prob_red)) == pytest.approx(share, abs=0.03)


def test_a_head_without_a_last_linear_layer_cannot_start_at_the_prior(dataset: Dataset) -> None:
    with pytest.raises(ContractError, match=r"readout\.start_at_prior needs a head whose last"):
        make(
            dataset,
            value_head=f"{__name__}:two_outputs_averaged",
            readout={"start_at_prior": True},
        )


class Averaged(nn.Module):
    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.layer = nn.Linear(inputs, 2)

    def forward(self, features: Tensor) -> Tensor:
        out: Tensor = self.layer(features.mean(dim=(2, 3))).mean(dim=1)
        return out


def two_outputs_averaged(inputs: int) -> nn.Module:
    return Averaged(inputs)
