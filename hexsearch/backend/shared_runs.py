"""One seed of a comparison as a job for a worker: K heads, one trunk, one checkpoint."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

from hexsearch.backend.file_sync import CHECKPOINT
from hexsearch.backend.jobs import Message
from hexsearch.backend.shipping import find_games
from hexsearch.backend.storage import Unwritable, storing
from hexsearch.backend.trainable import device_of
from hexsearch.config.data import DataConfig
from hexsearch.config.section import build
from hexsearch.config.trial import TrialConfig
from hexsearch.data.dataset import Dataset
from hexsearch.errors import TrialError
from hexsearch.ledger.game_losses import store_evidence
from hexsearch.ledger.report import ReportSummary
from hexsearch.training.checkpoint import load_checkpoint, save_checkpoint
from hexsearch.training.frozen_trunk import read_frozen_trunk
from hexsearch.training.heads import Mode
from hexsearch.training.trial import Trial


@dataclass(frozen=True)
class SharedJob:
    """Everything a worker needs to train one seed of all heads.

    Attributes:
        name, folder: of the seed; its checkpoint lies there.
        trials: names of the heads' runs; trial_folders: where their evidence goes.
        report_points: positions at which it reports, the last one being the budget.
        trunk, trunk_hash: checkpoint of a frozen trunk and its content; None trains one.
    """

    name: str
    folder: str
    trials: tuple[str, ...]
    trial_folders: tuple[str, ...]
    configs: tuple[dict[str, Any], ...]
    archive: str
    archive_hash: str
    data: dict[str, Any]
    seed: int
    mode: Mode
    report_points: tuple[int, ...]
    threads: int
    gpus: float
    trunk: str | None = None
    trunk_hash: str | None = None

    def open(self) -> SharedRunner:
        """Begin, or go on from the checkpoint."""
        return SharedRunner(self)


class SharedRunner:
    """Trains to one report point after the other; writes before it tells."""

    def __init__(self, job: SharedJob) -> None:
        torch.set_num_threads(job.threads)
        self._job = job
        self._failed = False
        self._trial = Trial(
            [build(TrialConfig, config, "trial") for config in job.configs],
            mapped_games(job.archive, job.archive_hash, build(DataConfig, job.data, "data")),
            max_positions=job.report_points[-1],
            seed=job.seed,
            mode=job.mode,
            device=device_of(job.gpus),
            frozen_trunk=(
                None if job.trunk is None else read_frozen_trunk(Path(job.trunk), job.trunk_hash)
            ),
        )
        self._path = Path(job.folder) / CHECKPOINT
        self._stored: list[Message] | None = None
        if self._path.exists():
            content = load_checkpoint(self._path)
            self._trial.load_state(content["state"])
            # The driver may not have heard of these; it knows what it has.
            self._stored = json.loads(content["messages"])

    @property
    def finished(self) -> bool:
        """Whether the budget is spent and told of, or the training has failed."""
        spent = self._trial.positions_seen >= self._job.report_points[-1]
        return self._failed or (spent and self._stored is None)

    def advance(self) -> list[Message]:
        """Reports of all heads at the next point, or why they cannot go on.

        Messages hold `trial` and `report`, or `trial` and `failure`, or `storage`: what the disk
        refuses is no fault of the heads.
        """
        if self._stored is not None:
            messages, self._stored = self._stored, None
            return messages
        try:
            return self._advance()
        except Unwritable as error:
            return [{"storage": str(error)}]

    def _advance(self) -> list[Message]:
        trial, job = self._trial, self._job
        target = next(point for point in job.report_points if point > trial.positions_seen)
        try:
            trial.train_to(target)
            reports = trial.reports()
        except TrialError as error:
            self._failed = True
            reason = f"{error.verdict}: {error}"
            return [{"trial": name, "failure": reason} for name in job.trials]
        messages = []
        heads = zip(job.trials, job.trial_folders, reports, trial.costs, strict=True)
        with storing(self._path.parent):
            for name, folder, report, cost in heads:
                store_evidence(Path(folder), report)
                summary = ReportSummary.of(report, cost)
                messages.append({"trial": name, "report": summary.to_json()})
            if target == job.report_points[-1]:
                self._store_networks(messages)
            state = {"state": trial.state(), "messages": json.dumps(messages)}
            save_checkpoint(self._path, state)
        return messages

    def _store_networks(self, messages: list[Message]) -> None:
        """Each head with its trunk as a checkpoint of its own, for `analyze` and ensembles."""
        stored = zip(self._job.trial_folders, self._trial.head_states(), messages, strict=True)
        for folder, state, message in stored:
            content = {"state": state, "report": json.dumps(message["report"])}
            save_checkpoint(Path(folder) / CHECKPOINT, content)


@lru_cache(maxsize=1)
def mapped_games(path: str, content_hash: str, data: DataConfig) -> Dataset:
    """The games of an archive, kept mapped from job to job while they stay the same.

    Raises:
        TrialError: the archive that this machine sees is another one.
    """
    return Dataset(find_games(Path(path), content_hash, lambda: None), data)
