"""The Ray Trainable round a trial: one warm process for many trials.

It writes into the trial's folder first (checkpoint, per-game losses, curve) and reports after,
so that whatever the driver's ledger holds can be continued from. Where a crash fell between the
two, the stored report is handed out again instead of training twice.
"""

from __future__ import annotations

import faulthandler
import gc
import json
import os
import shutil
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
import torch
from ray import tune

from hexsearch.backend.file_sync import CHECKPOINT, FileSync
from hexsearch.backend.shipping import find_games
from hexsearch.backend.storage import Storage, Unwritable, patiently, scratch_folder, storing
from hexsearch.config.data import DataConfig
from hexsearch.config.section import build
from hexsearch.config.trial import TrialConfig
from hexsearch.data.dataset import Dataset
from hexsearch.errors import TrialError
from hexsearch.ledger.game_losses import CURVE, store_evidence
from hexsearch.ledger.report import ReportSummary
from hexsearch.training.checkpoint import load_checkpoint, save_checkpoint
from hexsearch.training.trial import Trial

HANG_LOG = "hang.log"
_STRIDE = 10  # batches between two looks at the clock
_RESUMED_FROM = frozenset({CHECKPOINT, CURVE})


@dataclass(frozen=True)
class Assignment:
    """What a worker needs to run one trial; travels as plain values in a Ray configuration.

    Attributes:
        folder: the trial's own, on a disk that every node sees; with `storage` its name there.
        archive, archive_hash: the games; the hash keeps a worker from training on others.
        trial_files: URL under which trials keep their files; None if `folder` is a path.
        gpus: how much of a GPU; 0 trains on the CPU.
        report_points: positions at which it reports, the last one being the budget.
        reported: positions at the last report that the ledger holds.
        hang_timeout: seconds in which a step must come to a report, or the process ends.
        report_seconds: report at least so often, also between report points.
    """

    trial: str
    folder: str
    archive: str
    archive_hash: str
    config: dict[str, Any]
    data: dict[str, Any]
    seed: int
    report_points: list[int]
    reported: int
    threads: int
    gpus: float
    trial_files: str | None
    hang_timeout: float | None = None
    report_seconds: float | None = None


class TrialWorker(tune.Trainable):  # type: ignore[misc]
    """Runs assignments one after the other; torch stays imported and the games stay mapped."""

    _dataset: Dataset | None = None

    def setup(self, config: dict[str, Any], games: Sequence[ray.ObjectRef] = ()) -> None:
        """Begin an assignment, from its checkpoint where there is one.

        Args:
            games: the archive's bytes in Ray's object store, if the driver ships them.
        """
        self._assignment = Assignment(**config)
        self._shipped = games
        self._trial: Trial | None = None
        self._stored: dict[str, Any] | None = None
        self._mirror: FileSync | None = None
        self._began_at: float | None = None  # of training, in this process

    def step(self) -> dict[str, Any]:
        """Train to the next report point, or hand out a report that was stored but not heard.

        Returns:
            `{"message": text}`, JSON (Tune would flatten mappings) of `{"report": ...}`, or of
            `{"failure": reason, "verdict": ...}` if the trial cannot go on, or of `{"storage":
            reason}` if a disk or storage fails it, which is no fault of the trial.
        """
        message: dict[str, Any]
        try:
            with self._watchdog():
                report = self._next_report()
        except Unwritable as error:
            message = {"storage": str(error)}
        except TrialError as error:
            message = {"failure": str(error), "verdict": error.verdict}
        else:
            message = {"report": report}
        return {"message": json.dumps(message)}

    def _next_report(self) -> dict[str, Any]:
        if self._trial is None:
            self._begin()
        if self._stored is not None:
            report, self._stored = self._stored, None
            return report
        return self._advance()

    @contextmanager
    def _watchdog(self) -> Iterator[None]:
        """End the process if a step takes too long, with the stack of every thread in HANG_LOG.

        faulthandler's own thread needs no interpreter lock, so a step that holds it is ended too.
        """
        task = self._assignment
        if task.hang_timeout is None:
            yield
            return
        log = Path(task.folder) / HANG_LOG
        if task.trial_files is not None:
            log = scratch_folder() / f"{os.getpid()}-{HANG_LOG}"
        with storing(log):
            log.parent.mkdir(parents=True, exist_ok=True)
            file = open(log, "w", encoding="utf-8")
        with file:
            faulthandler.dump_traceback_later(task.hang_timeout, exit=True, file=file)
            try:
                yield
            finally:
                faulthandler.cancel_dump_traceback_later()
                with suppress(OSError):
                    log.unlink()

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take the next assignment in the same process."""
        self.cleanup()
        self.setup(new_config)
        return True

    def cleanup(self) -> None:
        """Give back memory and scratch space; the process may live on."""
        if self._trial is not None and self._trial.execution.compiled:
            # Compiled code is kept by the source that it came from: after a few trials of other
            # configurations torch would give up and run the next one as it is.
            torch.compiler.reset()
        self._trial = None
        # A trial's parts refer to each other. Left to Python's own time, the garbage of thirty
        # trials made a worker grow by a quarter.
        gc.collect()
        if self._assignment.gpus:
            # The caching allocator would keep the memory from the trials that share the GPU.
            torch.cuda.empty_cache()
        if self._mirror is not None:
            shutil.rmtree(self._mirror.local, ignore_errors=True)

    @property
    def _points(self) -> list[int]:
        return self._assignment.report_points

    @property
    def _folder(self) -> Path:
        return Path(self._assignment.folder) if self._mirror is None else self._mirror.local

    def _begin(self) -> None:
        task = self._assignment
        torch.set_num_threads(task.threads)
        if task.trial_files is not None:
            local = scratch_folder() / "trials" / str(os.getpid()) / task.trial
            shutil.rmtree(local, ignore_errors=True)
            mirror = self._mirror = FileSync(Storage(task.trial_files), task.folder, local)
            with storing(local):
                patiently(lambda: mirror.pull(lambda name: name in _RESUMED_FROM))
        with storing(scratch_folder()):
            dataset = self._games(task)
        self._trial = Trial.of(
            build(TrialConfig, task.config, "trial"),
            dataset,
            max_positions=task.report_points[-1],
            seed=task.seed,
            device=device_of(task.gpus),
        )
        path = self._folder / CHECKPOINT
        if path.exists():
            content = load_checkpoint(path)
            self._trial.load_state(content["state"])
            if self._trial.positions_seen > task.reported:
                self._stored = json.loads(content["report"])

    def _games(self, task: Assignment) -> Dataset:
        """The mapped games, kept from trial to trial while they stay the same."""
        data = build(DataConfig, task.data, "data")
        kept = TrialWorker._dataset
        if kept is None:
            gc.freeze()  # what was imported stays, and need not be looked through each time
        if kept is None or kept.archive.content_hash != task.archive_hash or kept.config != data:
            archive = find_games(Path(task.archive), task.archive_hash, self._fetch_games)
            kept = TrialWorker._dataset = Dataset(archive, data)
        return kept

    def _fetch_games(self) -> bytes | None:
        if not self._shipped:
            return None
        content: bytes = ray.get(self._shipped[0]).tobytes()
        return content

    def _advance(self) -> dict[str, Any]:
        trial = self._trial
        assert trial is not None
        target = next(point for point in self._points if point > trial.positions_seen)
        if self._began_at is None:
            self._began_at = time.time()
        self._train_to(target)
        report = trial.report()
        summary = ReportSummary.of(report, trial.cost, round(self._began_at, 3)).to_json()
        with storing(self._folder):
            store_evidence(self._folder, report)
            save_checkpoint(
                self._folder / CHECKPOINT, {"state": trial.state(), "report": json.dumps(summary)}
            )
            if self._mirror is not None:
                patiently(self._mirror.push)
        return summary

    def _train_to(self, target: int) -> None:
        """Train to a report point, or for as long as may pass between two reports."""
        trial, seconds = self._trial, self._assignment.report_seconds
        assert trial is not None
        if seconds is None:
            trial.train_to(target)
            return
        ends, stride = time.monotonic() + seconds, _STRIDE * trial.config.batch_size
        while True:  # at least one stride: a report without training would say nothing new
            trial.train_to(min(target, trial.positions_seen + stride))
            if trial.positions_seen >= target or time.monotonic() > ends:
                return


def device_of(gpus: float) -> torch.device:
    """The GPU that Ray gave this worker, limited to its share; the CPU where none was asked for.

    Raises:
        TrialError: Ray counts a GPU here that torch cannot use.
    """
    if not gpus:
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise TrialError(
            f"torch finds no GPU on {socket.gethostname()}; install a CUDA build of torch there, "
            "or set run.gpus_per_trial to 0"
        )
    if gpus < 1.0:
        # Ray's fractions are bookkeeping; this keeps one trial from taking its neighbours' memory.
        torch.cuda.set_per_process_memory_fraction(gpus)
    return torch.device("cuda")
