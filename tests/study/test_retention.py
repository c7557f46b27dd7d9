from __future__ import annotations

import math
from pathlib import Path

from hexsearch.backend.remote.trial_files import TrialFiles
from hexsearch.ledger.folder import CHECKPOINT, StudyFolder
from hexsearch.ledger.history import StudyHistory, TrialHistory
from hexsearch.study.retention import CheckpointRetention
from tests.search.simulation import make_engine, next_trial, run_serially, study_config


def test_the_best_completed_and_the_unfinished_keep_their_checkpoints(tmp_path: Path) -> None:
    folder, config = (
        StudyFolder(tmp_path),
        study_config(scheduler={"name": "none", "grace_period": 64, "max_t": 64}),
    )
    engine = make_engine(folder.ledger, config, slots=lambda: 2)
    waiting = next_trial(engine)
    run_serially(engine)
    for name in engine.history.trials:
        folder.trial(name).mkdir(parents=True)
        folder.checkpoint(name).touch()
    files = TrialFiles(folder, lambda line: None)
    CheckpointRetention(files, best=2, paused_bytes=math.inf, history=engine.history)
    kept = {path.parent.name for path in folder.path.glob(f"trials/*/{CHECKPOINT}")}
    ended = [trial for trial in engine.history.trials.values() if trial.told]
    best = sorted(ended, key=lambda trial: trial.value_loss or 1.0)[:2]
    assert kept == {trial.trial for trial in (*best, waiting) if not isinstance(trial, str)}


class Sizes(TrialFiles):
    """Checkpoints of 10 bytes each, which are not there."""

    def checkpoint_bytes(self, trial: str) -> int:
        return 10


def test_paused_trials_leave_the_least_promising_first_when_the_disk_is_full(
    tmp_path: Path,
) -> None:
    history = StudyHistory()
    for number in range(4):
        trial = TrialHistory(f"t{number}", number, "v", number, 0, "h", {}, {}, "tpe")
        trial.status, trial.told = "paused", True
        history.trials[trial.trial] = trial
    files = Sizes(StudyFolder(tmp_path), lambda line: None)
    retention = CheckpointRetention(files, best=1, paused_bytes=30.0, history=history)
    assert retention.surplus(lambda: iter(["t2", "t0", "t1", "t3"])) == ["t2"]
    retention.discard("t2")

    def unasked() -> list[str]:
        raise AssertionError("the order matters only when the disk is full")

    assert retention.surplus(unasked) == []
    retention.leave("t0")  # it goes on, and is paused again
    retention.ended(history.trials["t2"])
    assert retention.surplus(unasked) == []
    retention.ended(history.trials["t0"])
    retention.ended(history.trials["t0"])
    assert retention.surplus(lambda: iter(["t0", "t1", "t3"])) == ["t0"]
