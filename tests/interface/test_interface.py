"""The commands as Python functions: launch, load, examine, resume."""

from __future__ import annotations

import subprocess
import sys
from html import escape
from pathlib import Path

import pytest

import hexsearch as hs
from hexsearch.config.run import RunConfig
from hexsearch.errors import ConfigError
from hexsearch.interface.given import paths_of, settings_of
from hexsearch.ledger.report import ReportSummary

TINY = {
    "trial.trunk": "tiny",
    "scheduler.max_t": 1_152,
    "scheduler.grace_period": 384,
    "run.max_concurrent": 1,
    "data.validation_games": 20,
}


class Heard(hs.Callback):
    """Notes what it is told."""

    def __init__(self) -> None:
        self.events: list[str] = []

    def study_started(self, study: hs.Study) -> None:
        self.events.append("started")

    def trial_reported(self, study: hs.Study, trial: object, report: ReportSummary) -> None:
        self.events.append(f"report at {report.positions_seen}")

    def trial_ended(self, study: hs.Study, trial: object) -> None:
        self.events.append("trial ended")
        raise RuntimeError("on purpose")

    def study_ended(self, study: hs.Study) -> None:
        self.events.append("never told: it raised before")


@pytest.fixture(scope="module")
def told() -> Heard:
    return Heard()


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory, told: Heard) -> hs.Study:
    return hs.launch(
        "smoke",
        name="mine",
        results=tmp_path_factory.mktemp("results"),
        set=TINY,
        trials=2,
        seed=3,
        doctor=False,
        callbacks=[told],
        progress=False,
    )


def test_a_launched_study_is_finished_and_loads_again(study: hs.Study) -> None:
    again = hs.load_study(study.path)
    assert again.state == study.state == "finished"
    assert [trial.name for trial in again.trials] == ["t0000", "t0001"]
    assert again.config.run.trials == 2


def test_a_leaderboard_is_a_frame_text_and_html(study: hs.Study) -> None:
    board = study.leaderboard(by="trial")
    frame = board.to_frame()
    assert list(frame["trial_ids"]) == [row.trial_ids[0] for row in board.rows]
    assert frame["value_loss"].between(0, 1).all() and {
        "value_loss_early",
        "value_loss_late",
    } <= set(frame.columns)
    assert board.rows[0].name.split()[0] in repr(board)
    assert escape(board.rows[0].name.split()[0]) in board._repr_html_()
    assert board.to_json()["state"] == "finished"


def test_curves_have_a_line_for_each_report(study: hs.Study) -> None:
    curves = study.curves()
    assert set(curves["trial"]) == {"t0000", "t0001"}
    assert (curves.groupby("trial")["positions_seen"].diff().dropna() > 0).all()
    assert curves["value_loss"].notna().all()


def test_the_network_of_a_trial_answers(study: hs.Study) -> None:
    assert study.best_trial.name == study.leaderboard(by="trial").rows[0].trial_ids[0]
    (answer,) = study.best_trial.predictor().answer(["#13,g7f8"], top=2)
    assert 0.0 < answer.win_prob_red < 1.0 and len(answer.best_moves) == 2
    assert answer.to_move == "blue"


def test_callbacks_hear_of_reports_until_they_raise(study: hs.Study, told: Heard) -> None:
    assert told.events[0] == "started" and told.events[1] == "report at 384"
    assert told.events[-1] == "trial ended"


def test_a_trial_that_is_not_there_is_named(study: hs.Study) -> None:
    with pytest.raises(hs.HexsearchError, match="has no trial 't0009'; it has t0000 to t0001"):
        study.trial("t0009")


def test_a_folder_without_a_study_is_an_exception_and_no_exit(tmp_path: Path) -> None:
    with pytest.raises(hs.HexsearchError):
        hs.load_study(tmp_path)


def test_importing_the_package_imports_nothing_else() -> None:
    code = (
        "import sys; before = set(sys.modules); import hexsearch; print(*set(sys.modules) - before)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"torch", "ray", "optuna", "numpy", "pydantic", "pandas"}
    assert not heavy & set(done.stdout.split()) and done.stderr == ""


def test_settings_and_games_are_taken_as_python_values() -> None:
    assert settings_of({"run.trials": 3, "trial.trunk": "tiny"}) == [
        "run.trials=3",
        'trial.trunk="tiny"',
    ]
    with pytest.raises(ConfigError, match=r"set: run.trials is a object; give a number"):
        settings_of({"run.trials": object()})
    assert paths_of(None) == ["starter"] and paths_of(Path("a")) == ["a"]
    assert paths_of(["a", Path("b")]) == ["a", "b"]


def test_callbacks_are_named_by_import_path() -> None:
    from hexsearch.interface.callbacks import named_callbacks

    run = RunConfig.model_validate({"callbacks": ["tests.interface.test_interface:Heard"]})
    (callback,) = named_callbacks(run.callbacks)
    assert isinstance(callback, hs.Callback)
    with pytest.raises(hs.HexsearchError, match="derive it from"):
        named_callbacks(["builtins:dict"])
