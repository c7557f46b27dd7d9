"""The driver fetches what ended trials left in storage, and removes what nobody needs."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from hexsearch.backend import storage as storage_module
from hexsearch.backend.file_sync import PREVIOUS
from hexsearch.backend.remote.trial_files import TrialFiles, fetch_missing
from hexsearch.backend.storage import Storage
from hexsearch.errors import DiskError
from hexsearch.ledger.folder import CHECKPOINT, StudyFolder
from tests.backend.remote.made import made_copies, refuse_everything, written_study
from tests.search.simulation import make_engine, run_serially, study_config


@pytest.fixture(params=["file", "memory"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    if request.param == "file":
        return Storage.of_path(tmp_path / "a place")
    return Storage(f"memory://{uuid.uuid4().hex}")


def files_of(folder: StudyFolder, trial: str) -> list[str]:
    return sorted(path.name for path in folder.trial(trial).iterdir())


def test_the_driver_fetches_what_ended_trials_left_and_drops_losers(
    storage: Storage, tmp_path: Path
) -> None:
    folder = written_study(tmp_path / "study")
    for trial in ("t0000", "t0001"):
        for name in (CHECKPOINT, PREVIOUS, "games-64.npz", "reports.jsonl"):
            storage.write(f"study/trials/{trial}/{name}", name.encode())
    copies = made_copies(folder, storage, pytest.fail)
    files = TrialFiles(folder, pytest.fail, copies)
    files.fetch("t0000", checkpoint=True)
    files.fetch("t0001")
    files.drop_checkpoint("t0001")
    copies._copy()
    assert files_of(folder, "t0000") == [CHECKPOINT, "games-64.npz"]
    assert files_of(folder, "t0001") == ["games-64.npz"]
    assert storage.names("study/trials/t0001") == ["games-64.npz", "reports.jsonl"]


def test_storage_that_fails_for_many_trials_is_one_line_and_nothing_is_missed(
    storage: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = StudyFolder(tmp_path / "study")
    said: list[str] = []
    names = [f"t{number:04d}" for number in range(20)]
    for trial in names:
        storage.write(f"study/trials/{trial}/games-64.npz", b"losses")
    files = TrialFiles(folder, pytest.fail, made_copies(folder, storage, said.append))
    with monkeypatch.context() as patch:
        refuse_everything(patch)
        for trial in names:
            files.fetch(trial)
    assert len(said) == 1 and "ACCESS_DENIED" in said[0]
    files.complete()
    assert all((folder.trial(trial) / "games-64.npz").exists() for trial in names)
    assert len(said) == 1


def test_nothing_is_planned_without_the_files_that_stay_away(
    storage: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage_module, "_WAITS_S", (0.0, 0.0))
    folder = StudyFolder(tmp_path / "study")
    files = TrialFiles(folder, pytest.fail, made_copies(folder, storage, lambda line: None))
    files.complete()  # nothing to do
    refuse_everything(monkeypatch)
    files.fetch("t0007")
    with pytest.raises(DiskError, match=r"files of t0007 cannot be fetched, .*, and resume"):
        files.complete()


def test_a_study_on_another_host_gets_all_files_of_ended_trials_and_no_others(
    storage: Storage, tmp_path: Path
) -> None:
    config = study_config(scheduler={"name": "asha", "grace_period": 64, "max_t": 576})
    engine = make_engine(tmp_path / "elsewhere" / "ledger.jsonl", config)
    run_serially(engine)
    trials = engine.history.trials
    (first, *_) = completed = [name for name in trials if trials[name].status == "completed"]
    (pruned, *_) = [name for name in trials if trials[name].status == "pruned"]
    assert len(completed) > 1
    for trial in trials:
        storage.write(f"study/trials/{trial}/games-64.npz", trial.encode())
    storage.write(f"study/trials/{first}/{CHECKPOINT}", b"network")
    # What the lost driver heard after the last copy of its ledger is not known yet.
    storage.write(f"study/trials/{pruned}/games-99999.npz", b"later")
    storage.write("study/trials/t9999/games-64.npz", b"of a later trial")
    folder = StudyFolder(tmp_path / "study")
    dropped = fetch_missing(folder, storage, trials.values())
    assert {path.name for path in (folder.path / "trials").iterdir()} == set(trials)
    assert folder.checkpoint(first).read_bytes() == b"network"
    assert pruned in dropped and completed[1] in dropped and first not in dropped
    assert files_of(folder, pruned) == ["games-64.npz"]
