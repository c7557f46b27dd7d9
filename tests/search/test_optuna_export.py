from __future__ import annotations

from pathlib import Path

import optuna
import pytest
from optuna.storages import JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from hexsearch.config.study import StudyConfig
from hexsearch.errors import HexsearchError
from hexsearch.ledger.events import Finished, Interrupted
from hexsearch.ledger.folder import StudyFolder
from hexsearch.ledger.history import StudyHistory, TrialHistory
from hexsearch.ledger.ledger import Ledger
from hexsearch.ledger.report import ReportSummary
from hexsearch.search.engine import Engine
from hexsearch.search.optuna_export import JOURNAL, OptunaExport, OptunaStorage, journal_path
from hexsearch.search.space_parsing import build_space
from tests.search.simulation import (
    curve,
    engine_over,
    make_engine,
    opened,
    run_serially,
    study_config,
)

OPEN_FILES = Path("/proc/self/fd")


def stored(folder: StudyFolder) -> optuna.Study:
    storage = JournalStorage(JournalFileBackend(str(journal_path(folder))))
    return optuna.load_study(study_name=folder.name, storage=storage)


def mirrored(
    folder: StudyFolder, config: StudyConfig, ledger: Ledger, where: str = JOURNAL
) -> OptunaExport:
    return OptunaExport(OptunaStorage(folder, config, build_space(config), where), ledger)


def run_mirrored(folder: StudyFolder, config: StudyConfig, until: int | None = None) -> Engine:
    ledger = opened(folder.ledger, config)
    mirror = mirrored(folder, config, ledger)
    engine = engine_over(ledger, config, observe=mirror.apply)

    def reports(trial: TrialHistory, positions: int) -> ReportSummary:
        if trial.number == until:
            engine.drain()
        return curve(trial, positions)

    run_serially(engine, reports)
    engine.record(Finished() if until is None else Interrupted(reason="signal"))
    mirror.close()
    engine.ledger.close()
    assert mirror.fault is None
    return engine


def assert_equal(study: optuna.Study, history: StudyHistory) -> None:
    states = {"completed": TrialState.COMPLETE, "pruned": TrialState.PRUNED}
    assert len(study.trials) == len(history.trials)
    for trial, ours in zip(study.trials, history.trials.values(), strict=True):
        assert trial.state == states.get(ours.status, TrialState.WAITING)
        assert trial.user_attrs["trial"] == ours.trial
        assert trial.params["optimiser.learning_rate"] == ours.values["optimiser.learning_rate"]
        assert trial.intermediate_values == {
            point.positions_seen: point.value_loss for point in ours.curve
        }
        if ours.status == "completed":
            assert trial.value == ours.value_loss


def test_what_is_written_live_is_what_the_ledger_says(tmp_path: Path) -> None:
    folder = StudyFolder(tmp_path)
    engine = run_mirrored(folder, study_config())
    assert_equal(stored(folder), engine.history)
    assert {trial.state for trial in stored(folder).trials} == {
        TrialState.COMPLETE,
        TrialState.PRUNED,
    }


def test_no_trial_is_left_running_when_a_study_is_interrupted_and_goes_on(tmp_path: Path) -> None:
    folder, config = StudyFolder(tmp_path), study_config()
    run_mirrored(folder, config, until=0)  # nothing can prune the first trial at its first report
    assert [trial.state for trial in stored(folder).trials] == [TrialState.WAITING]
    history = run_mirrored(folder, config).history
    assert_equal(stored(folder), history)


def test_it_is_rebuilt_where_it_is_missing_or_damaged(tmp_path: Path) -> None:
    folder, config = StudyFolder(tmp_path), study_config()
    engine = run_mirrored(folder, config)
    journal_path(folder).write_text('{"op_code": 0, "worker')
    storage = OptunaStorage(folder, config, build_space(config), JOURNAL)
    storage.rebuild(engine.ledger)
    assert_equal(stored(folder), engine.history)


def test_studies_of_one_name_share_a_database(tmp_path: Path) -> None:
    url, config = f"sqlite:///{tmp_path}/optuna.db", study_config()
    for place in ("one", "other"):
        folder = StudyFolder(tmp_path / place / "study")
        now = iter(range(len(place), 10_000))
        engine = make_engine(folder.ledger, config, clock=lambda now=now: float(next(now)))  # type: ignore[misc]
        run_serially(engine)
        for _ in range(2):  # the second writes the same study anew
            mirror = mirrored(folder, config, engine.ledger, url)
            mirror.close()
            assert mirror.fault is None
    database = RDBStorage(url)
    names = {study.study_name for study in database.get_all_studies()}
    assert len(names) == 2
    for name in names:
        assert_equal(optuna.load_study(study_name=name, storage=database), engine.history)
    database.engine.dispose()


@pytest.mark.skipif(not OPEN_FILES.exists(), reason="this system does not list open files")
def test_no_connection_to_a_database_stays_open(tmp_path: Path) -> None:
    folder, config = StudyFolder(tmp_path / "study"), study_config()
    engine = make_engine(folder.ledger, config)
    run_serially(engine)
    mirrored(folder, config, engine.ledger, f"sqlite:///{tmp_path}/optuna.db").close()
    assert (tmp_path / "optuna.db").exists()
    links = [path.readlink() for path in OPEN_FILES.iterdir() if path.is_symlink()]
    assert tmp_path / "optuna.db" not in links


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("sqlite:////no/such/folder/optuna.db", "unable to open database file"),
        ("nonsense", "run.optuna_storage"),
        ("postgresql://user:secret@localhost:1/x", "localhost:1"),
    ],
)
def test_a_storage_that_cannot_be_reached_is_a_fault_of_one_line_without_a_password(
    tmp_path: Path, url: str, said: str
) -> None:
    folder, config = StudyFolder(tmp_path), study_config()
    ledger = opened(folder.ledger, config)
    mirror = mirrored(folder, config, ledger, url)
    engine = engine_over(ledger, config, observe=mirror.apply)
    run_serially(engine)  # to its end, whatever becomes of the storage
    mirror.close()
    assert mirror.fault is not None
    assert said in mirror.fault and "\n" not in mirror.fault and "secret" not in mirror.fault
    assert len(engine.history.trials) == 12
    with pytest.raises(HexsearchError):
        OptunaStorage(folder, config, build_space(config), url).rebuild(engine.ledger)
