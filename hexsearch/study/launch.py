"""Launches and resumes a study on Ray Tune.

Whatever can refuse a study comes before Ray starts, and before the study's folder is made. Only
what a cluster says about itself comes later. Importing Ray takes seconds, so it is imported here
when a study runs, not by commands that only read.
"""

from __future__ import annotations

from dataclasses import replace

from hexsearch.backend.remote.fetching import require_newest
from hexsearch.backend.remote.lease import held_lease
from hexsearch.backend.remote.trial_files import fetch_missing
from hexsearch.backend.storage import Storage
from hexsearch.config.study import StudyConfig
from hexsearch.data.archive import open_archive, write_archive
from hexsearch.data.dataset import Dataset
from hexsearch.errors import ConfigError, LedgerError
from hexsearch.ledger.events import Event, Resumed, StudyOpened
from hexsearch.ledger.folder import StudyFolder
from hexsearch.ledger.game_losses import baseline_folder, write_game_losses
from hexsearch.ledger.history import ENDED, StudyHistory
from hexsearch.ledger.ledger import Ledger, is_held, read_events
from hexsearch.ledger.new_study import new_ledger
from hexsearch.search.budget import budget_spent
from hexsearch.search.space_parsing import build_space
from hexsearch.study.admission import Admitted, LaunchRequest, admit
from hexsearch.study.changes import notes, require_same_question
from hexsearch.study.frozen_trunk import (
    store_trunk,
)
from hexsearch.study.listener import Ended, Further, Listener
from hexsearch.study.preflight import (
    baseline_rows,
    with_local_resources,
)
from hexsearch.study.session import OpenStudy, Session
from hexsearch.training.metrics import GameLosses


def launch(request: LaunchRequest) -> Ended:
    """Run a new study on Ray to its end. If it cannot start, it leaves no folder.

    Raises:
        FaultyInput: configuration, games or a trunk are faulty; no file has been written.
    """
    admitted = admit(request)
    request, config = admitted.request, admitted.request.config
    folder, address = request.folder, request.address
    request.listener.wait(_ray(address))
    from hexsearch.backend.cluster import ray_cluster, require_room
    from hexsearch.backend.nodes import require_usable_nodes
    from hexsearch.backend.placement.placing import placed

    say = request.listener.say
    with (
        held_lease(folder.path, config.run.trial_files, say) as lease,
        ray_cluster(address, config.run) as ray_up_at,
    ):
        require_usable_nodes(folder.path, config.run.trial_files, bool(config.run.gpus_per_trial))
        config, placement = placed(config, build_space(config), admitted.archive, say)
        require_room(config.run)
        admitted = replace(admitted, request=replace(request, config=config))
        opened, losses = _opened(admitted, ray_up_at)
        opened = replace(opened, placement=placement)
        ledger = _open(admitted, opened)
        say(f"the study begins, in {folder.path}")
        try:
            for name, each in losses.items():
                write_game_losses(baseline_folder(folder.path, name), 0, each)
            study = OpenStudy(
                config,
                folder,
                ledger,
                admitted.archive.content_hash,
                opened.trials,
                address,
                request.listener,
                lease,
            )
            return Session(study).run()
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
    from hexsearch.backend.nodes import require_usable_nodes
    from hexsearch.backend.placement.placing import placed

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
    ledger, url = Ledger(folder.ledger), config.run.trial_files
    try:
        content_hash = description["games"]["content_hash"]
        history = _recorded(folder, ledger, content_hash)
        for line in (*require_same_question(folder, history.study), *notes(description)):
            listener.say(line)
        trials = history.target_trials + further.trials
        if not further.trials and history.state == "finished":
            return _finished(folder, history, config, listener)
        spent = budget_spent(config.run, history)
        if spent:
            raise ConfigError(
                f"{folder.description}: the {spent} is used up; raise it with --set run.KEY=VALUE"
            )
        if address is None:
            config = with_local_resources(config)
        done = sum(trial.status in ENDED for trial in history.trials.values())
        listener.say(
            f"{folder.name}: {done} of {len(history.trials)} trials have ended; the study goes on"
        )
        with held_lease(folder.path, url, listener.say) as lease:
            if url is not None:
                require_newest(folder, url, description.get("name"))
            listener.wait(_ray(address))
            with ray_cluster(address, config.run):
                require_usable_nodes(folder.path, url, bool(config.run.gpus_per_trial))
                archive = open_archive(folder.archive, check=False)
                config, _ = placed(config, build_space(config), archive, listener.say)
                ledger.append(Resumed(trials=trials))
                study = OpenStudy(
                    config, folder, ledger, content_hash, trials, address, listener, lease
                )
                return Session(study).run()
    finally:
        ledger.close()


def _finished(
    folder: StudyFolder, history: StudyHistory, config: StudyConfig, listener: Listener
) -> Ended:
    """Say that there is nothing to do, and fetch what this host lacks for the leaderboard."""
    extend = " Extend it with --trials +N." if "search" in config.phases else ""
    listener.say(f"{folder.name} is finished: {len(history.trials)} trials.{extend}")
    if config.run.trial_files is not None:
        fetch_missing(folder, Storage(config.run.trial_files), history.trials.values())
    return "finished"


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


def _opened(admitted: Admitted, ray_up_at: float) -> tuple[StudyOpened, dict[str, GameLosses]]:
    """The first event of a study, with its baselines.

    Returns:
        Also the per-game losses of the baselines by name.
    """
    config = admitted.request.config
    baselines = baseline_rows(Dataset(admitted.archive, config.data))
    opened = StudyOpened(
        trials=config.run.trials if "search" in config.phases else 0,
        baselines=[row.to_json() for row, _ in baselines],
        warnings=admitted.warnings,
        timings={"ray_up_at": ray_up_at},
    )
    return opened, {row.name: each for row, each in baselines}


def _open(admitted: Admitted, opened: StudyOpened) -> Ledger:
    """Write all first files of a study or none, and return its open ledger."""
    request, archive = admitted.request, admitted.archive
    config, folder = request.config, request.folder
    with new_ledger(folder) as ledger:
        write_archive(folder.archive, archive)
        store_trunk(config, folder)
        description = folder.write_description(config, request.games, archive.content_hash)
        events: list[Event] = [replace(opened, **description), *admitted.learned]
        for event in events:
            ledger.append(event)
    return ledger


def _ray(address: str | None) -> str:
    """What a study waits for until Ray is there."""
    return f"the Ray cluster at {address}" if address else "Ray to start on this machine"


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
    try:
        storage.rebuild(events)
    finally:
        storage.close()
    return storage.name
