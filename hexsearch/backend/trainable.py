"""The Ray Trainable for every kind of job: one process runs many jobs.

It first writes files into the job's folders (checkpoint, per-game losses, curve) and then reports.
So every report in the driver's ledger has a checkpoint from which the job can continue. After a
crash between both, the stored reports are sent again, without training again.
"""

from __future__ import annotations

import gc
import socket
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import ray
import torch
from ray import tune

from hexsearch.backend.assignment import Assignment
from hexsearch.backend.faults import failure_of
from hexsearch.backend.job_folders import (
    JobFolders,
    Reports,
    checkpoint_content,
    stored_reports,
)
from hexsearch.backend.message import Message
from hexsearch.backend.shipping import find_games, find_trunk
from hexsearch.backend.storage import Unwritable, storing
from hexsearch.backend.stretch import Stretch
from hexsearch.backend.watchdog import Watchdog
from hexsearch.config.data import DataConfig
from hexsearch.config.section import build
from hexsearch.config.trial import TrialConfig
from hexsearch.data.dataset import Dataset
from hexsearch.data.positions import all_positions
from hexsearch.errors import TrialError
from hexsearch.ledger.folder import CHECKPOINT
from hexsearch.ledger.game_losses import store_evidence, write_game_losses
from hexsearch.ledger.report import MetricsSummary, ReportSummary
from hexsearch.model.plugins import is_sigterm
from hexsearch.training.checkpoint import load_last_good, save_checkpoint
from hexsearch.training.frozen_trunk import SharedTrunk, read_frozen_trunk
from hexsearch.training.report_points import PositionCount
from hexsearch.training.trial import Trial


class TrialWorker(tune.Trainable):  # type: ignore[misc]
    """Runs assignments one after the other, with torch imported and games mapped only once."""

    _dataset: Dataset | None = None

    def setup(
        self, config: dict[str, Any], shipped: Mapping[str, ray.ObjectRef] | None = None
    ) -> None:
        """Begin an assignment, from its checkpoint if there is one.

        Args:
            shipped: bytes in Ray's object store by content hash, for nodes that do not see the
                study's folder.
        """
        self._assignment = Assignment(**config)
        self._shipped = shipped or {}
        self._trial: Trial | None = None
        self._stored: list[Reports] = []  # that the driver has not heard
        self._warnings: list[str] = []  # sent with the next message
        self._folders = JobFolders(self._assignment)
        self._began_at: float | None = None  # start of training in this process
        self._stretch: Stretch | None = None  # training up to the next report
        self._count = PositionCount.plain(self._assignment.points)
        self._watchdog = Watchdog(self._assignment)

    def step(self) -> dict[str, Any]:
        """Train to the next point, or send stored reports that the driver did not receive.

        On the way to the point it returns about every second to say how far it is.

        Returns:
            A Message as a result of Tune.
        """
        try:
            with self._watchdog.step():
                message = self._next_message()
        except Unwritable as error:
            message = Message(unwritable=str(error))
        except (TrialError, SystemExit) as error:  # Ray would end the process without a word
            if is_sigterm(error):
                raise  # the process ends, and the trial goes on in another one
            message = Message(failure=failure_of(error))
        if message.progress is None:
            self._watchdog.reported()
        message = replace(message, warnings=self._warnings)
        self._warnings = []
        return message.to_result()

    def _next_message(self) -> Message:
        if self._trial is None:
            self._begin()
        if self._stored:
            return Message(reports=self._stored.pop(0))
        return self._advance()

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take the next assignment in the same process."""
        self.cleanup()
        self.setup(new_config)
        return True

    def cleanup(self) -> None:
        """Free memory and scratch space. The process may continue to run."""
        if self._trial is not None and self._trial.execution.compiled:
            # torch caches compiled code by its source. After a few trials with different
            # configurations it would stop compiling.
            torch.compiler.reset()
        self._trial = self._stretch = None
        # A trial's parts refer to each other. Without collecting them at once, the memory of a
        # worker grew by a quarter in thirty trials.
        gc.collect()
        if self._assignment.gpus:
            # The caching allocator would keep memory that other trials on the same GPU need.
            torch.cuda.empty_cache()
        self._watchdog.reported()
        self._folders.clear()

    def _begin(self) -> None:
        task = self._assignment
        torch.set_num_threads(task.threads)
        self._folders.pull()
        dataset, trunk = self._games(task), self._trunk(task)
        configs = [build(TrialConfig, config, "trial") for config in task.configs]
        count = PositionCount.of(task.points, configs[0], dataset.config, task.equal_compute)

        def make() -> Trial:
            return Trial(
                configs,
                dataset,
                max_positions=count.own[-1],
                seed=task.seed,
                device=device_of(task.gpus),
                trunk=SharedTrunk(
                    task.mode,
                    None if trunk is None else read_frozen_trunk(trunk, task.trunk_hash),
                ),
            )

        def resumed(content: dict[str, Any]) -> Trial:
            trial = make()
            trial.load_state(content["state"])
            seen = count.counted(trial.positions_seen)
            if seen > task.reported:
                kept = self._folders.kept_reports(task.reported, seen)
                last = stored_reports(content, task, seen)
                self._stored = [*kept, *filter(None, [last])]
            return trial

        found, self._warnings = load_last_good(self._folders.job / CHECKPOINT, resumed)
        if found is None and not task.reported:
            self._folders.forget()
        self._trial, self._count = make() if found is None else found, count
        catch_up(self._trial, task, count)

    def _games(self, task: Assignment) -> Dataset:
        """The mapped games, which are kept for the next job if it has the same games."""
        data = build(DataConfig, task.data, "data")
        kept = TrialWorker._dataset
        if kept is None:
            gc.freeze()  # imported objects stay, so the collector need not examine them each time
        if kept is None or kept.archive.content_hash != task.archive_hash or kept.config != data:
            archive = find_games(Path(task.archive), task.archive_hash, self._fetch)
            kept = TrialWorker._dataset = Dataset(archive, data)
        return kept

    def _trunk(self, task: Assignment) -> Path | None:
        """The path of a frozen trunk's checkpoint on this node."""
        if task.trunk is None or task.trunk_hash is None:
            return None
        return find_trunk(Path(task.trunk), task.trunk_hash, self._fetch)

    def _fetch(self, content_hash: str) -> bytes | None:
        """The bytes that the driver sends for a content hash; None if it sends none."""
        if content_hash not in self._shipped:
            return None
        content: bytes = ray.get(self._shipped[content_hash]).tobytes()
        return content

    def _advance(self) -> Message:
        """Train on. At the next point, store its files and return the reports."""
        trial, task, folders = self._trial, self._assignment, self._folders
        assert trial is not None
        if self._began_at is None:
            self._began_at = round(time.time(), 3)
        if self._stretch is None:
            self._stretch = Stretch(trial, replace(task, points=self._count.own))
        if not self._stretch.train():
            return Message(progress=self._count.counted(trial.positions_seen))
        self._stretch = None
        reports: Reports = {}
        if task.judged_on == "validation":
            reports = self._report()
        elif trial.positions_seen >= trial.max_positions:
            reports = self._judge()
        with storing(folders.job):
            if task.is_shared and trial.positions_seen >= trial.max_positions:
                self._store_networks(reports)
            folders.keep_reports(self._count.counted(trial.positions_seen), reports)
            save_checkpoint(folders.job / CHECKPOINT, checkpoint_content(trial.state(), reports))
            folders.push()
        return Message(reports=reports)

    def _report(self) -> Reports:
        """Reports of all heads on the validation games. Their files are stored."""
        trial, task, folders = self._trial, self._assignment, self._folders
        assert trial is not None
        reports: Reports = {}
        seen = self._count.counted(trial.positions_seen)
        with storing(folders.job):
            for name, own, cost in zip(task.trials, trial.reports(), trial.costs, strict=True):
                report = replace(own, positions_seen=seen)
                store_evidence(folders.of(name), report)
                reports[name] = ReportSummary.of(report, cost, self._began_at)
        return reports

    def _judge(self) -> Reports:
        """The report on the test games, with the validation loss of the search beside it."""
        trial, (name,) = self._trial, self._assignment.trials
        assert trial is not None
        seen = self._count.counted(trial.positions_seen)
        # This comes first, since it computes batch-norm statistics.
        validation = replace(trial.report(), positions_seen=seen)
        dataset, folder = trial.dataset, self._folders.of(name)
        test, _ = trial.evaluate(all_positions(dataset.archive, dataset.games("test")))
        summary = replace(
            ReportSummary.of(validation, trial.cost, self._began_at),
            metrics=MetricsSummary.of(test.metrics()),
            validation_loss=validation.value_loss,
        )
        with storing(folder):
            folder.mkdir(parents=True, exist_ok=True)
            write_game_losses(folder, seen, test.game_losses())
        return {name: summary}

    def _store_networks(self, reports: Reports) -> None:
        """Store each head with its trunk as a checkpoint, for `analyze` and ensembles."""
        assert self._trial is not None
        for name, state in zip(self._assignment.trials, self._trial.head_states(), strict=True):
            content = checkpoint_content(state, {name: reports[name]})
            save_checkpoint(self._folders.of(name) / CHECKPOINT, content)


def catch_up(trial: Trial, task: Assignment, count: PositionCount) -> None:
    """Train again to the last report in the ledger, if a checkpoint was lost.

    Reports change the statistics that a checkpoint keeps, so each is computed, but not sent again.
    """
    for point, own in zip(count.points, count.own, strict=True):
        if trial.positions_seen < own and point <= task.reported:
            trial.train_to(own)
            if task.judged_on == "validation":
                trial.reports()


def device_of(gpus: float) -> torch.device:
    """The GPU that Ray gave this worker, limited to its share; the CPU if it has no GPU.

    Raises:
        TrialError: Ray counts a GPU on this node that torch cannot use.
    """
    if not gpus:
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise TrialError(
            f"torch finds no GPU on {socket.gethostname()}; install a CUDA build of torch there, "
            "or set run.gpus_per_trial to 0"
        )
    if gpus < 1.0:
        # Ray does not enforce its fractions. This limit protects the memory of other trials.
        torch.cuda.set_per_process_memory_fraction(gpus)
    return torch.device("cuda")
