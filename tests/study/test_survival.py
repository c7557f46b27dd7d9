"""A study that has been through something goes on, or says in one line why it does not."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from hexsearch.cli.main import main
from hexsearch.config.run import RunConfig
from hexsearch.data.archive import build_archive, write_archive
from hexsearch.errors import HexsearchError
from hexsearch.ledger.events import Interrupted, StudyOpened, Told
from hexsearch.ledger.folder import StudyFolder
from hexsearch.ledger.history import StudyHistory
from hexsearch.ledger.ledger import Ledger, read_events
from tests.data.games import random_games
from tests.search.simulation import engine_over, next_trial, run_serially, study_config

NOBODY = 65534
# What commands import when they run.
LATE = (
    "torch._dynamo",
    "hexsearch.interface.doctor_check",
    "hexsearch.leaderboard.leaderboard",
    "hexsearch.report.html.page",
    "hexsearch.report.table",
    "hexsearch.study.export",
    "hexsearch.study.launch",
)
REACHED = "error: Ray would be started here\n"


@pytest.fixture(autouse=True)
def no_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes after all refusals."""

    def refuse(*_: object) -> Any:
        raise HexsearchError("Ray would be started here")

    monkeypatch.setattr("hexsearch.backend.cluster.ray_cluster", refuse)


@pytest.fixture
def study(tmp_path: Path) -> StudyFolder:
    """A simulated study that was interrupted in its last trial."""
    return interrupted(tmp_path / "study")


def interrupted(path: Path) -> StudyFolder:
    folder = StudyFolder(path)
    config = study_config(data={"board_size": 5}, run={"trials": 3})
    archive = build_archive(random_games(40, size=5))
    write_archive(folder.archive, archive)
    description = folder.write_description(config, ["/gone/games.trmph"], archive.content_hash)
    ledger = Ledger(folder.ledger)
    ledger.append(StudyOpened(trials=4, **description))
    run_serially(engine_over(ledger, config))
    more = config.model_copy(update={"run": config.run.model_copy(update={"trials": 4})})
    engine = engine_over(ledger, more)
    trial = next_trial(engine)
    assert not isinstance(trial, str)
    engine.start(trial.trial)
    engine.record(Interrupted(reason="signal"))
    ledger.close()
    return folder


def test_games_that_have_moved_are_not_missed(
    study: StudyFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["resume", str(study.path)]) == 1
    assert capsys.readouterr().err.endswith(REACHED)


def test_a_session_gets_the_time_budget_that_resume_names(
    study: StudyFolder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    budgets: list[float | None] = []

    def note(address: str | None, resources: RunConfig) -> Any:
        budgets.append(resources.time_budget)
        raise HexsearchError("Ray would be started here")

    monkeypatch.setattr("hexsearch.backend.cluster.ray_cluster", note)
    before = study.description.read_text()
    monkeypatch.chdir(study.path.parent)
    Path("results").mkdir()
    study.path.rename("results/mine")
    main(["resume", "mine"])
    main(["resume", "mine", "--time-budget", "10m"])
    assert budgets == [None, 600.0]
    assert Path("results/mine/study.yaml").read_text() == before
    for text in ("soon", "0"):
        assert main(["resume", "mine", "--time-budget", text]) == 2
        assert "error: --time-budget: " in capsys.readouterr().err


def test_trials_that_were_lost_are_trained_again(
    study: StudyFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    assert not study.trial("t0000").exists()  # the simulation wrote no files
    assert main(["leaderboard", str(study.path)]) == 0
    assert main(["resume", str(study.path)]) == 1
    assert capsys.readouterr().err.endswith(REACHED)


@pytest.mark.parametrize("name", ["games.archive", "study.yaml", "ledger.jsonl"])
def test_a_missing_file_is_named_with_what_to_do_and_none_is_made(
    study: StudyFolder, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (study.path / name).unlink()
    before = sorted(study.path.rglob("*"))
    assert main(["resume", str(study.path)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert name in line and ("copy" in line or "is this a study folder?" in line)
    assert sorted(study.path.rglob("*")) == before


def test_other_versions_are_said_and_go_on(
    study: StudyFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    text = study.description.read_text()
    lines = [f"  torch: {'1.0'}" if "  torch:" in line else line for line in text.splitlines()]
    study.description.write_text("\n".join(lines))
    assert main(["resume", str(study.path)]) == 1
    said = capsys.readouterr().err
    assert "torch was 1.0 when this study began" in said and said.endswith(REACHED)


def test_a_study_that_runs_is_not_run_twice(
    study: StudyFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    ledger = Ledger(study.ledger)
    assert main(["resume", str(study.path)]) == 2
    assert "another process is running this study" in capsys.readouterr().err
    assert main(["leaderboard", str(study.path)]) == 0
    ledger.close()


@contextmanager
def somebody_else(folder: Path, closed: Path | None = None) -> Iterator[None]:
    """A user who may read a folder and not write it, nor read what is closed."""
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    if closed is not None:
        closed.chmod(0o000)
    is_root = os.geteuid() == 0
    for module in LATE:  # somebody else may not read a Python that root keeps for itself
        import_module(module)
    if is_root:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if is_root:
            os.seteuid(0)
        if closed is not None:
            closed.chmod(0o755)
        for path in [folder, *folder.rglob("*")]:
            path.chmod(0o755)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """Where other users come to; pytest's own folders are closed to them."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def test_a_folder_that_may_only_be_read_is_read_and_not_resumed(
    open_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = interrupted(open_folder / "study")
    before = study.ledger.read_bytes()
    with somebody_else(open_folder):
        assert main(["leaderboard", str(study.path)]) == 0
        assert main(["report", str(study.path)]) in (1, 2)
        assert main(["resume", str(study.path)]) == 2
        assert main(["launch", "smoke", "--results", str(open_folder), "--name", "x"]) == 2
    said = capsys.readouterr().err
    assert "Permission denied" in said and "is read-only; choose another --results" in said
    assert study.ledger.read_bytes() == before


def test_a_folder_that_may_not_be_read_is_one_line(
    open_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = interrupted(open_folder / "study")
    with somebody_else(open_folder, closed=study.path):
        for command in ("leaderboard", "resume", "report", "export"):
            assert main([command, str(study.path)]) == 2
            assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize("jump", [-86_400.0, 86_400.0])
def test_a_clock_that_jumps_uses_up_no_budget_and_makes_no_negative_time(
    study: StudyFolder, jump: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = StudyHistory.of(read_events(study.ledger)).seconds
    now = [1_000_000.0]
    monkeypatch.setattr("time.time", lambda: now[0])
    ledger = Ledger(study.ledger)
    first = ledger.append(Told(trial="t0003", state="FAIL"))
    now[0] += jump
    second = ledger.append(Told(trial="t0003", state="FAIL"))
    ledger.close()
    assert 0.0 <= second.at - first.at < 60.0
    again = Ledger(study.ledger)  # another session, by the clock as it is now
    third = again.append(Interrupted(reason="signal"))
    again.close()
    assert third.at < 1_000_000.0 + max(0.0, jump) + 60.0
    assert StudyHistory.of(read_events(study.ledger)).seconds >= before
