"""Start, run, resume and finish a study on Ray Tune.

Ray takes seconds to import, so it is imported where a study runs and not by commands that read.
"""

from __future__ import annotations

from collections.abc import Sequence

from hexsearch.backend.file_sync import require_unused
from hexsearch.config.study import StudyConfig
from hexsearch.data.archive import write_archive
from hexsearch.data.collection.importing import import_games
from hexsearch.data.dataset import Dataset
from hexsearch.errors import ConfigError, DiskError, LedgerError
from hexsearch.ledger.folder import StudyFolder
from hexsearch.ledger.history import StudyHistory
from hexsearch.ledger.ledger import Ledger, is_held, read_ledger
from hexsearch.search.budget import budget_spent
from hexsearch.search.reruns import Judge
from hexsearch.search.space_parsing import build_space
from hexsearch.search.warm_start import warm_start
from hexsearch.study.changes import notes, require_same_question
from hexsearch.study.comparison import contenders, heads_of
from hexsearch.study.listener import Ended, Examiner, Listener
from hexsearch.study.phases import is_through, run_phases
from hexsearch.study.preflight import (
    baseline_rows,
    check_components,
    require_local_room,
    require_memory,
)
from hexsearch.study.trunk_adoption import refuse_frozen_trunk
from hexsearch.training.heads import check_heads


def launch(
    config: StudyConfig,
    games: Sequence[str],
    folder: StudyFolder,
    address: str | None,
    listener: Listener,
    judge: Judge,
    where: str = "",
    examine: Examiner | None = None,
    warm_starts: Sequence[StudyFolder] = (),
) -> Ended:
    """Start a new study and run it to its end; a fault found on the way leaves no folder.

    Args:
        games: files and folders, or `starter`.
        address: of a running Ray cluster; None starts Ray on this machine.
        judge: says who leads, for the stages that follow the search.
        where: prefix of configuration faults, such as the file's name.
        examine: looks at the games before anything is written, returns warnings, and raises what
            the study must not start with.
        warm_starts: studies whose trials the searcher is to know from the start.
    Raises:
        FaultyInput: before anything is written, if configuration or games are at fault.
    """
    from hexsearch.backend.cluster import ray_cluster, require_room
    from hexsearch.backend.nodes import require_shared_storage

    space = build_space(config, where)
    folder.require_new()
    folder.require_writable()
    check_components(space)
    if "compare" in config.phases:
        refuse_frozen_trunk(config)
        check_heads([trial for _, trial in contenders(heads_of(space))], config.compare.mode)
    learned = []
    for source in warm_starts:
        taken, lines = warm_start(source, space)
        learned += taken
        for line in lines:
            listener.say(line)
    archive, imported = import_games(games, config.data.board_size, say=listener.say)
    for line in (imported.summary(), *imported.decision_lines()):
        listener.say(line)
    dataset = Dataset(archive, config.data)
    require_memory(space, config)
    warnings = examine(dataset, imported) if examine is not None else []
    for line in warnings:
        listener.say(f"warning: {line}")
    baselines = [row.to_json() for row in baseline_rows(dataset)]
    require_unused(folder, config.run.trial_files)
    if address is None:
        require_local_room(config.run)
    # Before anything is written, for it may not be there.
    with ray_cluster(address, config.run) as up_at:
        require_room(config.run)
        require_shared_storage(folder.path, config.run.trial_files)
        games_hash, trials = archive.content_hash, config.run.trials
        with folder.whole_or_not_at_all():
            write_archive(folder.archive, archive)
            description = folder.write_description(config, games, games_hash)
            ledger = Ledger(folder.ledger)
            opened = {**description, "trials": trials, "baselines": baselines, "warnings": warnings}
            opened["timings"] = {"ray_up_at": up_at}
            try:
                ledger.append("study", **opened)
                for fields in learned:
                    ledger.append("warm_started", **fields)
            except DiskError:
                ledger.close()
                raise
        try:
            return run_phases(config, folder, ledger, trials, address, listener, judge)
        finally:
            ledger.close()


def resume(
    folder: StudyFolder, more_trials: int, address: str | None, listener: Listener, judge: Judge
) -> Ended:
    """Go on where a study stopped, unfinished trials first, perhaps with further trials.

    Raises:
        LedgerError: no study, or it is running.
        ConfigError: study.yaml was edited into another question, or a budget is used up.
    """
    from hexsearch.backend.cluster import ray_cluster
    from hexsearch.backend.nodes import require_shared_storage

    description, config = folder.read_description()
    folder.require_ledger()
    ledger = Ledger(folder.ledger)
    try:
        if not len(ledger):
            raise LedgerError(f"{folder.ledger}: holds no whole record; restore it from a copy")
        history = StudyHistory.of(ledger)
        content_hash = description["games"]["content_hash"]
        folder.require_games(content_hash)
        for line in (*require_same_question(folder, next(iter(ledger))), *notes(description)):
            listener.say(line)
        trials = history.target_trials + more_trials
        if not more_trials and is_through(config, folder, history):
            listener.say(
                f"{folder.name} is finished: {len(history.trials)} trials. "
                "Extend it with --trials +N."
            )
            return "finished"
        spent = budget_spent(config.run, history)
        if spent:
            raise ConfigError(
                f"{folder.description}: the {spent} is used up; raise it under config.run"
            )
        with ray_cluster(address, config.run):
            require_shared_storage(folder.path, config.run.trial_files)
            ledger.append("resumed", trials=trials)
            return run_phases(config, folder, ledger, trials, address, listener, judge)
    finally:
        ledger.close()


def rebuild_storage(folder: StudyFolder, where: str | None) -> str:
    """Write a study's Optuna storage anew from its ledger; where it lies.

    Args:
        where: `journal` or a database URL; None takes the study's own `run.optuna_storage`.
    Raises:
        LedgerError: no study, or it is running and keeps its storage itself.
        HexsearchError: the storage cannot be written.
    """
    from hexsearch.search.optuna_export import JOURNAL, OptunaStorage

    _, config = folder.read_description()
    records = read_ledger(folder.ledger)
    if is_held(folder.ledger):
        raise LedgerError(f"{folder.path}: is running and keeps its storage itself")
    space = build_space(config, f"{folder.description}: ")
    storage = OptunaStorage(folder, config, space, where or config.run.optuna_storage or JOURNAL)
    storage.rebuild(records)
    return storage.name
