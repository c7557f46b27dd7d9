"""One command starts or resumes a study, also on a host that has never seen it; without Ray."""

from __future__ import annotations

from pathlib import Path

import pytest

from hexsearch.backend.remote.fetching import study_url
from hexsearch.backend.remote.lease import LEASE
from hexsearch.backend.storage import Storage
from hexsearch.cli.main import main
from hexsearch.config.study import StudyConfig
from hexsearch.data.archive import build_archive, write_archive
from hexsearch.ledger.events import Finished, Interrupted, StudyOpened
from hexsearch.ledger.folder import StudyFolder
from hexsearch.ledger.ledger import Ledger
from tests.data.games import random_games
from tests.search.simulation import engine_over, next_trial, run_serially, study_config
from tests.study.test_survival import REACHED, no_ray

__all__ = ["no_ray"]  # a fixture
SPACE = "search_spaces/smoke.yaml"


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return Storage.of_path(tmp_path / "bucket")


def stored_study(
    folder: StudyFolder, storage: Storage | None, finished: bool = False
) -> StudyConfig:
    """A simulated study that was interrupted, or that ended, with its copy in storage."""
    url = storage.url if storage else None
    config = study_config(data={"board_size": 5}, run={"trials": 3, "trial_files": url})
    archive = build_archive(random_games(40, size=5))
    write_archive(folder.archive, archive)
    description = folder.write_description(config, ["/gone/games.trmph"], archive.content_hash)
    ledger = Ledger(folder.ledger)
    ledger.append(StudyOpened(trials=3, **description))
    engine = engine_over(ledger, config)
    if finished:
        run_serially(engine)
        engine.record(Finished())
    else:
        trial = next_trial(engine)
        assert not isinstance(trial, str)
        engine.start(trial.trial)
        engine.record(Interrupted(reason="signal"))
    ledger.close()
    if storage is not None:
        for path in folder.path.iterdir():
            if path.suffix != ".lock":
                storage.write(f"{folder.name}/{path.name}", path.read_bytes())
        for name in engine.history.trials:
            storage.write(f"{folder.name}/trials/{name}/curve.jsonl", b"{}\n")
    return config


def test_a_url_is_resumed_on_a_host_that_has_no_folder_of_the_study(
    storage: Storage, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stored_study(StudyFolder(tmp_path / "first" / "heads"), storage)
    url = study_url(storage.url, "heads")
    assert main(["resume", url, "--results", str(tmp_path / "second")]) == 1
    said = capsys.readouterr().err
    assert f"fetched {url} to {tmp_path / 'second' / 'heads'}" in said.replace("\n", "")
    assert said.endswith(REACHED)
    assert LEASE not in storage.names("heads")  # it came no further, and left the lease


def test_a_finished_study_comes_with_the_files_of_its_trials(
    storage: Storage, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = StudyFolder(tmp_path / "first" / "heads")
    stored_study(first, storage, finished=True)
    results = tmp_path / "second"
    assert main(["resume", study_url(storage.url, "heads"), "--results", str(results)]) == 0
    captured = capsys.readouterr()
    assert "heads is finished: 3 trials." in captured.err and "512->" in captured.out
    second = StudyFolder(results / "heads")
    assert second.ledger.read_bytes() == first.ledger.read_bytes()
    assert (second.trial("t0002") / "curve.jsonl").exists()


def test_a_study_that_went_on_elsewhere_is_not_resumed_from_its_old_folder(
    storage: Storage, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = StudyFolder(tmp_path / "first" / "heads")
    stored_study(first, storage)
    ledger = storage.read("heads/ledger.jsonl")
    assert ledger is not None
    storage.write("heads/ledger.jsonl", ledger + b"a record of another host\n")
    assert main(["resume", str(first.path)]) == 2
    assert "the study went on on another host" in capsys.readouterr().err


def start(results: Path, *more: str) -> int:
    """The same command each time."""
    return main(["launch", SPACE, "--results", str(results), "--or-resume", "--no-doctor", *more])


def test_or_resume_starts_a_study_once_and_then_resumes_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert start(tmp_path, "--name", "heads") == 1
    assert "was started before" not in capsys.readouterr().err  # there was none
    stored_study(StudyFolder(tmp_path / "heads"), None)
    assert start(tmp_path, "--name", "heads") == 1
    said = capsys.readouterr().err
    assert "was started before and is resumed, with its own settings" in said.replace("\n", " ")
    assert said.endswith(REACHED)


def test_or_resume_finds_a_study_in_storage(
    storage: Storage, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stored_study(StudyFolder(tmp_path / "first" / "heads"), storage)
    place = ("--set", f"run.trial_files={storage.url}")
    assert start(tmp_path / "second", "--name", "heads", *place) == 1
    assert capsys.readouterr().err.endswith(REACHED)
    assert StudyFolder(tmp_path / "second" / "heads").has_records


def test_or_resume_without_a_name_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert start(tmp_path) == 2
    assert "--or-resume: give a --name" in capsys.readouterr().err
