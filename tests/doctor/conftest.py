"""Games on a small board, and a network that is trained on them for some seconds."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch

from hexsearch.cli.main import main
from hexsearch.config.data import DataConfig
from hexsearch.config.section import build
from hexsearch.config.trial import TrialConfig
from hexsearch.data.archive import GameArchive, build_archive
from hexsearch.data.collection.importing import ImportReport
from hexsearch.data.dataset import Dataset
from hexsearch.doctor.examine import examine
from hexsearch.doctor.findings import Diagnosis, Finding
from hexsearch.doctor.pipeline import ExaminedPipeline
from hexsearch.doctor.registry import QUICK
from hexsearch.game.formats.trmph import format_trmph
from hexsearch.training.checkpoint import save_checkpoint
from hexsearch.training.trial import Trial
from tests.doctor.games import lopsided_games

SIZE = 5
BUDGET = 64 * 320


def every_tenth(names: Iterable[str]) -> list[Any]:
    """Cases of which every tenth one is in the fast suite: neighbours ask the same check."""
    return [
        pytest.param(name, marks=[pytest.mark.slow] if place % 10 else [])
        for place, name in enumerate(names)
    ]


@dataclass
class Detected:
    """The faults that were found, for `--fault-table PATH`.

    A call adds a fault with the finding that named it, or without a finding a healthy set-up.
    """

    faults: list[tuple[str, str, str, str, float]] = field(default_factory=list)
    healthy: list[str] = field(default_factory=list)

    def __call__(
        self, label: str, diagnosis: Diagnosis | dict[str, Any], finding: Finding | None
    ) -> None:
        if isinstance(diagnosis, Diagnosis):
            diagnosis = diagnosis.to_json()
        if finding is None:
            self.healthy.append(label)
            return
        seconds = sum(diagnosis["seconds"].values())
        row = (label.replace("_", " "), finding.check, finding.cause, finding.severity, seconds)
        self.faults.append(row)

    def markdown(self) -> str:
        """The table of faults and the number of healthy set-ups."""
        lines = ["| fault | check | named as | | s |", "|---|---|---|---|---:|"]
        for label, check, cause, severity, seconds in sorted(self.faults, key=lambda row: row[1]):
            lines.append(f"| {label} | {check} | {cause} | {severity} | {seconds:.1f} |")
        lines += ["", f"{len(self.faults)} faults that a check was written for, and "]
        lines[-1] += f"{len(self.healthy)} healthy set-ups without an error."
        return "\n".join(lines) + "\n"


_DETECTED = Detected()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--fault-table", metavar="PATH", help="write what doctor found as Markdown")


def pytest_sessionfinish(session: pytest.Session) -> None:
    path = session.config.getoption("--fault-table", default=None)
    if path:
        Path(path).write_text(_DETECTED.markdown(), encoding="utf-8")


@pytest.fixture(scope="session")
def detected() -> Detected:
    return _DETECTED


def pipeline(archive: GameArchive, config: TrialConfig, **parts: Any) -> ExaminedPipeline:
    """A pipeline of one configuration and games on a 5x5 board."""
    data = DataConfig(board_size=SIZE)
    imported = ImportReport(files=["lopsided"], read=len(archive))
    return ExaminedPipeline(
        "suite", archive=archive, imported=imported, data=data, configs=[config], **parts
    )


def quick(archive: GameArchive, config: TrialConfig) -> Diagnosis:
    """The diagnosis of the quick checks."""
    return examine(pipeline(archive, config), QUICK)


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
    """A configuration with trunk `tiny`, with settings as in YAML."""
    trunk = {} if "network" in settings else {"trunk": "tiny"}
    return build(TrialConfig, {**trunk, "batch_size": 64, **settings}, "trial")


@pytest.fixture(scope="session")
def trained(dataset: Dataset) -> Trial:
    """A trained network in the absolute perspective."""
    config = tiny(
        encoder={"perspective": "absolute", "edge_ring": False},
        policy_head={"weight": 1.0},
        optimiser={"learning_rate": 3e-3},
    )
    trial = Trial.of(config, dataset, BUDGET, seed=1)
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
    """Write a checkpoint as `train` does."""
    report = trial.report()
    recorded = {"positions_seen": report.positions_seen, "value_loss": report.value_loss}
    save_checkpoint(path, {"state": trial.state(), "report": json.dumps(recorded)})
    return path


def doctor(printed: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, dict[str, Any]]:
    """Exit status and JSON output of the command."""
    status = main(["doctor", *map(str, arguments), "--format", "json"])
    out: dict[str, Any] = json.loads(printed.readouterr().out)
    return status, out


def findings(out: dict[str, Any], severity: str = "error") -> dict[str, Finding]:
    """Findings of one severity by the name of their check."""
    return {f["check"]: Finding(**f) for f in out["findings"] if f["severity"] == severity}


def alarms(diagnosis: Diagnosis) -> list[Finding]:
    """Errors and warnings of a diagnosis."""
    return [finding for finding in diagnosis.findings if finding.severity != "info"]
