from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from hexsearch.ledger.events import Started, Told
from hexsearch.ledger.folder import StudyFolder
from hexsearch.ledger.progress import StudyProgress, TrialProgress, read_progress, store_progress
from hexsearch.search.engine import Engine
from hexsearch.study.progress import ProgressMeter
from tests.search.simulation import curve, make_engine, next_trial, study_config


class Watched:
    """An engine whose first trial runs, under a clock that the test moves."""

    def __init__(self, folder: Path) -> None:
        self.now = 100.0
        self.engine: Engine = make_engine(folder / "ledger.jsonl", study_config())
        self.meter = ProgressMeter(StudyFolder(folder), self.engine.schedules, lambda: self.now)
        trial = next_trial(self.engine)
        assert not isinstance(trial, str)
        self.trial = trial
        self.meter.apply(Started(trial=trial.trial, attempt=1))

    def tell(self, seconds: float, positions: int) -> None:
        self.now += seconds
        self.meter.note([self.trial], positions)

    @property
    def progress(self) -> TrialProgress:
        return self.meter.read(self.engine.history).trials[self.trial.trial]


def test_before_its_first_step_a_trial_is_starting(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    assert watched.progress.doing == "starting"
    assert watched.progress.seconds_to_report is None


def test_the_time_to_the_next_report_follows_from_the_last_half_minute(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    points = watched.engine.schedules.points("search")
    watched.tell(5.0, 2)  # the set-up took four of these seconds
    for positions in (4, 6, 8):
        watched.tell(1.0, positions)
    one = watched.progress
    assert (one.positions_seen, one.positions_per_s, one.doing) == (8, 2.0, "training")
    assert one.next_report == points[0] and one.max_positions == points[-1]
    assert one.seconds_to_report == (points[0] - 8) / 2.0


def test_at_its_point_a_trial_evaluates_and_after_its_report_it_trains_on(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    first, second, *_ = watched.engine.schedules.points("search")
    watched.tell(1.0, first // 2)
    watched.tell(1.0, first)
    assert watched.progress.doing == "evaluating"
    watched.engine.start(watched.trial.trial)
    watched.engine.setup = replace(watched.engine.setup, observe=watched.meter.apply)
    watched.now += 60.0  # of evaluation, which are no training
    watched.engine.report(watched.trial.trial, curve(watched.trial, first))
    watched.tell(1.0, first + 4)
    assert watched.progress.next_report == second
    assert watched.progress.positions_per_s == 4.0


def test_a_trial_that_has_ended_is_shown_no_more(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    watched.tell(1.0, 4)
    watched.meter.apply(Told(trial=watched.trial.trial, state="PRUNED"))
    assert watched.meter.read(watched.engine.history).trials == {}


def test_the_file_is_written_once_a_second_and_gone_at_the_end(tmp_path: Path) -> None:
    watched, path = Watched(tmp_path), StudyFolder(tmp_path).progress
    one = {"t0000": TrialProgress(4, 16, 64, 2.0)}
    watched.meter.store(StudyProgress(1.0, one))
    watched.now += 0.5
    watched.meter.store(StudyProgress(1.5))
    assert read_progress(path) == StudyProgress(1.0, one)
    watched.now += 0.6
    watched.meter.store(StudyProgress(2.1))
    assert read_progress(path) == StudyProgress(2.1)
    watched.meter.close()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["ledger.jsonl", "ledger.lock"]


def test_a_file_that_cannot_be_read_or_written_is_no_progress(tmp_path: Path) -> None:
    path = tmp_path / "progress.json"
    assert read_progress(path) == StudyProgress()
    for text in ("", "[]", "{}", '{"at": 1, "trials": {"t0000": {"more": 1}}}', "{", "\udcff"):
        path.write_bytes(text.encode(errors="surrogateescape"))
        assert read_progress(path) == StudyProgress()
    store_progress(tmp_path / "missing" / "progress.json", StudyProgress())
