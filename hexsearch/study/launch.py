"""Launches a study on Ray Tune.

Whatever can refuse a study comes before Ray starts, and before the study's folder is made. Only
what a cluster says about itself comes later. Importing Ray takes seconds, so it is imported here
when a study runs, not by commands that only read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from hexsearch.backend.file_sync import require_unused
from hexsearch.config.study import StudyConfig
from hexsearch.data.archive import GameArchive, write_archive
from hexsearch.data.collection.importing import import_games
from hexsearch.data.dataset import Dataset
from hexsearch.errors import DiskError
from hexsearch.ledger.events import Event, StudyOpened, WarmStarted
from hexsearch.ledger.folder import StudyFolder
from hexsearch.ledger.game_losses import baseline_folder, write_game_losses
from hexsearch.ledger.ledger import Ledger
from hexsearch.search.space import SearchSpace
from hexsearch.search.space_parsing import build_space
from hexsearch.search.warm_start import warm_start
from hexsearch.study.comparison import compared_heads
from hexsearch.study.frozen_trunk import (
    check_games,
    named_trunk,
    refuse_frozen_trunk,
    store_trunk,
    take_frozen_trunk,
)
from hexsearch.study.listener import Ended, Examiner, Listener
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
        address: address of the Ray cluster; None if Ray is to be started on this machine.
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
    where: str = ""
    examine: Examiner | None = None
    warm_starts: Sequence[StudyFolder] = ()


@dataclass(frozen=True)
class _Admitted:
    """A study that nothing on this machine speaks against; no file of it has been written.

    Attributes:
        request: the request, with the frozen trunk in its configuration.
        warnings: what the doctor warns of.
        learned: trials of other studies that the searcher is told.
    """

    request: LaunchRequest
    archive: GameArchive
    warnings: list[str]
    learned: list[WarmStarted]


def launch(request: LaunchRequest) -> Ended:
    """Run a new study on Ray to its end. If it cannot start, it leaves no folder.

    Raises:
        FaultyInput: configuration, games or a trunk are faulty; no file has been written.
    """
    admitted = _admit(request)
    config, folder, address = admitted.request.config, request.folder, request.address
    request.listener.wait(ray_at(address))
    from hexsearch.backend.cluster import ray_cluster, require_room
    from hexsearch.backend.nodes import require_shared_storage

    with ray_cluster(address, config.run) as ray_up_at:
        require_room(config.run)
        require_shared_storage(folder.path, config.run.trial_files)
        opened, losses = _opened(admitted, ray_up_at)
        ledger = _open(admitted, opened)
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
            )
            return Session(study).run()
        finally:
            ledger.close()


def _admit(request: LaunchRequest) -> _Admitted:
    """Check everything that can be checked without Ray. Nothing is written."""
    config, trunk_lines = take_frozen_trunk(request.config)
    request = replace(request, config=config)
    folder, say, wait = request.folder, request.listener.say, request.listener.wait
    space = build_space(config, request.where)
    folder.require_new()
    folder.require_writable()
    if request.address is None:
        require_local_room(config.run)
    else:
        from hexsearch.backend.cluster import require_listener

        require_listener(request.address)
    check_components(space, config.data.board_size)
    _require_comparable(config, space)
    learned = _warm_starts(request, space)
    wait("the games to be read")
    archive, imported = import_games(request.games, config.data.board_size, say=say)
    for line in (imported.summary(), *imported.decision_lines(), *trunk_lines):
        say(line)
    require_memory(space, config)
    if config.run.trial_files is not None:
        wait(f"an answer from {config.run.trial_files}")
    require_unused(folder, config.run.trial_files)
    dataset, trunk = Dataset(archive, config.data), named_trunk(config)
    warnings = [] if trunk is None else check_games(trunk, dataset)
    if request.examine is not None:
        wait("the doctor's quick checks")
        warnings += request.examine(dataset, imported)
    for line in warnings:
        say(f"warning: {line}")
    return _Admitted(request, archive, warnings, learned)


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


def _opened(admitted: _Admitted, ray_up_at: float) -> tuple[StudyOpened, dict[str, GameLosses]]:
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


def _open(admitted: _Admitted, opened: StudyOpened) -> Ledger:
    """Write all first files of a study or none, and return its open ledger."""
    request, archive = admitted.request, admitted.archive
    config, folder = request.config, request.folder
    with folder.whole_or_not_at_all():
        write_archive(folder.archive, archive)
        store_trunk(config, folder)
        description = folder.write_description(config, request.games, archive.content_hash)
        ledger = Ledger(folder.ledger)
        events: list[Event] = [replace(opened, **description), *admitted.learned]
        try:
            for event in events:
                ledger.append(event)
        except DiskError:
            ledger.close()
            raise
    return ledger


def ray_at(address: str | None) -> str:
    """What a study waits for until Ray is there."""
    return f"the Ray cluster at {address}" if address else "Ray to start on this machine"
