"""The trial that is measured, on a CPU that stands for a card."""

from __future__ import annotations

import pytest
import torch

from hexsearch.backend.placement import measured_trial
from hexsearch.backend.placement.measured_trial import MeasuredTrial, Sample
from hexsearch.backend.placement.placing import largest_trial
from hexsearch.data.dataset import Dataset
from hexsearch.errors import TrialError
from hexsearch.search.space_parsing import build_space
from tests.search.simulation import study_config


@pytest.fixture
def on_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measured_trial, "device_of", lambda gpus: torch.device("cpu"))
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (60e9, 80e9))
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)


def test_a_measured_trial_really_trains_and_tells_what_it_needs(
    dataset: Dataset, on_cpu: None
) -> None:
    config = study_config(data={"board_size": 5})
    trial = largest_trial(config, build_space(config))
    measuring = MeasuredTrial(Sample(trial.model_dump(), config.data.model_dump(), dataset.archive))
    footprint = measuring.footprint()
    assert (footprint.card, footprint.card_total) == (20e9, 80e9)
    assert 50e6 < footprint.host < 50e9
    before = measuring._trial.positions_seen
    assert before == 5 * trial.batch_size
    assert measuring.rate(0.05) > 0.0
    assert measuring._trial.positions_seen > before


def test_the_trial_that_needs_most_memory_is_measured() -> None:
    config = study_config(
        search={"trunk": {"choice": ["small", "resnet18"]}, "batch_size": {"choice": [64, 128]}},
        scheduler={"name": "none", "grace_period": 128, "max_t": 1280},
    )
    largest = largest_trial(config, build_space(config))
    assert (largest.trunk.preset, largest.batch_size) == ("resnet18", 128)


def test_a_node_whose_torch_has_no_gpu_is_named(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    config = study_config(data={"board_size": 5})
    sample = Sample(config.trial.model_dump(), config.data.model_dump(), dataset.archive)
    with pytest.raises(TrialError, match="torch finds no GPU on"):
        MeasuredTrial(sample)
