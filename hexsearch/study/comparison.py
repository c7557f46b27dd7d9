"""All value heads of a finite space on shared trunks: a study of its own kind of folder.

A run is a head with a seed. The runs of one seed share a trunk and are one job; seeds are
independent. Ledger and evidence are a search's, so the same statistics read them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hexsearch.backend.jobs import Job, Message
from hexsearch.backend.shared_runs import SharedJob
from hexsearch.config.study import StudyConfig
from hexsearch.config.trial import TrialConfig
from hexsearch.data.archive import write_archive
from hexsearch.data.collection.importing import import_games
from hexsearch.data.dataset import Dataset
from hexsearch.errors import ConfigError
from hexsearch.ledger.folder import COMPARISON, StudyFolder
from hexsearch.ledger.ledger import Ledger
from hexsearch.search.pruning import RungSchedule
from hexsearch.search.seeds import derive_seed
from hexsearch.search.space import SearchSpace, Values, position_unit
from hexsearch.search.space_parsing import build_space
from hexsearch.study.book import Book
from hexsearch.study.listener import Ended, Examiner, Listener
from hexsearch.study.preflight import baseline_rows, check_components, require_local_room
from hexsearch.study.signals import draining_signals
from hexsearch.study.trunk_adoption import (
    adopt_trunk,
    check_games,
    named_trunk,
    require_trunk,
    store_trunk,
)
from hexsearch.training.heads import check_heads
from hexsearch.training.report_points import report_points

_REPORTS = 6  # evaluations over the whole budget, where the space does not say


def heads_of(space: SearchSpace) -> SearchSpace:
    """What of a space is about the value head and its read-out.

    Raises:
        ConfigError: nothing is, or it is not finite, or hangs on what a comparison fixes.
    """
    mine = [
        dimension
        for dimension in space.dimensions
        if dimension.name.partition(".")[0] in ("value_head", "readout")
    ]
    names = {dimension.name for dimension in mine}
    problems = []
    if not mine:
        problems.append(
            "search: no dimension value_head or readout; a comparison compares value heads"
        )
    for dimension in mine:
        if dimension.count == math.inf:
            problems.append(
                f"search.{dimension.name}: a comparison trains every head of the space, and a "
                "float has no end of them; write a choice"
            )
        problems += [
            f"search.{dimension.name}: depends on {parent}, which a comparison does not search; "
            f"fix it with --set {parent}=..."
            for parent, _ in dimension.when
            if parent not in names
        ]
    if problems:
        raise ConfigError(problems)
    return SearchSpace(space.default, tuple(mine))


def contenders(space: SearchSpace) -> list[tuple[Values, TrialConfig]]:
    """Every distinct head of a space of heads: its values and its whole trial."""
    return [(values, space.resolve(values)) for values in space.variants().values()]


def comparison_config(config: StudyConfig) -> StudyConfig:
    """A study's configuration with only its heads to search and nothing else to do."""
    kept = {
        name: dimension
        for name, dimension in config.search.items()
        if name.partition(".")[0] in ("value_head", "readout")
    }
    return config.model_copy(update={"search": kept, "enqueue": []})


def launch_comparison(
    config: StudyConfig,
    space: SearchSpace,
    games: Sequence[str],
    folder: StudyFolder,
    address: str | None,
    listener: Listener,
    examine: Examiner | None = None,
) -> Ended:
    """Start a comparison and run it to its end; a fault found on the way leaves no folder.

    Raises:
        FaultyInput: before anything is written, if configuration, games or trunk are at fault.
    """
    from hexsearch.backend.cluster import ray_cluster, require_room

    config, said = adopt_trunk(config)
    trunk = named_trunk(config)
    heads = heads_of(space if trunk is None else build_space(config))
    check_heads([trial for _, trial in contenders(heads)], config.compare.mode, trunk is not None)
    folder.require_new()
    folder.require_writable()
    check_components(heads)
    archive, imported = import_games(games, config.data.board_size, say=listener.say)
    for line in (imported.summary(), *imported.decision_lines(), *said):
        listener.say(line)
    dataset = Dataset(archive, config.data)
    found = [] if trunk is None else check_games(trunk, dataset)
    warnings = found + (examine(dataset, imported) if examine is not None else [])
    for line in warnings:
        listener.say(f"warning: {line}")
    if address is None:
        require_local_room(config.run)
    with ray_cluster(address, config.run):  # before anything is written: it may not be there
        require_room(config.run)
        baselines = [row.to_json() for row in baseline_rows(dataset)]
        config = comparison_config(config)
        content_hash = archive.content_hash
        with folder.whole_or_not_at_all():
            write_archive(folder.archive, archive)
            store_trunk(config, folder)
            description = folder.write_description(config, games, content_hash, COMPARISON)
        opened = {**description, "baselines": baselines, "warnings": warnings}
        return run_comparison(config, heads, folder, folder, content_hash, listener, opened)


def resume_comparison(folder: StudyFolder, address: str | None, listener: Listener) -> Ended:
    """Go on where a comparison stopped.

    Raises:
        LedgerError: it is running, or no comparison.
    """
    from hexsearch.backend.cluster import ray_cluster

    description, config = folder.read_description()
    folder.require_ledger()
    heads = build_space(config)
    content_hash = description["games"]["content_hash"]
    folder.require_games(content_hash)
    with ray_cluster(address, config.run):
        return run_comparison(config, heads, folder, folder, content_hash, listener, {})


def run_comparison(
    config: StudyConfig,
    heads: SearchSpace,
    folder: StudyFolder,
    games: StudyFolder,
    archive_hash: str,
    listener: Listener,
    opened: dict[str, Any],
    deadline: float = math.inf,
) -> Ended:
    """Run what is left of a comparison on the Ray that is connected.

    Args:
        games: the folder that holds the archive; that of the study, for its first stage.
        opened: what the first record of a new ledger says besides the number of runs.
        deadline: of `time.monotonic`.
    Raises:
        CheckpointError: the folder's copy of a frozen trunk is gone or another one.
    """
    from hexsearch.backend.pool import run_jobs

    trunk = require_trunk(config, folder)  # before the ledger is touched
    schedule = RungSchedule.of(config.scheduler, position_unit(heads))
    ledger = Ledger(folder.ledger)
    try:
        book = Book(ledger, schedule.budget, listener.record)
        runs = len(contenders(heads)) * config.compare.seeds
        if not book.history.study:
            book.record("study", **opened, trials=runs)
        elif book.history.state == "finished":
            listener.say(f"{folder.name} is finished: {runs} runs")
            return "finished"
        else:
            book.record("resumed", trials=runs)
        _plan(config, heads, book)
        jobs = _jobs(config, schedule, book, folder, games, archive_hash, trunk)
        supervisor = _Supervisor(book, jobs)
        with draining_signals(book, listener.say):
            run_jobs(jobs, config.run, supervisor, lambda: book.beat(listener, deadline))
        return book.close()
    finally:
        ledger.close()


def _plan(config: StudyConfig, heads: SearchSpace, book: Book) -> None:
    """Record every run that the ledger does not hold yet, seed by seed."""
    planned = [
        (replicate, values, trial)
        for replicate in range(config.compare.seeds)
        for values, trial in contenders(heads)
    ]
    for replicate, values, trial in planned[len(book.history.trials) :]:
        seed = derive_seed(config.run.seed, "trial", replicate)
        book.plan(trial, replicate, seed, COMPARISON, values)


def _jobs(
    config: StudyConfig,
    schedule: RungSchedule,
    book: Book,
    folder: StudyFolder,
    games: StudyFolder,
    archive_hash: str,
    trunk: Path | None,
) -> list[Job]:
    """One for each seed that has not ended."""
    every = schedule.report_every or max(1, schedule.budget // _REPORTS)
    unfinished = {trial.replicate for trial in book.history.unfinished}
    jobs: list[Job] = []
    for replicate in sorted(unfinished):
        mine = [trial for trial in book.history.trials.values() if trial.replicate == replicate]
        jobs.append(
            SharedJob(
                name=f"seed {replicate + 1}",
                folder=str((folder.path / "seeds" / f"s{replicate:02d}").resolve()),
                trials=tuple(trial.trial for trial in mine),
                trial_folders=tuple(str(folder.trial(trial.trial).resolve()) for trial in mine),
                configs=tuple(trial.config for trial in mine),
                archive=str(games.archive.resolve()),
                archive_hash=archive_hash,
                data=config.data.model_dump(mode="json"),
                seed=mine[0].seed,
                mode=config.compare.mode,
                report_points=report_points(schedule.budget, every, ()),
                threads=config.run.cpus_per_trial,
                gpus=config.run.gpus_per_trial,
                trunk=None if trunk is None else str(trunk.resolve()),
                trunk_hash=config.compare.trunk_hash,
            )
        )
    return jobs


class _Supervisor:
    """Passes what jobs say to the book."""

    def __init__(self, book: Book, jobs: Sequence[Job]) -> None:
        self._book = book
        self._trials = {job.name: job.trials for job in jobs if isinstance(job, SharedJob)}

    @property
    def draining(self) -> bool:
        """Whether nothing more is to start."""
        return self._book.draining

    def started(self, job: Job) -> None:
        """A worker begins on a seed."""
        for name in self._trials[job.name]:
            self._book.start(name)

    def heard(self, job: Job, messages: list[Message]) -> None:
        """Reports of the heads, or their failure."""
        for message in messages:
            for name in [message["trial"]] if "trial" in message else self._trials[job.name]:
                self._book.hear(name, message)

    def lost(self, job: Job, reason: str, log: str) -> None:
        """The whole seed has failed."""
        for name in self._trials[job.name]:
            self._book.fail(name, reason, log)
