"""A trial that is trained for a few seconds, to measure its memory and its speed on a GPU."""

from __future__ import annotations

import resource
import sys
import time
from dataclasses import dataclass
from typing import Any

import torch

from hexsearch.backend.trainable import device_of
from hexsearch.config.data import DataConfig
from hexsearch.config.section import build
from hexsearch.config.trial import TrialConfig
from hexsearch.data.archive import GameArchive
from hexsearch.data.dataset import Dataset
from hexsearch.search.placement import Footprint
from hexsearch.training.trial import Trial

_VALIDATION_GAMES = 20  # enough for a whole batch of an evaluation
_FIRST_STEPS = 5  # steps before memory is read; the first one also samples all monitors
_BUDGET = 10**9  # positions that the schedule covers; the trial never gets there


@dataclass(frozen=True)
class Sample:
    """The trial to measure, as plain values and arrays that Ray can send."""

    config: dict[str, Any]
    data: dict[str, Any]
    archive: GameArchive


class MeasuredTrial:
    """Trains in a process of its own, beside others on the same card."""

    def __init__(self, sample: Sample) -> None:
        torch.set_num_threads(1)
        data = build(DataConfig, sample.data, "data")
        games = min(_VALIDATION_GAMES, data.validation_games or _VALIDATION_GAMES)
        dataset = Dataset(sample.archive, data.model_copy(update={"validation_games": games}))
        config = build(TrialConfig, sample.config, "trial")
        self._trial = Trial.of(config, dataset, _BUDGET, seed=0, device=device_of(1.0))

    def footprint(self) -> Footprint:
        """Memory after steps and an evaluation, when all that a trial needs has been allocated."""
        trial = self._trial
        trial.train_to(_FIRST_STEPS * trial.config.batch_size)
        trial.evaluations()
        free, total = torch.cuda.mem_get_info()
        return Footprint(card=total - free, card_total=total, host=_host_bytes())

    def rate(self, seconds: float) -> float:
        """Positions per second of training for about this time."""
        trial = self._trial
        began, started = trial.positions_seen, time.perf_counter()
        trial.train_to(_BUDGET, pause=lambda: time.perf_counter() - started >= seconds)
        torch.cuda.synchronize()
        return (trial.positions_seen - began) / (time.perf_counter() - started)


def _host_bytes() -> float:
    """The largest memory of this process so far. Linux counts in kilobytes, macOS in bytes."""
    unit = 1 if sys.platform == "darwin" else 1024
    return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit)
