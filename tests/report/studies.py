"""Small real studies, trained in this process with engine and worker, but without Ray."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hexsearch.backend.message import Message
from hexsearch.backend.trainable import TrialWorker
from hexsearch.config.section import build
from hexsearch.config.study import StudyConfig
from hexsearch.data.archive import GameArchive, write_archive
from hexsearch.data.dataset import Dataset
from hexsearch.ledger.events import Finished, Interrupted, StudyOpened
from hexsearch.ledger.folder import StudyFolder
from hexsearch.ledger.ledger import Ledger
from hexsearch.search.engine import Engine, EngineSetup, Job
from hexsearch.search.space_parsing import build_space
from hexsearch.study.assignments import Assigner
from hexsearch.study.phases import PhasePlanner
from hexsearch.study.preflight import baseline_rows

ALL_PHASES: dict[str, Any] = {
    "question": "Which head predicts the winner best on a small board?",
    "trial": {"trunk": "tiny", "batch_size": 64, "encoder": {"perspective": "mover"}},
    "search": {
        "value_head": {"choice": ["512->1", "512->32->1"]},
        "readout": {"choice": ["bce", "sigmoid_mse"]},
        "optimiser.learning_rate": {"float": [2e-3, 2e-2], "log": True},
    },
    "scheduler": {
        "name": "asha",
        "grace_period": 128,
        "max_t": 512,
        "reduction_factor": 2,
        "report_every": 128,
    },
    "searcher": {"name": "tpe", "startup_trials": 4},
    "run": {"trials": 8, "cpus_per_trial": 1},
    "phases": ["compare", "search", "pruning_check", "race", "confirm"],
    "pruning_check": {"share": 0.5},
    "race": {"runs": 2, "seeds": 2},
    "compare": {"seeds": 2},
    "confirm": {"winners": 1, "seeds": 2},
}


def trained_study(
    path: Path, archive: GameArchive, raw: dict[str, Any], jobs: int | None = None
) -> StudyFolder:
    """A study of these games, finished, or interrupted after so many jobs."""
    folder, config = StudyFolder(path), build(StudyConfig, raw, "")
    write_archive(folder.archive, archive)
    description = folder.write_description(config, ["games.trmph"], archive.content_hash)
    baselines = [row.to_json() for row, _ in baseline_rows(Dataset(archive, config.data))]
    ledger = Ledger(folder.ledger)
    try:
        ledger.append(StudyOpened(**description, trials=config.run.trials, baselines=baselines))
        space = build_space(config)
        planner = PhasePlanner(config, space, folder)
        engine = Engine(EngineSetup(config, space, config.run.trials, planner=planner), ledger)
        assign = Assigner(config, folder, archive.content_hash, engine.schedules)
        done = 0
        while done != jobs and engine.plan() and isinstance(job := engine.next_job(), Job):
            _run(engine, job, assign)
            done += 1
        engine.record(Interrupted(reason="signal") if engine.plan() else Finished())
    finally:
        ledger.close()
    return folder


def _run(engine: Engine, job: Job, assign: Assigner) -> None:
    """One job from its first point to its last."""
    engine.start(job.name)
    worker = TrialWorker.__new__(TrialWorker)
    worker.setup(assign(job).to_config())
    heard: str = "continue"
    while heard == "continue":
        message = Message.of_result(worker.step())
        assert message.failure is None and message.unwritable is None, message
        heard = engine.hear(job.name, message.reports)
    engine.release(job.name)
    worker.cleanup()
