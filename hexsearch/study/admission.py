"""What is asked of a new study before Ray starts, so that what is refused leaves nothing behind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from hexsearch.backend.remote.fetching import require_unused
from hexsearch.config.study import StudyConfig
from hexsearch.data.archive import GameArchive
from hexsearch.data.collection.importing import import_games
from hexsearch.data.dataset import Dataset
from hexsearch.ledger.events import WarmStarted
from hexsearch.ledger.folder import StudyFolder
from hexsearch.search.space import SearchSpace
from hexsearch.search.space_parsing import build_space
from hexsearch.search.warm_start import warm_starts
from hexsearch.study.comparison import compared_heads
from hexsearch.study.frozen_trunk import (
    check_games,
    named_trunk,
    refuse_frozen_trunk,
    take_frozen_trunk,
)
from hexsearch.study.listener import Examiner, Listener
from hexsearch.study.preflight import (
    check_components,
    costly_reports,
    require_memory,
    with_local_resources,
)
from hexsearch.training.heads import check_heads


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
class Admitted:
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


def admit(request: LaunchRequest) -> Admitted:
    """Check everything that can be checked without Ray. Nothing is written."""
    config, trunk_lines = take_frozen_trunk(request.config)
    request = replace(request, config=config)
    folder, say, wait = request.folder, request.listener.say, request.listener.wait
    space = build_space(config, request.where)
    folder.require_new()
    folder.require_writable()
    if request.address is None:
        config = with_local_resources(config)
        request = replace(request, config=config)
    else:
        from hexsearch.backend.cluster import require_listener

        require_listener(request.address)
    check_components(space, config.data.board_size)
    _require_comparable(config, space)
    learned = warm_starts(request.warm_starts, space, config.searcher.name, say)
    wait("the games to be read")
    archive, imported = import_games(request.games, config.data.board_size, say=say)
    for line in (imported.summary(), *imported.decision_lines(), *trunk_lines):
        say(line)
    require_memory(space, config)
    if config.run.trial_files is not None:
        wait(f"an answer from {config.run.trial_files}")
    require_unused(folder, config.run.trial_files)
    dataset, trunk = Dataset(archive, config.data), named_trunk(config)
    for line in costly_reports(config, space, dataset):
        say(f"note: {line}")
    warnings = [] if trunk is None else check_games(trunk, dataset)
    if request.examine is not None:
        wait("the doctor's quick checks")
        warnings += request.examine(dataset, imported)
    for line in warnings:
        say(f"warning: {line}")
    return Admitted(request, archive, warnings, learned)


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
