"""Launches and resumes a study on Ray Tune.

Importing Ray takes seconds. So it is imported when a study runs, not by commands that only read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from hexsearch.backend.file_sync import require_unused
from hexsearch.config.study import StudyConfig
from hexsearch.data.archive import GameArchive, write_archive
from hexsearch.data.collection.importing import ImportReport, import_games
from hexsearch.data.dataset import Dataset
from hexsearch.errors import ConfigError, DiskError, LedgerError
from hexsearch.ledger.events import Event, Resumed, StudyOpened, WarmStarted
from hexsearch.ledger.folder import StudyFolder
from hexsearch.ledger.game_losses import baseline_folder, write_game_losses
from hexsearch.ledger.history import ENDED, StudyHistory
from hexsearch.ledger.ledger import Ledger, is_held, read_events
from hexsearch.search.budget import budget_spent
from hexsearch.search.space import SearchSpace
from hexsearch.search.space_parsing import build_space
from hexsearch.search.warm_start import warm_start
from hexsearch.study.changes import notes, require_same_question
from hexsearch.study.comparison import compared_heads
from hexsearch.study.frozen_trunk import (
    check_games,
    named_trunk,
    refuse_frozen_trunk,
    store_trunk,
    take_frozen_trunk,
)
from hexsearch.study.listener import Ended, Examiner, Further, Listener
from hexsearch.study.preflight import (
    baseline_rows,
    check_components,
    require_local_room,
    require_memory,
)
from hexsearch.study.session import OpenStudy, Session
from hexsearch.training.heads import check_heads
from hexsearch.training.metrics import GameLosses


@dataclass(frozen=True, kw_only=True)
class LaunchRequest:
    """Request to launch a study.

    Attributes:
        games: files and folders, or `starter`.
        address: address of the Ray cluster; None if Ray was started on this machine.
        ray_up_at: time at which Ray was connected, in Unix seconds.
        where: prefix of configuration faults, such as the file's name.
        examine: function that examines the games before files are written. It returns warnings,
            and raises an error if the study must not start.
        warm_starts: studies whose trials the searcher is told at the start.
    """

    config: StudyConfig
    games: Sequence[str]
    folder: StudyFolder
    listener: Listener
    address: str | None = None
    ray_up_at: float = 0.0
    where: str = ""
    examine: Examiner | None = None
    warm_starts: Sequence[StudyFolder] = ()


def launch(request: LaunchRequest) -> Ended:
    """Run a new study on the connected Ray to its end. If it cannot start, it leaves no folder.

    Raises:
        FaultyInput: configuration, games or a trunk are faulty; no file has been written.
    """
    from hexsearch.backend.cluster import require_room
    from hexsearch.backend.nodes import require_shared_storage

    config, trunk_lines = take_frozen_trunk(request.config)
    request = replace(request, config=config)
    folder, say, wait = request.folder, request.listener.say, request.listener.wait
    space = build_space(config, request.where)
    folder.require_new()
    folder.require_writable()
    check_components(space, config.data.board_size)
    _require_comparable(config, space)
    learned = _warm_starts(request, space)
    wait("the games to be read")
    archive, imported = import_games(request.games, config.data.board_size, say=say)
    for line in (imported.summary(), *imported.decision_lines(), *trunk_lines):
        say(line)
    require_memory(space, config)
    require_unused(folder, config.run.trial_files)
    if request.address is None:
        require_local_room(config.run)
    require_room(config.run)
    require_shared_storage(folder.path, config.run.trial_files)
    if request.examine is not None:
        wait("the doctor's quick checks")
    opened, losses = _examined(request, archive, imported)
    opened = replace(opened, timings={"ray_up_at": request.ray_up_at})
    ledger = _open(request, archive, opened, learned)
    try:
        for name, each in losses.items():
            write_game_losses(baseline_folder(folder.path, name), 0, each)
        return _run(request, ledger, archive.content_hash, opened.trials)
    finally:
        ledger.close()


def resume(folder: StudyFolder, further: Further, listener: Listener) -> Ended:
    """Continue a study, beginning with its unfinished trials. It may get further trials.

    Raises:
        LedgerError: there is no study, or it is running.
        ConfigError: study.yaml was changed in settings that must not change, or a budget is used
            up.
    """
    from hexsearch.backend.cluster import ray_cluster
    from hexsearch.backend.nodes import require_shared_storage

    description, config = folder.read_description()
    address = further.address
    if further.time_budget is not None:
        run = config.run.model_copy(update={"time_budget": further.time_budget})
        config = config.model_copy(update={"run": run})
    is_searching = "search" in config.phases
    if further.trials and not is_searching:
        raise ConfigError(
            "--trials: in a comparison, heads and seeds determine the number of trials; leave it "
            "out"
        )
    folder.require_ledger()
    ledger = Ledger(folder.ledger)
    try:
        content_hash = description["games"]["content_hash"]
        history = _recorded(folder, ledger, content_hash)
        for line in (*require_same_question(folder, history.study), *notes(description)):
            listener.say(line)
        trials = history.target_trials + further.trials
        if not further.trials and history.state == "finished":
            extend = " Extend it with --trials +N." if is_searching else ""
            listener.say(f"{folder.name} is finished: {len(history.trials)} trials.{extend}")
            return "finished"
        spent = budget_spent(config.run, history)
        if spent:
            raise ConfigError(
                f"{folder.description}: the {spent} is used up; raise it under config.run"
            )
        done = sum(trial.status in ENDED for trial in history.trials.values())
        listener.say(
            f"{folder.name}: {done} of {len(history.trials)} trials have ended; the study goes on"
        )
        where = f"the Ray cluster at {address}" if address else "Ray to start on this machine"
        listener.wait(where)
        with ray_cluster(address, config.run):
            require_shared_storage(folder.path, config.run.trial_files)
            ledger.append(Resumed(trials=trials))
            study = OpenStudy(config, folder, ledger, content_hash, trials, address, listener)
            return Session(study).run()
    finally:
        ledger.close()


def _recorded(folder: StudyFolder, ledger: Ledger, content_hash: str) -> StudyHistory:
    """The history of a study with these games.

    Raises:
        LedgerError: the ledger holds no record, or other games.
        ArchiveError: the archive is missing, or holds other games.
    """
    if not len(ledger):
        raise LedgerError(f"{folder.ledger}: holds no complete record; restore it from a copy")
    history = StudyHistory.of(ledger)
    if history.study.games.get("content_hash", content_hash) != content_hash:
        raise LedgerError(
            f"{folder.path}: study.yaml and ledger.jsonl are about different games; restore both "
            "from a copy"
        )
    folder.require_games(content_hash)
    return history


def _require_comparable(config: StudyConfig, space: SearchSpace) -> None:
    """Check that heads can share a trunk, if the study has the phase `compare`.

    Raises:
        ConfigError: they cannot share a trunk; says why.
    """
    if "compare" not in config.phases:
        return
    if "search" in config.phases:
        refuse_frozen_trunk(config)
    heads = [trial for _, trial in compared_heads(space)]
    check_heads(heads, config.compare.mode, frozen=config.compare.trunk is not None)


def _warm_starts(request: LaunchRequest, space: SearchSpace) -> list[WarmStarted]:
    learned: list[WarmStarted] = []
    for source in request.warm_starts:
        taken, lines = warm_start(source, space)
        learned += taken
        for line in lines:
            request.listener.say(line)
    return learned


def _examined(
    request: LaunchRequest, archive: GameArchive, imported: ImportReport
) -> tuple[StudyOpened, dict[str, GameLosses]]:
    """The first event of a study, with baselines and warnings from examining its games.

    Returns:
        Also the per-game losses of the baselines by name.
    """
    config, dataset = request.config, Dataset(archive, request.config.data)
    trunk = named_trunk(config)
    warnings = [] if trunk is None else check_games(trunk, dataset)
    if request.examine is not None:
        warnings += request.examine(dataset, imported)
    for line in warnings:
        request.listener.say(f"warning: {line}")
    trials = config.run.trials if "search" in config.phases else 0
    baselines = baseline_rows(dataset)
    rows = [row.to_json() for row, _ in baselines]
    losses = {row.name: each for row, each in baselines}
    return StudyOpened(trials=trials, baselines=rows, warnings=warnings), losses


def _open(
    request: LaunchRequest,
    archive: GameArchive,
    opened: StudyOpened,
    learned: Sequence[WarmStarted],
) -> Ledger:
    """Write all first files of a study or none, and return its open ledger."""
    config, folder = request.config, request.folder
    with folder.whole_or_not_at_all():
        write_archive(folder.archive, archive)
        store_trunk(config, folder)
        description = folder.write_description(config, request.games, archive.content_hash)
        ledger = Ledger(folder.ledger)
        events: list[Event] = [replace(opened, **description), *learned]
        try:
            for event in events:
                ledger.append(event)
        except DiskError:
            ledger.close()
            raise
    return ledger


def _run(request: LaunchRequest, ledger: Ledger, archive_hash: str, trials: int) -> Ended:
    study = OpenStudy(
        request.config,
        request.folder,
        ledger,
        archive_hash,
        trials,
        request.address,
        request.listener,
    )
    return Session(study).run()


def rebuild_storage(folder: StudyFolder, where: str | None) -> str:
    """Write a study's Optuna storage again from its ledger, and return its place.

    Args:
        where: `journal` or the URL of a database; None takes the study's `run.optuna_storage`.
    Raises:
        LedgerError: there is no study, or it is running and writes its storage itself.
        HexsearchError: the storage cannot be written.
    """
    from hexsearch.search.optuna_export import JOURNAL, OptunaStorage

    _, config = folder.read_description()
    events = read_events(folder.ledger)
    if is_held(folder.ledger):
        raise LedgerError(f"{folder.path}: is running and writes its storage itself")
    space = build_space(config, f"{folder.description}: ")
    storage = OptunaStorage(folder, config, space, where or config.run.optuna_storage or JOURNAL)
    storage.rebuild(events)
    return storage.name
