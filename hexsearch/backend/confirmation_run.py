"""One run of a confirmation as a job for a worker: trained, then judged on the test games."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from hexsearch.backend.file_sync import CHECKPOINT
from hexsearch.backend.jobs import Message
from hexsearch.backend.shared_runs import mapped_games
from hexsearch.backend.storage import Unwritable, storing
from hexsearch.backend.trainable import device_of
from hexsearch.config.data import DataConfig
from hexsearch.config.section import build
from hexsearch.config.trial import TrialConfig
from hexsearch.data.positions import all_positions
from hexsearch.errors import TrialError
from hexsearch.ledger.game_losses import write_game_losses
from hexsearch.ledger.report import MetricsSummary, ReportSummary
from hexsearch.training.checkpoint import load_checkpoint, save_checkpoint
from hexsearch.training.trial import Trial


@dataclass(frozen=True)
class ConfirmationJob:
    """Everything a worker needs for one run.

    Attributes:
        save_points: positions at which its checkpoint is written, the last one being the budget.
    """

    name: str
    folder: str
    config: dict[str, Any]
    archive: str
    archive_hash: str
    data: dict[str, Any]
    seed: int
    save_points: tuple[int, ...]
    threads: int
    gpus: float

    def open(self) -> ConfirmationRunner:
        """Begin, or go on from the checkpoint."""
        return ConfirmationRunner(self)


class ConfirmationRunner:
    """Trains from one checkpoint to the next; at the end it reports once."""

    def __init__(self, job: ConfirmationJob) -> None:
        torch.set_num_threads(job.threads)
        self._job = job
        self.finished = False
        self._trial = Trial.of(
            build(TrialConfig, job.config, "trial"),
            mapped_games(job.archive, job.archive_hash, build(DataConfig, job.data, "data")),
            max_positions=job.save_points[-1],
            seed=job.seed,
            device=device_of(job.gpus),
        )
        self._judged: dict[str, Any] | None = None  # before the driver could hear of it
        if self._path.exists():
            content = load_checkpoint(self._path)
            self._trial.load_state(content["state"])
            self._judged = json.loads(content["report"]) if "report" in content else None

    @cached_property
    def _path(self) -> Path:
        return Path(self._job.folder) / CHECKPOINT

    def advance(self) -> list[Message]:
        """Nothing until the end; then the report on test games, or why there is none."""
        try:
            return self._advance()
        except Unwritable as error:
            return [{"storage": str(error)}]

    def _advance(self) -> list[Message]:
        trial, points = self._trial, self._job.save_points
        try:
            if trial.positions_seen < points[-1]:
                trial.train_to(next(point for point in points if point > trial.positions_seen))
            if trial.positions_seen < points[-1]:
                with storing(self._path.parent):
                    save_checkpoint(self._path, {"state": trial.state()})
                return []
            report = self._judged or self._judge()
        except TrialError as error:
            report = None
            failure = f"{error.verdict}: {error}"
        self.finished = True
        return [{"failure": failure}] if report is None else [{"report": report}]

    def _judge(self) -> dict[str, Any]:
        """The figures of the test games, and the value loss on those of the search beside it."""
        trial, folder = self._trial, Path(self._job.folder)
        validation = trial.report()  # renews batch-norm statistics, so it comes first
        dataset = trial.dataset
        test, _ = trial.evaluate(all_positions(dataset.archive, dataset.games("test")))
        summary = replace(
            ReportSummary.of(validation, trial.cost),
            metrics=MetricsSummary.of(test.metrics()),
            validation_loss=validation.value_loss,
        )
        report = summary.to_json()
        with storing(folder):
            folder.mkdir(parents=True, exist_ok=True)
            write_game_losses(folder, trial.positions_seen, test.game_losses())
            save_checkpoint(self._path, {"state": trial.state(), "report": json.dumps(report)})
        return report
