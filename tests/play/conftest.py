"""A tiny network on 5x5, and a player of each kind."""

from __future__ import annotations

from pathlib import Path

import pytest

from hexsearch.analysis.loading import load_network
from hexsearch.analysis.predictor import Predictor
from hexsearch.data.dataset import Dataset
from hexsearch.training.checkpoint import save_checkpoint
from tests.training.trials import make


@pytest.fixture(scope="session")
def checkpoint(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trained for a second, so that it knows a little."""
    trial = make(dataset, max_positions=8192)
    trial.train_to(8192)
    trial.report()
    path = tmp_path_factory.mktemp("network") / "model.pt"
    save_checkpoint(path, {"state": trial.state()})
    return path


@pytest.fixture(scope="session")
def predictor(checkpoint: Path) -> Predictor:
    return load_network(checkpoint).predictor
