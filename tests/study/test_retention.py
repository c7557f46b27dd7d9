from __future__ import annotations

import math
from pathlib import Path

from hexsearch.backend.remote.trial_files import TrialFiles
from hexsearch.ledger.folder import CHECKPOINT, StudyFolder
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
