"""The numbers with which a study places its trials, from its start to its resume, without Ray."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from hexsearch.backend.placement import placing
from hexsearch.backend.placement.measured_trial import Sample
from hexsearch.config.study import StudyConfig
from hexsearch.errors import ConfigError
from hexsearch.game.formats.trmph import format_trmph
from hexsearch.ledger.events import StudyOpened
from hexsearch.ledger.folder import StudyFolder
from hexsearch.ledger.ledger import read_events
from hexsearch.search.placement import Footprint, Machine
from hexsearch.study import launch as studies
from hexsearch.study.admission import LaunchRequest
from hexsearch.study.listener import Further, Listener
from tests.backend.placement.test_card import FormulaCard
from tests.data.games import random_games
from tests.search.simulation import study_config


class Machinery:
    """Four GPUs without Ray: what was measured, and the studies that would have run."""

    def __init__(self) -> None:
        self.measured: list[Sample] = []
        self.ran: list[StudyConfig] = []
        self.machines = [Machine(64, 4)]

    @contextmanager
    def ray(self, *_: object) -> Iterator[float]:
        yield 1.0

    @contextmanager
    def one_card(self, sample: Sample) -> Iterator[FormulaCard]:
        self.measured.append(sample)
        yield FormulaCard(most=350.0)

    def session(self, study: Any) -> Any:
        self.ran.append(study.config)
        return self

    def run(self) -> str:
        return "interrupted"


@pytest.fixture
def machinery(monkeypatch: pytest.MonkeyPatch) -> Machinery:
    made = Machinery()
    monkeypatch.setattr(torch.cuda, "device_count", lambda: made.machines[0].gpus)
    monkeypatch.setattr("hexsearch.backend.cluster.ray_cluster", made.ray)
    monkeypatch.setattr("hexsearch.backend.cluster.require_room", lambda run: None)
    monkeypatch.setattr("hexsearch.backend.nodes.require_usable_nodes", lambda *_: None)
    monkeypatch.setattr(placing, "living_machines", lambda: made.machines)
    monkeypatch.setattr(placing, "one_card", made.one_card)
    monkeypatch.setattr(studies, "Session", made.session)
    return made


def launched(
    tmp_path: Path, said: list[str], address: str | None = None, **run: object
) -> StudyFolder:
    games = tmp_path / "games.trmph"
    games.write_text("".join(format_trmph(game) + "\n" for game in random_games(40, size=5)))
    config = study_config(data={"board_size": 5}, run={"trials": 100, **run})
    folder = StudyFolder(tmp_path / "study")
    request = LaunchRequest(
        config=config,
        games=[str(games)],
        folder=folder,
        listener=Listener(say=said.append),
        address=address,
    )
    assert studies.launch(request) == "interrupted"
    return folder


def test_measured_numbers_are_said_stored_and_used_again(
    tmp_path: Path, machinery: Machinery
) -> None:
    said: list[str] = []
    folder = launched(tmp_path, said)
    assert any("4 trials on each of 4 GPUs" in line for line in said)
    _, stored = folder.read_description()
    (opening,) = read_events(folder.ledger)
    assert isinstance(opening, StudyOpened)
    assert opening.placement["positions_per_second"]["4"] == 350.0
    for config in (stored.run.model_dump(), opening.config["run"]):
        assert (config["gpus_per_trial"], config["cpus_per_trial"]) == (0.25, 2)
    machinery.machines = [Machine(8, 1)]  # the study goes on as it began
    assert studies.resume(folder, Further(trials=1), Listener()) == "interrupted"
    assert [config.run.gpus_per_trial for config in machinery.ran] == [0.25, 0.25]
    assert len(machinery.measured) == 1


def test_auto_in_an_edited_study_is_measured_when_it_resumes(
    tmp_path: Path, machinery: Machinery
) -> None:
    folder = launched(tmp_path, [], gpus_per_trial=1)
    assert not machinery.measured
    text = folder.description.read_text()
    folder.description.write_text(text.replace("gpus_per_trial: 1.0", "gpus_per_trial: auto"))
    assert studies.resume(folder, Further(trials=1), Listener()) == "interrupted"
    assert [config.run.gpus_per_trial for config in machinery.ran] == [1.0, 0.25]


def test_a_study_that_began_without_a_gpu_goes_on_without_one(
    tmp_path: Path, machinery: Machinery
) -> None:
    machinery.machines = [Machine(4, 0)]
    folder = launched(tmp_path, [])
    (opening,) = read_events(folder.ledger)
    assert isinstance(opening, StudyOpened) and opening.placement == {}
    machinery.machines = [Machine(64, 4)]
    assert studies.resume(folder, Further(trials=1), Listener()) == "interrupted"
    placed = [(config.run.cpus_per_trial, config.run.gpus_per_trial) for config in machinery.ran]
    assert placed == [(1, 0.0), (1, 0.0)] and not machinery.measured


def test_a_cluster_without_a_gpu_is_told_of(
    tmp_path: Path, machinery: Machinery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hexsearch.backend.cluster.require_listener", lambda address: None)
    machinery.machines = [Machine(4, 0)]
    said: list[str] = []
    launched(tmp_path, said, address="auto")
    assert any("no GPU now" in line for line in said)
    assert machinery.ran[0].run.gpus_per_trial == 0.0


def test_a_trial_that_fits_no_card_is_refused_and_leaves_no_folder(
    tmp_path: Path, machinery: Machinery, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: FormulaCard) -> Footprint:
        raise ConfigError("run.gpus_per_trial: auto: too large")

    monkeypatch.setattr(FormulaCard, "first", refuse)
    with pytest.raises(ConfigError, match="too large"):
        launched(tmp_path, [])
    assert not (tmp_path / "study").exists()
