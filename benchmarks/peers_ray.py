"""Ray Tune's schedulers that pause trials, in a replay of `search_quality.py`.

`HyperBandForBOHB` with `TuneBOHB` (which needs HpBandSter), and `HyperBandScheduler` with
`OptunaSearch`. One unit of their resource is 1,152 positions and the longest training 27, so that
their brackets have the rungs 1, 3, 9 and 27. The events are those of Ray's `TuneController`: one
new trial always waits and is known to the scheduler, the searcher is not told the result at which
a trial is stopped, and both learn when a trial ends.

Trials arrive one by one, and Ray counts a bracket's live trials only. With one worker its bracket
for whole trainings is therefore never full: `HyperBandScheduler` opens that one first, and trains
every trial to its end; `HyperBandForBOHB` opens it last, and does so from there on.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
from peers_budgeted import config_space, values_of
from search_peers import FACTOR, FIRST, RUNGS, TRIALS, Asked, distributions

from hexsearch.search.space import Dimension


class _Trial:
    """What the schedulers read of Ray's `Trial`."""

    is_saving = False

    def __init__(self, name: str, values: dict[str, Any]) -> None:
        self.trial_id, self.config, self.values = name, values, values
        self.status = "PENDING"
        self.positions = 0


class RayBrackets:
    """Ray's Hyperband, with its BOHB or with its OptunaSearch."""

    def __init__(self, seed: int, dimensions: Sequence[Dimension], kind: str) -> None:
        from ray.tune.schedulers import HyperBandForBOHB, HyperBandScheduler
        from ray.tune.search.bohb import TuneBOHB
        from ray.tune.search.optuna import OptunaSearch

        logging.getLogger("ray.tune").setLevel(logging.ERROR)
        self.dimensions = dimensions if kind == "ray bohb" else None
        made = HyperBandForBOHB if kind == "ray bohb" else HyperBandScheduler
        self.scheduler = made("units", "loss", "min", RUNGS[-1] // FIRST, FACTOR)
        if kind == "ray bohb":
            logging.getLogger("hpbandster").setLevel(logging.CRITICAL)
            np.random.seed(seed)  # HpBandSter's model draws from numpy's global generator
            self.search = TuneBOHB(config_space(dimensions, seed), metric="loss", mode="min")
        else:
            space = distributions(dimensions)
            self.search = OptunaSearch(space, metric="loss", mode="min", seed=seed)
        self.trials: dict[str, _Trial] = {}
        self.controller = SimpleNamespace(
            search_alg=SimpleNamespace(searcher=self.search),
            get_trials=lambda: list(self.trials.values()),
            stop_trial=self._stop,
        )

    def ask(self) -> Asked | None:
        self._have_one_wait()
        trial = self.scheduler.choose_trial_to_run(self.controller)
        if trial is None:
            return None
        trial.status = "RUNNING"
        self._have_one_wait()
        return trial.trial_id, trial.values, trial.positions

    def _have_one_wait(self) -> None:
        waits = any(trial.status == "PENDING" for trial in self.trials.values())
        if waits or len(self.trials) == TRIALS:
            return
        name = str(len(self.trials))
        config = self.search.suggest(name)
        values = values_of(self.dimensions, config) if self.dimensions else dict(config)
        self.trials[name] = _Trial(name, values)
        self.scheduler.on_trial_add(self.controller, self.trials[name])

    def report(self, name: str, positions: int, loss: float, last: bool) -> bool:
        trial = self.trials[name]
        trial.positions = positions
        result = {"units": positions / FIRST, "training_iteration": positions, "loss": loss}
        if last and positions < RUNGS[-1]:
            trial.status = "ERROR"
            self.scheduler.on_trial_error(self.controller, trial)
            self.search.on_trial_complete(name, error=True)
            return True
        decision = self.scheduler.on_trial_result(self.controller, trial, result)
        if decision == "STOP" or last:
            self.scheduler.on_trial_complete(self.controller, trial, result)
            self.search.on_trial_complete(name, result)
            trial.status = "TERMINATED"
            return True
        self.search.on_trial_result(name, result)
        if decision == "PAUSE":
            trial.status = "PAUSED"
        return bool(decision == "PAUSE")

    def _stop(self, trial: _Trial) -> None:
        """As `TuneController.stop_trial` of a paused trial."""
        if trial.status == "PAUSED":
            self.scheduler.on_trial_remove(self.controller, trial)
            self.search.on_trial_complete(trial.trial_id)
            trial.status = "TERMINATED"
