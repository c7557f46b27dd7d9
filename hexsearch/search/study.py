"""Start, run, resume and finish a study on Ray Tune.

Ray takes seconds to import, so it is imported where a study runs and not by commands that read.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from typing import Any

from hexsearch.config.study import StudyConfig
from hexsearch.data.archive import write_archive
from hexsearch.data.dataset import Dataset
from hexsearch.data.importing import import_games
from hexsearch.errors import LedgerError
from hexsearch.search.engine import Engine
from hexsearch.search.folder import StudyFolder, versions
from hexsearch.search.history import StudyHistory, TrialHistory
from hexsearch.search.ledger import Ledger, Record
from hexsearch.search.listener import Ended, Examiner, Listener
from hexsearch.search.mirror import TrialFiles, copies_in_storage, require_unused, trial_name
from hexsearch.search.preflight import check_components, floor_rows
from hexsearch.search.signals import draining_signals
from hexsearch.search.space_parsing import build_space
from hexsearch.search.storage import Storage
from hexsearch.search.worker import Assignment
from hexsearch.training.milestones import report_points


def launch(
    config: StudyConfig,
    games: Sequence[str],
    folder: StudyFolder,
    address: str | None,
    listener: Listener,
    where: str = "",
    examine: Examiner | None = None,
) -> Ended:
    """Start a new study and run it to its end; a fault found on the way leaves no folder.

    Args:
        games: files and folders, or `starter`.
        address: of a running Ray cluster; None starts Ray on this machine.
        where: prefix of configuration faults, such as the file's name.
        examine: looks at the games before anything is written, returns warnings, and raises what
            the study must not start with.
    Raises:
        FaultyInput: before anything is written, if configuration or games are at fault.
    """
    from hexsearch.search.cluster import ray_cluster
    from hexsearch.search.nodes import require_shared_storage

    space = build_space(config, where)
    folder.require_new()
    folder.require_writable()
    check_components(space)
    archive, imported = import_games(games, config.data.board_size)
    for line in (imported.summary(), *imported.decision_lines()):
        listener.say(line)
    dataset = Dataset(archive, config.data)
    warnings = examine(dataset, imported) if examine is not None else []
    for line in warnings:
        listener.say(f"warning: {line}")
    floors = floor_rows(dataset)
    with ray_cluster(address):  # before anything is written: it may not be there
        require_shared_storage(folder.path, config.run.trial_files)
        require_unused(folder, config.run.trial_files)
        write_archive(folder.archive, archive)
        description = folder.write_description(config, games, archive.content_hash)
        ledger = Ledger(folder.ledger)
        try:
            trials = config.run.trials
            ledger.append("study", **description, trials=trials, floors=floors, warnings=warnings)
            return _run(config, folder, ledger, archive.content_hash, trials, address, listener)
        finally:
            ledger.close()


def resume(folder: StudyFolder, more_trials: int, address: str | None, listener: Listener) -> Ended:
    """Go on where a study stopped, unfinished trials first, perhaps with further trials.

    Raises:
        LedgerError: no study, or it is running.
    """
    from hexsearch.search.cluster import ray_cluster
    from hexsearch.search.nodes import require_shared_storage

    description, config = folder.read_description()
    ledger = Ledger(folder.ledger)
    try:
        if not ledger.records:
            raise LedgerError(f"{folder.path}: ended before its first record; launch it again")
        history = StudyHistory.of(ledger.records)
        content_hash = description["games"]["content_hash"]
        folder.require_games(content_hash)
        for line in _differences(description):
            listener.say(line)
        trials = history.target_trials + more_trials
        left = trials - len(history.trials) + len(history.unfinished)
        if not left:
            listener.say(
                f"{folder.name} is finished: {len(history.trials)} trials. "
                "Extend it with --trials +N."
            )
            return "finished"
        with ray_cluster(address):
            require_shared_storage(folder.path, config.run.trial_files)
            ledger.append("resumed", trials=trials)
            return _run(config, folder, ledger, content_hash, trials, address, listener)
    finally:
        ledger.close()


def _differences(description: dict[str, Any]) -> list[str]:
    """What has changed since the study began, in words."""
    now = versions()
    return [
        f"note: {package} was {old} when this study began and is {now[package]} now; "
        "numbers may differ in the last bits"
        for package, old in description["versions"].items()
        if now.get(package) != old
    ]


def _run(
    config: StudyConfig,
    folder: StudyFolder,
    ledger: Ledger,
    archive_hash: str,
    trials: int,
    address: str | None,
    listener: Listener,
) -> Ended:
    """Run on the Ray that is connected."""
    from hexsearch.search.cluster import trial_slots, tune_trials

    space = build_space(config)
    engine: Engine
    storage = Storage(config.run.trial_files) if config.run.trial_files else None
    files = TrialFiles(folder, storage, listener.say)

    def observe(record: Record) -> None:
        if record["event"] == "told":
            ended = engine.history.trials[record["trial"]]
            files.fetch(ended.trial, checkpoint=ended.status == "completed")
            _retain_checkpoints(files, engine.history, config.run.keep_checkpoints)
        listener.record(record, engine.history)

    engine = Engine(config, space, ledger, trials, trial_slots(config.run), observe)
    deadline = time.monotonic() + (config.run.time_budget or float("inf"))
    out_of_time = False

    def beat() -> None:
        nonlocal out_of_time
        if time.monotonic() > deadline and not engine.draining:
            out_of_time = True
            engine.drain()
            listener.say("time budget reached: running trials stop at their next report")
        listener.beat(engine.history)

    def assign(trial: TrialHistory) -> Assignment:
        return _assign(trial, engine, folder, archive_hash)

    with (
        draining_signals(engine, listener.say),
        copies_in_storage(folder, storage, listener.say),
    ):
        tune_trials(engine, assign, beat, folder, ship_games=address is not None)
    history = engine.history
    if history.unfinished or len(history.trials) < trials:
        engine.record("interrupted", reason="time budget" if out_of_time else "signal")
        return "out_of_time" if out_of_time else "interrupted"
    engine.record("finished")
    shutil.rmtree(folder.path / "ray", ignore_errors=True)
    return "finished"


def _assign(
    trial: TrialHistory, engine: Engine, folder: StudyFolder, archive_hash: str
) -> Assignment:
    run, ladder = engine.config.run, engine.ladder
    return Assignment(
        trial=trial.trial,
        folder=(
            trial_name(folder, trial.trial)
            if run.trial_files
            else str(folder.trial(trial.trial).resolve())
        ),
        archive=str(folder.archive.resolve()),
        archive_hash=archive_hash,
        config=trial.config,
        data=engine.config.data.model_dump(mode="json"),
        seed=trial.seed,
        report_points=list(report_points(ladder.budget, ladder.report_every, ladder.rungs)),
        reported=trial.positions_seen,
        threads=run.cpus_per_trial,
        gpus=run.gpus_per_trial,
        storage=run.trial_files,
    )


def _retain_checkpoints(files: TrialFiles, history: StudyHistory, best: int) -> None:
    """Keep the checkpoints of the best completed trials and of those that may go on."""
    completed = sorted(
        (
            trial
            for trial in history.trials.values()
            if trial.status == "completed" and not trial.is_control
        ),
        key=lambda trial: (trial.value_loss, trial.number),
    )
    kept = {trial.trial for trial in completed[:best]}
    for trial in history.trials.values():
        if trial.told and trial.trial not in kept:
            files.drop_checkpoint(trial.trial)
