"""A session's time budget and warnings, without Ray."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hexsearch.backend import cluster, tune
from hexsearch.backend.remote.copies import StudyCopies
from hexsearch.backend.remote.lease import Holder, Lease, Watch
from hexsearch.backend.storage import Storage
from hexsearch.errors import DiskError
from hexsearch.ledger.folder import StudyFolder
from hexsearch.ledger.history import TrialHistory
from hexsearch.ledger.ledger import read_ledger
from hexsearch.study import session as session_module
from hexsearch.study.listener import Listener
from hexsearch.study.session import OpenStudy, Session
from tests.search.simulation import curve, next_trial, opened, run_serially, study_config


class Clock:
    """Stands still until it is moved."""

    now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    made = Clock()
    monkeypatch.setattr(session_module, "time", made)
    monkeypatch.setattr(cluster, "trial_slots", lambda run: lambda: 1)
    yield made


def make_session(path: Path, said: list[str], **run: object) -> Session:
    config = study_config(run={"trials": 6, "optuna_storage": None, **run})
    folder = StudyFolder(path)
    listener = Listener(say=said.append)
    ledger = opened(folder.ledger, config)
    return Session(OpenStudy(config, folder, ledger, "hash", 6, None, listener))


def test_a_time_budget_drains_the_study_when_it_is_over_and_not_before(
    tmp_path: Path, clock: Clock
) -> None:
    said: list[str] = []
    session = make_session(tmp_path, said, time_budget="10m")
    engine = session._engine
    trial = next_trial(engine)
    assert isinstance(trial, TrialHistory)
    engine.start(trial.trial)
    for minutes, drains in ((9, False), (11, True), (12, True)):
        clock.now = minutes * 60.0
        session._beat()
        assert engine.draining == drains
    assert engine.halted == "time budget"
    assert said == ["time budget reached: running trials stop at their next report"]
    assert engine.report(trial.trial, curve(trial, 64)) == "stop"
    assert engine.next_job() == "finished"
    assert engine.history.trials[trial.trial].status == "running"


def test_a_study_that_was_killed_before_it_told_of_an_end_tells_it_when_it_goes_on(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    engine = make_session(tmp_path, said)._engine
    run_serially(engine)
    engine.ledger.close()
    ledger = StudyFolder(tmp_path).ledger
    lines = ledger.read_bytes().splitlines(keepends=True)
    told = max(n for n, line in enumerate(lines) if b'"event":"told"' in line)
    ledger.write_bytes(b"".join(lines[:told]))
    assert read_ledger(ledger)[-1]["event"] == "decided"
    heard: list[str] = []
    session = make_session(tmp_path, said)
    session._study.listener.record = lambda event, history: heard.append(event.event)
    monkeypatch.setattr(tune, "run_jobs", lambda engine, run: run_serially(engine))
    assert session.run() == "finished"
    assert heard[0] == "told"
    assert read_ledger(ledger)[told]["event"] == "told"


def test_a_storage_that_fails_on_the_way_is_said_once_and_the_study_goes_on(
    tmp_path: Path, clock: Clock
) -> None:
    said: list[str] = []
    session = make_session(tmp_path, said, optuna_storage="sqlite:////no/such/folder/x.db")
    assert session._export is not None
    session._export._thread.join()
    run_serially(session._engine)
    for _ in range(3):
        session._beat()
    session._close_export()
    (line,) = said
    assert (
        "unable to open database file. The study continues; write the storage later with 'storage"
        in line
    )
    assert {trial.status for trial in session._engine.history.trials.values()} == {
        "completed",
        "pruned",
    }


def test_what_a_full_disk_refused_is_raised_after_the_interruption_is_recorded(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = make_session(tmp_path, [])

    def run(engine: object, *arguments: object, **options: object) -> None:
        session._engine.next_job()
        session._engine.halt("end of storage", DiskError("t0000/checkpoint.pt: no space"))

    monkeypatch.setattr(tune, "run_jobs", run)
    with pytest.raises(DiskError, match="t0000/checkpoint"):
        session.run()
    last = read_ledger(StudyFolder(tmp_path).ledger)[-1]
    assert (last["event"], last["reason"]) == ("interrupted", "end of storage")


def test_a_driver_whose_study_was_taken_over_stops_and_says_who_has_it(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = Storage.of_path(tmp_path / "bucket")
    folder = StudyFolder(tmp_path / "study")
    config = study_config(run={"trials": 6, "optuna_storage": None, "trial_files": storage.url})
    ledger = opened(folder.ledger, config)
    monkeypatch.setattr(StudyCopies, "_tend", lambda copies: None)  # renewed by hand below
    lease = Lease.take(storage, "study", Holder.of_folder(folder.path), Watch())
    said: list[str] = []
    session = Session(
        OpenStudy(config, folder, ledger, "hash", 6, None, Listener(say=said.append), lease)
    )

    def run(engine: object, *arguments: object, **options: object) -> None:
        session._engine.next_job()
        other = Holder("node-b", 22, "token-b")
        Lease.take(storage, "study", other, Watch(sleep=lambda seconds: None))
        assert not lease.renew()  # as the thread does every 15 seconds
        session._beat()
        assert session._engine.next_job() == "finished"

    monkeypatch.setattr(tune, "run_jobs", run)
    with pytest.raises(DiskError, match="process 22 on node-b has taken the study over"):
        session.run()
    # It has recorded that here, and has written no copy over that of the other driver.
    assert read_ledger(folder.ledger)[-1]["event"] == "interrupted"
    assert b"interrupted" not in (storage.read("study/ledger.jsonl") or b"")
