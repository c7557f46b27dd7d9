"""Small games and datasets that tests share. They need no files from outside."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import settings

from hexsearch.config.data import DataConfig
from hexsearch.data.archive import build_archive
from hexsearch.data.dataset import Dataset
from tests.data.games import random_games

ROOT = Path(__file__).parents[1]

# An example may take any time: the machine may be busy with other work.
settings.register_profile("hexsearch", deadline=None)
settings.load_profile("hexsearch")


@pytest.fixture(scope="session")
def dataset() -> Dataset:
    """300 random games on 5x5."""
    return Dataset(build_archive(random_games(300, size=5)), DataConfig(board_size=5))


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """Two OpenMP threads on a busy machine spin at every barrier."""
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def closed_ledgers() -> Iterator[None]:
    """Close the ledgers that a test opened: an open file is a warning, and warnings are errors."""
    yield
    simulation = sys.modules.get("tests.search.simulation")
    while simulation is not None and simulation.OPENED:
        simulation.OPENED.pop().close()


@pytest.fixture(scope="session")
def shared_games() -> Path:
    """Real games for development, beside the repository; tests that want them skip without."""
    shared = Path(os.environ.get("HEXSEARCH_SHARED", ROOT.parent / "shared")) / "games"
    if not shared.is_dir():
        pytest.skip("no shared games beside the repository")
    return shared
