"""Quickly made games on a small board, and a network trained on them for a few seconds."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from hexsearch.config.section import build
from hexsearch.config.study import DataConfig
from hexsearch.config.trial import TrialConfig
from hexsearch.data.archive import GameArchive, build_archive
from hexsearch.data.dataset import Dataset
from hexsearch.game.formats.trmph import format_trmph
from hexsearch.training.checkpoint import save_checkpoint
from hexsearch.training.trial import Trial
from tests.analysis.games import lopsided_games

SIZE = 5
BUDGET = 64 * 320


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def archive() -> GameArchive:
    return build_archive(lopsided_games(600, SIZE))


@pytest.fixture(scope="session")
def dataset(archive: GameArchive) -> Dataset:
    return Dataset(archive, DataConfig(board_size=SIZE))


def tiny(**settings: object) -> TrialConfig:
    """A configuration on the tiny trunk, sections given as YAML would."""
    return build(TrialConfig, {"trunk": "tiny", "batch_size": 64, **settings}, "trial")


@pytest.fixture(scope="session")
def trained(dataset: Dataset) -> Trial:
    """A network in the absolute perspective that has learnt what such games teach."""
    trial = Trial(tiny(encoder={"perspective": "absolute"}), dataset, BUDGET, seed=1)
    trial.train_to(BUDGET)
    trial.report()
    return trial


@pytest.fixture(scope="session")
def checkpoint(trained: Trial, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(trained, tmp_path_factory.mktemp("checkpoint") / "model.pt")


@pytest.fixture(scope="session")
def games_file(archive: GameArchive, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("games") / "games.trmph"
    lines = [format_trmph(archive.game(index)) for index in range(len(archive))]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def save(trial: Trial, path: Path) -> Path:
    """What `train` writes."""
    report = trial.report()
    recorded = {"positions_seen": report.positions_seen, "value_loss": report.value_loss}
    save_checkpoint(path, {"state": trial.state(), "report": json.dumps(recorded)})
    return path
